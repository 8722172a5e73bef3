"""Asks the database itself, read-only: which database, and how to talk to it.

The first of these that has a value wins: an argument, JOBMON_SQL_URL, `sql_url` in `~/.jobmonrc`, the SQLite file of a
server on this machine. SQLite files are opened read-only; on MySQL the session is, and the account should be.
"""

from __future__ import annotations

import importlib
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from jobmon.config import LOOPBACK, Setting, find_sql_setting
from jobmon.exceptions import ConfigError, InvalidRequest, NotAllowed, ServerUnreachable
from jobmon.mysql_program import ask_program, find_program

if TYPE_CHECKING:
    from jobmon.config import Config
    from jobmon.exceptions import JobmonError

DATABASE_FILE = "jobmon.sqlite3"
FORMS = "mysql://user:password@host:3306/database or sqlite:////path/to/jobmon.sqlite3"
READ_ONLY = "SET SESSION TRANSACTION READ ONLY"
CONNECT_SECONDS = 10
_NOT_ALLOWED = frozenset({1044, 1045, 1130, 1142, 1143, 1227, 1290, 1370, 1698, 1792})
_NO_ANSWER = frozenset({1040, 1053, 1205, 2002, 2003, 2005, 2006, 2013})


@dataclass(frozen=True)
class Answer:
    """Column names, each once, and rows. `columns` is empty if the statement has no rows to give."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Address:
    """Where the database is. For SQLite only `path`; `origin` tells who said so."""

    origin: str
    path: str = ""
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = ""
    database: str = ""
    socket: str = ""

    @property
    def words(self) -> str:
        """For people; without the password."""
        where = self.path or f"{self.database} at {self.socket or self.host}{f':{self.port}' if self.port else ''}"
        return f"{where} (from {self.origin})"


def find_address(argument: str | None, config: Config) -> Address:
    """Work out which database to ask. Raises ConfigError if there is none, or its address is none."""
    found = find_sql_setting(argument)
    if found is not None:
        return parse_address(found)
    host = urlsplit(config.server.value).hostname
    if host not in LOOPBACK:
        raise ConfigError(
            f"The server is {config.server.value} (from {config.server.origin}); the address of its database is not "
            f"known. Ask its administrator for it and put sql_url = {FORMS.split(' or ')[0]} into ~/.jobmonrc."
        )
    folders = [Path(config.home.value), Path(f"/var/tmp/jobmon-{os.getuid()}")]  # noqa: S108 - only if it is ours
    for folder in folders if config.home.origin == "default" else folders[:1]:
        path = folder / DATABASE_FILE
        if path.is_file() and path.stat().st_uid == os.getuid():
            return Address(origin="the server on this machine", path=str(path))
    raise ConfigError(
        f"There is no {Path(config.home.value) / DATABASE_FILE}, so no server of yours has run on this machine. "
        f"Name a database with --sql-url, JOBMON_SQL_URL or sql_url in ~/.jobmonrc: {FORMS}"
    )


def parse_address(setting: Setting) -> Address:
    """A database's URL. Raises ConfigError that never repeats the URL: it may hold a password."""
    wrong = ConfigError(f"The database's address ({setting.origin}) cannot be used; it should look like {FORMS}")
    try:
        parts = urlsplit(setting.value)
        port = parts.port
    except ValueError:
        raise wrong from None
    path = unquote(parts.path)
    if parts.scheme == "sqlite" and not parts.netloc and path.startswith("//") and len(path) > 2:
        return Address(origin=setting.origin, path=path[1:])
    database = path[1:]
    if parts.scheme not in ("mysql", "mariadb") or not parts.hostname or not database or "/" in database:
        raise wrong
    return Address(
        origin=setting.origin,
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
        socket=parse_qs(parts.query).get("socket", [""])[0],
    )


def ask(address: Address, sql: str) -> Answer:
    """Run one statement. Raises ServerUnreachable, NotAllowed or InvalidRequest."""
    if address.path:
        columns, rows = _ask_sqlite(address, sql)
    else:
        columns, rows = _ask_mysql(address, sql)
    return Answer(name_apart(columns), tuple(tuple(row) for row in rows))


def name_apart(columns: list[str]) -> tuple[str, ...]:
    """The names, those that come again with a number: id, id_2."""
    found: list[str] = []
    for name in columns:
        number, given = 1, name
        while given in found:
            number += 1
            given = f"{name}_{number}"
        found.append(given)
    return tuple(found)


def _ask_sqlite(address: Address, sql: str) -> tuple[list[str], list[Any]]:
    try:
        uri = f"file:{quote(address.path)}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=CONNECT_SECONDS)) as connection:
            connection.set_authorizer(_forbid_attaching)
            cursor = connection.execute(sql)
            rows = cursor.fetchall()
            return [column[0] for column in cursor.description or ()], rows
    except (sqlite3.Error, sqlite3.Warning) as error:
        words = str(error)
        if "readonly" in words or "not authorized" in words:
            raise _refuse_writing(words) from error
        if re.search(r"unable to open|locked|disk I/O|not a database", words):
            raise ServerUnreachable(f"{address.words} cannot be read: {words}. Is it the right file?") from error
        raise InvalidRequest(f"The database did not understand: {words}. Correct the statement.") from error


def _forbid_attaching(action: int, *details: Any) -> int:
    """Another file would not be read-only, and would be made if it is not there."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _ask_mysql(address: Address, sql: str) -> tuple[list[str], list[Any]]:
    try:
        driver = importlib.import_module("MySQLdb")
    except ImportError:
        return _ask_with_program(address, sql)
    try:
        with closing(driver.connect(**_describe_connection(address))) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [column[0] for column in cursor.description or ()], list(cursor.fetchall())
    except driver.Error as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        raise error_for(code, str(error.args[-1] if error.args else error), address) from error


def _describe_connection(address: Address) -> dict[str, Any]:
    return {
        "user": address.user,
        "passwd": address.password,
        "db": address.database,
        "charset": "utf8mb4",
        "init_command": READ_ONLY,
        "connect_timeout": CONNECT_SECONDS,
        **({"unix_socket": address.socket} if address.socket else {"host": address.host}),
        **({"port": address.port} if address.port else {}),
    }


def _ask_with_program(address: Address, sql: str) -> tuple[list[str], list[Any]]:
    program = find_program()
    if program is None:
        raise ConfigError(
            "Asking MySQL needs the `mariadb` or `mysql` program, or the Python package mysqlclient; none is installed."
        )
    where = ["--socket", address.socket] if address.socket else ["--host", address.host, "--protocol", "tcp"]
    where += ["--port", str(address.port)] if address.port else []
    argv = [program, *where, "--user", address.user, "--connect-timeout", str(CONNECT_SECONDS)]
    code, words, columns, rows = ask_program(
        [*argv, "--init-command", READ_ONLY, address.database], address.password, sql
    )
    if code:
        raise error_for(code, words, address)
    return columns, rows


def error_for(code: int, words: str, address: Address) -> JobmonError:
    """The exception for an error number of MySQL; its class decides the exit code."""
    words = words.rstrip(". ")
    if code == 1792:
        return _refuse_writing(words)
    if code in _NOT_ALLOWED:
        return NotAllowed(f"{address.words} refused: {words}. Check user and password, and what the account may read.")
    if code in _NO_ANSWER:
        return ServerUnreachable(f"No answer from {address.words}: {words}. Check the address; try again later.")
    return InvalidRequest(f"The database did not understand: {words}. Correct the statement.")


def _refuse_writing(words: str) -> NotAllowed:
    return NotAllowed(f"Only reading is allowed here ({words}). To change something use the other commands.")
