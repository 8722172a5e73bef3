"""Reading the environment: the only source of settings. A wrong value stops with a sentence."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from executors import faults

# Names that were asked for: what else begins with JOBMON_ is a slip of the pen.
_known: set[str] = set()
# Of other programs that may share the environment, and those asked for only where they matter.
_BESIDE = ("SIGN_IN_CREATES_USERS",)
_DATABASE = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_PASSWORD_FILE")
_CLIENT = ("SQL_URL", "SERVER", "TOKEN", "RETRY_SECONDS", "COMPLETE")
_JOB = ("WORKFLOW_ID", "WORKFLOW_RUN_ID", "JOB_ID", "JOB_NAME", "JOB_INSTANCE_ID", "ATTEMPT", "START", "SECRET_FILES")
_PART = ("READY_FD", "HEARTBEAT", "FAULTS", "FAULTS_ONCE")
_OTHERS = frozenset(f"JOBMON_{name}" for name in (*_BESIDE, *_DATABASE, *_CLIENT, *_JOB, *_PART))
_REDIS_SCHEMES = ("redis", "rediss", "redis+socket", "unix", "sentinel")


class SettingError(SystemExit):
    """A setting is missing or wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(f"jobmon: {message}")


def _read(name: str) -> str:
    _known.add(name)
    return os.environ.get(name, "")


def env_text(name: str, default: str = "") -> str:
    _known.add(name)
    return os.environ.get(name, default)


def env_path(name: str, default: Path) -> Path:
    """An absolute path: our processes, and jobs on other machines, have other working directories."""
    text = _read(name)
    if text and not text.startswith("/"):
        raise SettingError(f"{name}={text!r} does not begin with /; name the whole path")
    return Path(text) if text else default


def env_port(name: str) -> int | None:
    port = env_int(name, 0, 1)
    if port > 65535:
        raise SettingError(f"{name}={port} is no port; the highest is 65535")
    return port or None


def env_int(name: str, default: int, minimum: int = 0) -> int:
    text = _read(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingError(f"{name}={text!r} is not a whole number") from None
    if value < minimum:
        raise SettingError(f"{name}={value} is below {minimum}")
    return value


def env_float(name: str, default: float, minimum: float = 0.0) -> float:
    text = _read(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingError(f"{name}={text!r} is not a number") from None
    if not value >= minimum:
        raise SettingError(f"{name}={text} is below {minimum:g}")
    return value


def env_bool(name: str, default: bool = False) -> bool:
    text = _read(name).lower()
    if not text:
        return default
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise SettingError(f"{name}={text!r} is neither 1 nor 0")


def env_choice(name: str, choices: tuple[str, ...], default: str) -> str:
    text = _read(name) or default
    if text not in choices:
        raise SettingError(f"{name}={text!r} is not one of {', '.join(choices)}")
    return text


def env_list(name: str, default: tuple[str, ...] = ()) -> list[str]:
    text = _read(name)
    return [item.strip() for item in text.split(",") if item.strip()] if text else list(default)


def env_secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names."""
    value, path = _read(name), _read(f"{name}_FILE")
    if value:
        return value
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(f"{name}_FILE={path}: {error.strerror}") from None


def redis_url() -> str:
    """'' if none is given. It may hold a password, so it is not shown."""
    text = env_secret("JOBMON_REDIS_URL")
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in _REDIS_SCHEMES and bool(parts.hostname or parts.path) and parts.port != 0
    except ValueError:
        is_one = False
    if text and not is_one:
        raise SettingError("JOBMON_REDIS_URL is no address like redis://127.0.0.1:6379/0")
    return text


def refuse_orphans(prefix: str, needed: str) -> None:
    """Settings that count only beside another one. Raises SettingError."""
    found = sorted(name for name in os.environ if name.startswith(prefix))
    _known.update(found)
    if orphans := [name for name in found if os.environ[name]]:
        raise SettingError(f"{orphans[0]} is set, but {needed} is missing: without it nothing comes of the others")


def refuse_unknown(prefixes: Sequence[str]) -> None:
    """To be called when all settings were read. `prefixes`: what else may begin like this. Raises SettingError."""
    known = _known | _OTHERS
    for name in sorted(os.environ):
        if name.startswith("JOBMON_") and name not in known and not name.startswith(tuple(prefixes)):
            near = difflib.get_close_matches(name, sorted(known), 1)
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
            raise SettingError(f"there is no setting {name}; {hint}")


SHORTEST_SECRET = 50


def demand_safe_server(secret_key: str, fallbacks: list[str], hosts: list[str], is_debug: bool) -> None:
    """What a shared server must not do without, or do. Raises SettingError."""
    if any(len(key) < SHORTEST_SECRET for key in fallbacks):
        raise SettingError(f"JOBMON_SECRET_KEY_FALLBACKS holds a key of less than {SHORTEST_SECRET} characters")
    if len(secret_key) < SHORTEST_SECRET:
        raise SettingError(f"JOBMON_SECRET_KEY has {len(secret_key)} characters; it needs at least {SHORTEST_SECRET}")
    if any(host.startswith(("*", ".")) for host in hosts):
        raise SettingError("JOBMON_ALLOWED_HOSTS holds a pattern; name every host")
    if is_debug:
        raise SettingError("JOBMON_DEBUG=1 shows settings to everybody; it is not for JOBMON_MODE=server")
    if faults.is_armed():
        raise SettingError(
            f"{faults.VARIABLE} is set: it makes processes die, for tests; never with JOBMON_MODE=server"
        )
    if not redis_url():
        raise SettingError("JOBMON_REDIS_URL_FILE is missing: JOBMON_MODE=server starts no Redis of its own")
