"""The drill of docs/backup.md: copy the database while somebody writes, lose it, restore it, check it."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from tests.factories import Tag, make_user, make_workflow
from tests.services import Unavailable, find_program
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)
TAGS = (Tag("clean", {"D": 3}), Tag("fit", {"D": 2, "F": 1, "G": 2}))


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path) -> Iterator[None]:
    """SQLite's file is replaced below, which no connection of another thread or test may live to see: a copy is."""
    if connection.vendor != "sqlite":
        yield
        return
    name = database_name()
    copy = tmp_path / "database.sqlite3"
    with closing(sqlite3.connect(name)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    connection.close()
    connection.settings_dict["NAME"] = str(copy)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name


def rows() -> dict[str, list[dict[str, Any]]]:
    models = apps.get_app_config("workflows").get_models()
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def check_invariants() -> str:
    """What fsck says."""
    out = io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command("fsck", stdout=out)
    return out.getvalue()


def back_up(file: Path) -> None:
    if connection.vendor == "sqlite":
        program = find_program("sqlite3")
        subprocess.run([program, str(connection.settings_dict["NAME"]), f".backup '{file}'"], check=True, timeout=60)
        return
    with open(file, "wb") as out:
        argv = [find_program("mariadb-dump"), *client_options(), "--single-transaction", "--quick", database_name()]
        subprocess.run(argv, check=True, stdout=out, timeout=60)


def restore(file: Path) -> None:
    name = database_name()
    connection.close()
    if connection.vendor == "sqlite":
        for ending in ("-wal", "-shm"):
            Path(name + ending).unlink(missing_ok=True)
        Path(name).write_bytes(file.read_bytes())
        return
    with open(file, "rb") as source:
        argv = [find_program("mariadb"), *client_options(), name]
        subprocess.run(argv, check=True, stdin=source, timeout=100)


def database_name() -> str:
    return str(connection.settings_dict["NAME"])


def client_options() -> list[str]:
    return ["--no-defaults", f"--socket={connection.settings_dict['HOST']}", "--user=root"]


def test_a_backup_that_was_taken_beside_a_writer_can_be_restored(tmp_path: Path) -> None:
    owner = make_user("alice")
    make_workflow(owner, TAGS, args="before", status="E")
    expected, said = rows(), check_invariants()
    file = tmp_path / "backup"
    try:
        back_up(file)
    except Unavailable as error:
        pytest.skip(f"backup: {error}")
    make_workflow(owner, TAGS, args="after", status="E")
    Workflow.objects.filter(workflow_args="before").update(name="spoiled")
    assert rows() != expected
    restore(file)
    assert rows() == expected
    call_command("migrate", verbosity=0, interactive=False)
    assert check_invariants() == said
    make_workflow(owner, TAGS, args="later", status="E")
    assert Workflow.objects.count() == 2


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite has a write-ahead log beside its file")
def test_the_backup_holds_what_is_only_in_the_write_ahead_log(tmp_path: Path) -> None:
    make_workflow(make_user("alice"), TAGS, args="fresh", status="E")
    with closing(sqlite3.connect(f"file:{database_name()}?mode=ro", uri=True)) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file = tmp_path / "backup"
    try:
        back_up(file)
    except Unavailable as error:
        pytest.skip(f"backup: {error}")
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT workflow_args FROM workflow").fetchall() == [("fresh",)]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
