"""Pure: values of variables and options with secret-looking names are not for display. Commands are stored and run as
they were submitted; only what is shown, exported or sent is masked."""

from __future__ import annotations

import re

from workflows.secret_files import split_command

MASK = "****"
_STARTS = ("PASS",)
_WORDS = frozenset({"TOKEN", "TOKENS", "KEY", "KEYS", "SECRET", "SECRETS", "PWD", "CREDENTIAL", "CREDENTIALS"})
_ENDS = ("PASSWORD", "PASSWD", "TOKEN", "SECRET", "APIKEY")
_VALUE = r"""'[^']*'|"(?:\\.|[^"\\])*"|(?:\\.|[^\s;&|'"<>()])+"""
_VARIABLE = re.compile(rf"(?<![\w./$-])([A-Za-z_]\w*)=({_VALUE})")
_OPTION = re.compile(rf"(?<![\w./$-])(--?[A-Za-z][\w-]*)(=|\s+)({_VALUE})")


def looks_secret(name: str) -> bool:
    """DB_PASSWORD, API_KEY, githubToken; not MONKEY, KEYWORD or TOKENIZER."""
    parts = [part for part in re.split(r"[_-]+|(?<=[a-z])(?=[A-Z])", name) if part]
    upper = [part.upper() for part in parts]
    return any(part in _WORDS or part.startswith(_STARTS) or part.endswith(_ENDS) for part in upper)


def mask_secrets(command: str) -> str:
    """The command with such values replaced; references to variables ($TOKEN) and files tell nothing and stay."""
    rest = split_command(command)[1]
    masked = _VARIABLE.sub(lambda found: f"{found[1]}={_masked(found[1], found[2])}", rest)
    masked = _OPTION.sub(lambda found: f"{found[1]}{found[2]}{_masked_option(found[1], found[2], found[3])}", masked)
    return command[: len(command) - len(rest)] + masked


def _masked(name: str, value: str) -> str:
    return MASK if looks_secret(name) and not value.strip("\"'").startswith("$") else value


def _masked_option(name: str, between: str, value: str) -> str:
    """A plain --key is the name of a column or a file; a flag may be followed by another option."""
    is_plain = name.lstrip("-").upper() in ("KEY", "KEYS", "PASS", "PASSES") or value.startswith("-")
    return value if is_plain or (between != "=" and name.count("-") < 2) else _masked(name.lstrip("-"), value)
