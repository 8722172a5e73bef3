"""`manage.py server_rights`: the least rights with which the server works on MariaDB, as SQL for an administrator."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from workflows.models import AuditEntry

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_HOST = re.compile(r"[A-Za-z0-9_.:%-]{1,60}")
APPEND_ONLY = (AuditEntry._meta.db_table,)


class Command(BaseCommand):
    help = (
        "Prints the SQL that leaves the server's account just the rights it needs: no changes of tables, and of the audit "
        "only adding and reading. Run it as an administrator of the database after every upgrade; migrations then need an "
        "administrator's account too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", default=str(connection.settings_dict["USER"]), help="the server's account")
        parser.add_argument("--from-host", default="localhost", help="where it connects from")

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "mysql":
            raise CommandError("Only MariaDB and MySQL know rights on tables; SQLite's file belongs to the server.")
        user, host = options["user"], options["from_host"]
        if not _NAME.fullmatch(user) or not _HOST.fullmatch(host):
            raise CommandError(f"{user!r} at {host!r} is no usable account.")
        for statement in least_rights(f"'{user}'@'{host}'"):
            self.stdout.write(f"{statement};")


def least_rights(account: str) -> list[str]:
    """Revoked first, then table by table: rights on the whole database could not be taken back for one table."""
    database = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    statements = [f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {account}"]
    for table in sorted(connection.introspection.table_names()):
        rights = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        statements.append(f"GRANT {rights} ON {database}.{connection.ops.quote_name(table)} TO {account}")
    return statements
