"""Where the server is and which token to show it; every value knows where it came from.

The first of these that has a value wins: an argument, the environment (JOBMON_SERVER, JOBMON_TOKEN, JOBMON_HOME,
JOBMON_RETRY_SECONDS), `~/.jobmonrc`, the files of a server on this machine, the default.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobmon.exceptions import ConfigError
from jobmon.local_server import LocalServer, find_local_server, read_private

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SERVER = "http://127.0.0.1:8000"
DEFAULT_RETRY_SECONDS = "300"
SECTION = "jobmon"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Setting:
    """A value and the words for where it came from."""

    value: str
    origin: str


@dataclass(frozen=True)
class Config:
    """What the client needs to know. `token.value` is empty when there is none; its origin then says why.
    `retry_seconds`: how long to try to reach a server again that has answered before."""

    server: Setting
    token: Setting
    home: Setting
    retry_seconds: Setting

    @property
    def masked_token(self) -> str:
        """The token so that a person can recognise it, but not use it."""
        token = self.token.value
        return token[:6] + "…" if len(token) > 12 else "…" if token else ""


def load_config(
    server: str | None = None,
    token: str | None = None,
    home: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Work out the configuration. Raises ConfigError for files that cannot be read or trusted."""
    env = os.environ if environ is None else environ
    home_setting = _find_home(home, env)
    rc_path = _user_home(env) / ".jobmonrc"
    rc = _read_rc(rc_path)
    # A named home is the whole answer; only the default one may have moved off a network file system.
    local = find_local_server(Path(home_setting.value), look_in_var_tmp=home_setting.origin == "default")
    server_setting = _find_server(server, env, rc, rc_path, local)
    return Config(
        server=server_setting,
        token=_find_token(token, env, rc, rc_path, local, server_setting.value),
        home=home_setting,
        retry_seconds=_find_retry_seconds(env, rc, rc_path),
    )


def check_url(url: str, origin: str) -> str:
    """The server's address without a trailing slash. Raises ConfigError if it is none."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username:
        raise ConfigError(f"{url!r} ({origin}) is no server address; it should look like {DEFAULT_SERVER}")
    return url.rstrip("/")


def write_rc(path: Path, values: Mapping[str, str]) -> None:
    """Put values into the rc file and keep the others; the file is readable by its owner only."""
    parser = _parse_rc(path) if path.exists() else _new_parser()
    if not parser.has_section(SECTION):
        parser.add_section(SECTION)
    for key, value in values.items():
        parser.set(SECTION, key, value)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(str(temporary), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        parser.write(file)
    os.replace(str(temporary), str(path))


def find_sql_setting(argument: str | None, environ: Mapping[str, str] | None = None) -> Setting | None:
    """The database's address for `jobmon query`, if one is set. The rc file that holds it must be private."""
    env = os.environ if environ is None else environ
    if argument:
        return Setting(argument, "argument")
    if env.get("JOBMON_SQL_URL"):
        return Setting(env["JOBMON_SQL_URL"], "environment JOBMON_SQL_URL")
    rc_file = rc_path(env)
    rc = _read_rc(rc_file)
    if not rc.get("sql_url"):
        return None
    if urlsplit(rc["sql_url"]).password:
        read_private(rc_file, "password")
    return Setting(rc["sql_url"], str(rc_file))


def rc_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where the rc file is."""
    return _user_home(os.environ if environ is None else environ) / ".jobmonrc"


def _user_home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or os.path.expanduser("~"))


def _find_home(home: str | None, env: Mapping[str, str]) -> Setting:
    if home:
        return Setting(os.path.abspath(os.path.expanduser(home)), "argument")
    if env.get("JOBMON_HOME"):
        return Setting(os.path.abspath(os.path.expanduser(env["JOBMON_HOME"])), "environment JOBMON_HOME")
    return Setting(str(_user_home(env) / ".jobmon"), "default")


def _new_parser() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None)


def _parse_rc(path: Path) -> configparser.ConfigParser:
    parser = _new_parser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError, configparser.Error) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}. It should hold [jobmon] with server = … and token = …; "
            "correct it or run `jobmon configure`."
        ) from error
    return parser


def _read_rc(path: Path) -> dict[str, str]:
    """The rc file's section; a token in a file that others can read is refused, since it is no secret any more."""
    if not path.exists():
        return {}
    parser = _parse_rc(path)
    values = dict(parser.items(SECTION)) if parser.has_section(SECTION) else {}
    if values.get("token"):
        read_private(path)
    return values


def _find_server(
    argument: str | None, env: Mapping[str, str], rc: Mapping[str, str], rc_file: Path, local: LocalServer | None
) -> Setting:
    if argument:
        return Setting(check_url(argument, "argument"), "argument")
    if env.get("JOBMON_SERVER"):
        return Setting(check_url(env["JOBMON_SERVER"], "JOBMON_SERVER"), "environment JOBMON_SERVER")
    if rc.get("server"):
        return Setting(check_url(rc["server"], str(rc_file)), str(rc_file))
    if local is not None:
        return Setting(check_url(local.url, str(local.file)), str(local.file))
    return Setting(DEFAULT_SERVER, "default")


def _find_token(
    argument: str | None,
    env: Mapping[str, str],
    rc: Mapping[str, str],
    rc_file: Path,
    local: LocalServer | None,
    server: str,
) -> Setting:
    """A token from a file is shown only to the server that the file is about, never to another one."""
    if argument:
        return Setting(argument, "argument")
    if env.get("JOBMON_TOKEN"):
        return Setting(env["JOBMON_TOKEN"], "environment JOBMON_TOKEN")
    withheld = []
    if rc.get("token"):
        if _is_same_server(rc.get("server", server), server):
            return Setting(rc["token"], str(rc_file))
        withheld.append(f"the one in {rc_file} is for {rc['server']}")
    if local is not None and local.token_file is not None:
        if _is_same_server(local.url, server):
            return Setting(read_private(local.token_file).strip(), str(local.token_file))
        withheld.append(f"the one in {local.token_file} is for {local.url}")
    return Setting("", "; ".join(["none found", *withheld]))


def _is_same_server(one: str, other: str) -> bool:
    """Whether two addresses are one server; loopback has several names, but each port may be another person's."""
    first, second = urlsplit(one.rstrip("/")), urlsplit(other.rstrip("/"))
    hosts = {"loopback" if parts.hostname in LOOPBACK else parts.hostname for parts in (first, second)}
    return len(hosts) == 1 and (first.scheme, first.port, first.path) == (second.scheme, second.port, second.path)


def _find_retry_seconds(env: Mapping[str, str], rc: Mapping[str, str], rc_file: Path) -> Setting:
    found = Setting(DEFAULT_RETRY_SECONDS, "default")
    if env.get("JOBMON_RETRY_SECONDS"):
        found = Setting(env["JOBMON_RETRY_SECONDS"], "environment JOBMON_RETRY_SECONDS")
    elif rc.get("retry_seconds"):
        found = Setting(rc["retry_seconds"], str(rc_file))
    try:
        usable = 0 <= float(found.value) < float("inf")
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"retry_seconds is {found.value!r} ({found.origin}); it should be a number of seconds, like 300"
        )
    return found
