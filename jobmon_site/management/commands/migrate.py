"""`manage.py migrate`, such that it may die at any moment and be run again.

SQLite takes a whole migration back. MariaDB and MySQL commit each statement for itself: a migration that was cut off
leaves its first statements behind, and Django would stumble over them. So what was begun is written down, and only in a
migration that was begun before, a statement that says "this is there already" counts as done. And only one may migrate
a database at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from executors import faults

# Table, column, key name, key entry, foreign key, check constraint exists; what is to be dropped is gone.
ALREADY_THERE = frozenset({1050, 1060, 1061, 1062, 1091, 1826, 3822})


class Command(migrate.Command):
    """Django's, with a memory."""

    def handle(self, *args: Any, **options: Any) -> None:
        self.target = connections[options["database"]]
        self.is_resumed = False
        self.has_marks = False
        self.target.SchemaEditorClass = self._editor_class(type(self.target).SchemaEditorClass)
        try:
            with alone(self.target):
                super().handle(*args, **options)
                self._forget_marks()
        finally:
            del self.target.SchemaEditorClass

    def _editor_class(self, base: type) -> type:
        command = self

        class Editor(base):  # type: ignore[misc]
            """Skips what an earlier, cut off try has made."""

            def execute(self, sql: Any, params: Any = ()) -> None:
                try:
                    super().execute(sql, params)
                except DatabaseError as error:
                    if not command.is_resumed or error.args[0] not in ALREADY_THERE:
                        raise
                faults.point("in_migration")

        return Editor

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        if self.target.vendor == "mysql" and migration is not None and not fake:
            if action == "apply_start":
                self.is_resumed = not self._mark(migration.app_label, migration.name)
            elif action == "apply_success":
                self.is_resumed = False
                self._unmark(migration.app_label, migration.name)
        super().migration_progress_callback(action, migration, fake)

    def _mark(self, app: str, name: str) -> bool:
        """Write down that it begins; False: it had begun before."""
        if not self.has_marks:
            self._execute(
                "CREATE TABLE IF NOT EXISTS migration_begun"
                " (app VARCHAR(100), name VARCHAR(150), PRIMARY KEY (app, name))"
            )
            self.has_marks = True
        return self._execute("INSERT IGNORE INTO migration_begun (app, name) VALUES (%s, %s)", app, name) == 1

    def _unmark(self, app: str, name: str) -> None:
        self._execute("DELETE FROM migration_begun WHERE app = %s AND name = %s", app, name)

    def _forget_marks(self) -> None:
        if self.has_marks:
            self._execute("DROP TABLE migration_begun")

    def _execute(self, sql: str, *params: str) -> int:
        with self.target.cursor() as cursor:
            cursor.execute(sql, params)
            return int(cursor.rowcount)


@contextmanager
def alone(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Hold the database's own lock, which ends with the connection. Raises CommandError. SQLite locks by itself."""
    if connection.vendor != "mysql":
        yield
        return
    name = "jobmon-migrate-" + hashlib.sha256(str(connection.settings_dict["NAME"]).encode()).hexdigest()[:16]
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", [name])
        if cursor.fetchone() != (1,):
            raise CommandError("another `migrate` is at work on this database; wait for it")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [name])
