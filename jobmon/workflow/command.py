"""Pure: how commands are put together for the shell that runs them."""

from __future__ import annotations

import os
import re
import shlex
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobmon.workflow.secret_file import read_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobmon.workflow.secret_file import SecretFile

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SECRET = re.compile(r"PASS|TOKEN|KEY|SECRET", re.IGNORECASE)


def expand_home(text: str) -> str:
    """A leading `~/` becomes the submitter's home; within quotes the shell would not do it."""
    return os.path.expanduser("~") + text[1:] if text.startswith("~/") else text


def quote(word: object) -> str:
    """One word for the shell, whatever is in it."""
    return shlex.quote(expand_home(str(word)))


def join_words(words: Iterable[object]) -> str:
    """A command of these words, each passed on exactly as it is."""
    return " ".join(quote(word) for word in words)


def check_variables(variables: Any, task: Any) -> tuple[dict[str, object], dict[str, SecretFile]]:
    """The plain variables, and those whose values are in files. `task`: the name or command of the one that they are for.

    Raises ValueError for what no variable can be. Warns of names that look like secrets.
    """
    if not isinstance(variables, Mapping):
        raise ValueError(f"env_variables is {variables!r}; it should be a dictionary, like {{'OMP_NUM_THREADS': 1}}")
    plain: dict[str, object] = {}
    files: dict[str, SecretFile] = {}
    for name, value in variables.items():
        if not isinstance(name, str) or not VARIABLE.match(name):
            raise ValueError(f"env_variables: {name!r} is no name of a variable; use letters, digits and _")
        try:
            file = read_reference(value)
        except ValueError as error:
            raise ValueError(f"env_variables of {str(task)[:60]!r}: {name}: {error}") from None
        if file is not None:
            files[name] = file
            continue
        plain[name] = value
        if SECRET.search(name):
            warnings.warn(
                f"env_variables: {name} looks like a secret; commands are stored in the database and shown on pages. "
                f'Put its value into a file of mode 0600 and write env_variables={{"{name}": SecretFile("~/that_file")}}: '
                "then only the path is stored.",
                stacklevel=5,
            )
    return plain, files


def format_assignments(variables: Mapping[str, object]) -> str:
    """`A=1 B='x y'`, in the order of the names, so that the same variables always give the same command."""
    return " ".join(f"{name}={quote(variables[name])}" for name in sorted(variables))
