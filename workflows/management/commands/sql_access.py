"""Read-only SQL access: make, rotate or revoke the account on MariaDB, or name the file of SQLite."""

from __future__ import annotations

import getpass
import re
import secrets
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

# What people may read. Not in here, on purpose: users, tokens, sessions, audit, drafts and whatever comes later.
TABLES = (
    "task_dag",
    "workflow",
    "workflow_run",
    "job",
    "job_edge",
    "job_group",
    "job_instance",
    "job_instance_error_log",
    "job_instance_status_log",
    "job_status",
    "job_instance_status",
    "workflow_status",
    "workflow_run_status",
)
HOSTS = ("%", "localhost")  # the second one since anonymous accounts of localhost go before %
LONGEST_NAME = 32
_OUR_GRANT = re.compile(r"GRANT (USAGE ON \*\.\*|SELECT ON (?P<table>`[^`]+`\.`[^`]+`)) TO ", re.IGNORECASE)


class Command(BaseCommand):
    help = (
        "Makes the account that may only read the tables of docs/sql.md, or gives it a new password, and prints "
        "it once. Whoever has it sees the jobs of all workflows. With SQLite: prints how to open the file read-only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", help="name of the account; by default the database's with _read")
        parser.add_argument("--from-host", action="append", help="where it may connect from (default: anywhere)")
        parser.add_argument("--view", action="append", default=[], help="a view of this database that it may read too")
        parser.add_argument("--revoke", action="store_true", help="remove the account")

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor == "sqlite":
            self._handle_sqlite(options["revoke"])
            return
        user = choose_user(options["user"])
        hosts = tuple(dict.fromkeys(options["from_host"] or HOSTS))
        try:
            if options["revoke"]:
                self._revoke(user)
            else:
                self._grant(user, hosts, options["view"])
        except DatabaseError as error:
            raise CommandError(
                f"The database refused: {error}. This needs an account that may create users and grant rights: "
                f"run the command once with JOBMON_DB_USER and JOBMON_DB_PASSWORD of an administrator."
            ) from error

    def _handle_sqlite(self, is_revoke: bool) -> None:
        if is_revoke:
            raise CommandError("SQLite has no accounts: who may read its file is decided by the file's rights.")
        path = Path(str(connection.settings_dict["NAME"])).absolute()
        self.stdout.write(f"uri      {sqlite_uri(path)}")
        self.stdout.write(f"shell    sqlite3 -readonly {shlex.quote(str(path))}")
        self.stderr.write(
            f"Only {getpass.getuser()} can read it, and it holds all tables. jobmon query needs no setting."
        )

    def _grant(self, user: str, hosts: tuple[str, ...], views: list[str]) -> None:
        there = list_views()
        if missing := [view for view in views if view not in there]:
            raise CommandError(f"There is no view {missing[0]} in this database; nothing was changed.")
        remove_account(user)
        password = secrets.token_urlsafe(24)
        tables = (*TABLES, *views)
        for host in hosts:
            make_account(user, host, password, tables)
        self._print_account(user, password)
        self.stderr.write(f"It may read {', '.join(tables)}. The password is not stored: run this again for a new one.")
        if left_out := sorted(set(there) - set(views)):
            self.stderr.write(f"It may not read the views {', '.join(left_out)}; name those that it may with --view.")

    def _print_account(self, user: str, password: str) -> None:
        settings = connection.settings_dict
        database, host, port = (
            str(settings["NAME"]),
            str(settings["HOST"] or "localhost"),
            str(settings["PORT"] or 3306),
        )
        is_socket = host.startswith("/")
        where = "localhost" if is_socket else f"{host}:{port}"
        url = f"mysql://{quote(user)}:{quote(password)}@{where}/{quote(database)}"
        facts = [("host", "localhost" if is_socket else host)]
        facts.append(("socket", host) if is_socket else ("port", port))
        facts += [("user", user), ("password", password), ("database", database)]
        facts.append(("sql_url", url + (f"?socket={quote(host)}" if is_socket else "")))
        for name, value in facts:
            self.stdout.write(f"{name:<8} {value}")

    def _revoke(self, user: str) -> None:
        hosts = remove_account(user)
        if not hosts:
            raise CommandError(f"There is no account {user}; nothing was changed.")
        self.stdout.write(f"Removed {user}. Connections that are open now end with their clients.")


def sqlite_uri(path: Path) -> str:
    return f"file:{quote(str(path))}?mode=ro"


def choose_user(given: str | None) -> str:
    """The account's name. Raises CommandError for one that is unusable, or the server's own."""
    user = given or f"{connection.settings_dict['NAME']}_read"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", user) or len(user) > LONGEST_NAME:
        raise CommandError(
            f"{user!r} is no usable name: give one of letters, digits and _ with --user, at most 32 long."
        )
    if user in (connection.settings_dict["USER"], "root"):
        raise CommandError(f"{user} is the server's own account: choose another name with --user.")
    return user


def list_views() -> list[str]:
    """Views in this database. One may show what its maker alone may read, so none is opened unless it is named."""
    return [name for (name,) in _run("SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()")]


def make_account(user: str, host: str, password: str, tables: tuple[str, ...]) -> None:
    _run(f"CREATE USER {_account()} IDENTIFIED BY %s", user, host, password)
    for table in tables:
        database = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
        _run(f"GRANT SELECT ON {database}.{connection.ops.quote_name(table)} TO {_account()}", user, host)


def remove_account(user: str) -> list[str]:
    """Drop it on all hosts; the hosts. Raises CommandError, before anything is dropped, if it can do more than ours."""
    hosts = [str(host) for (host,) in _run("SELECT Host FROM mysql.user WHERE User = %s", user)]
    for host in hosts:
        _check_ours(user, host)
    for host in hosts:
        _run(f"DROP USER {_account()}", user, host)
    return hosts


def _check_ours(user: str, host: str) -> None:
    database = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    for (grant,) in _run(f"SHOW GRANTS FOR {_account()}", user, host):
        found = _OUR_GRANT.match(str(grant))
        table = found["table"] if found else None
        if found is None or (table is not None and not table.startswith(f"{database}.")):
            raise CommandError(
                f"{user}@{host} exists and may do more than read this database, so it was not made here. "
                "Nothing was changed; choose another name with --user."
            )


def _account() -> str:
    return "%s@%s"


def _run(sql: str, *values: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []
