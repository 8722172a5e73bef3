"""Reading the environment: the only source of settings. A wrong value stops with a sentence."""

from __future__ import annotations

import os
from pathlib import Path


class SettingError(SystemExit):
    """A setting is missing or wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(f"jobmon: {message}")


def env_text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def env_int(name: str, default: int, minimum: int = 0) -> int:
    text = os.environ.get(name, "")
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
    text = os.environ.get(name, "")
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
    text = os.environ.get(name, "").lower()
    if not text:
        return default
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise SettingError(f"{name}={text!r} is neither 1 nor 0")


def env_choice(name: str, choices: tuple[str, ...], default: str) -> str:
    text = os.environ.get(name, "") or default
    if text not in choices:
        raise SettingError(f"{name}={text!r} is not one of {', '.join(choices)}")
    return text


def env_list(name: str, default: tuple[str, ...] = ()) -> list[str]:
    text = os.environ.get(name, "")
    return [item.strip() for item in text.split(",") if item.strip()] if text else list(default)


def env_secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names."""
    value = os.environ.get(name, "")
    if value:
        return value
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingError(f"{name}_FILE={path}: {error.strerror}") from None


SHORTEST_SECRET = 50


def demand_safe_server(secret_key: str, hosts: list[str], is_debug: bool) -> None:
    """What a shared server must not do without, or do. Raises SettingError."""
    if len(secret_key) < SHORTEST_SECRET:
        raise SettingError(f"JOBMON_SECRET_KEY has {len(secret_key)} characters; it needs at least {SHORTEST_SECRET}")
    if any(host.startswith(("*", ".")) for host in hosts):
        raise SettingError("JOBMON_ALLOWED_HOSTS holds a pattern; name every host")
    if is_debug:
        raise SettingError("JOBMON_DEBUG=1 shows settings to everybody; it is not for JOBMON_MODE=server")
    if not env_secret("JOBMON_REDIS_URL"):
        raise SettingError("JOBMON_REDIS_URL is missing: JOBMON_MODE=server starts no Redis of its own")
