"""Read-only SQL access: every query of docs/sql.md on a real workflow, through the account that is made for it."""

from __future__ import annotations

import importlib
import io
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from tests.db.engine import drive, job, start, submit
from workflows.management.commands.sql_access import TABLES, sqlite_uri
from workflows.models import Job, Workflow
from workflows.models.lookup import StatusLabel
from workflows.state_machine import LABELS, Reason

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```sql(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET_TABLES = ("auth_user", "api_token", "sign_in_link", "django_session", "audit_entry", "draft", "draft_chunk")
IS_MARIADB = os.environ.get("JOBMON_TEST_DATABASE") == "mariadb"
KIND = "mysql" if IS_MARIADB else "sqlite"
pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[[str], list[tuple[Any, ...]]]


def queries() -> dict[str, str]:
    """Heading → query, those for this database."""
    found = {}
    for section in DOCUMENT.split("\n### ")[1:]:
        heading = section.splitlines()[0]
        for kind, sql in BLOCK.findall(section):
            if kind in ("", KIND):
                assert heading not in found, heading
                found[heading] = sql
    return found


# What each query tells of the workflow below
EXPECTED: dict[str, Callable[[list[tuple[Any, ...]]], bool]] = {
    "How far is it?": lambda rows: dict(rows) == {"D": 3, "F": 1, "G": 1},
    "How far is each tag, in words?": lambda rows: (
        rows == [("fit", "done", 1), ("fit", "error-fatal", 1), ("load", "done", 2), ("sum", "registered", 1)]
    ),
    "My failed jobs and their last errors": lambda rows: (
        [(row[2], row[4]) for row in rows] == [("bad", "exit")] and "gone" in rows[0][6]
    ),
    "The slowest tags of a workflow": lambda rows: {row[0]: row[1] for row in rows} == {"load": 2, "fit": 1},
    "Hosts with the most failures": lambda rows: [(row[0], int(row[2])) for row in rows] == [("dummy", 4)],
    "Memory asked and used, by tag": lambda rows: (
        [(row[0], row[2], row[5]) for row in rows] == [("fit", 4, 0), ("load", 2, 0)]
    ),
    "Attempts by how they ended": lambda rows: (
        {(row[0], row[1], row[2]): row[4] for row in rows}
        == {("D", "", 0): 3, ("E", "exit", 3): 3, ("E", "exit", 1): 1}
    ),
    "Jobs that wait for a failed one": lambda rows: [(row[1], row[3]) for row in rows] == [("total", "bad")],
    "Runs of a workflow and how long they took": lambda rows: (
        [row[2] for row in rows] == ["error"] and 0 <= float(rows[0][6]) < 600
    ),
    "What runs now, and for whom": lambda rows: (
        [(row[0], row[2], row[3], row[4]) for row in rows] == [("alice", "dummy", "running", 1)]
    ),
    "The attempts that have been running longest": lambda rows: [row[2] for row in rows] == ["long"],
    "My workflows by status": lambda rows: {row[0]: row[1] for row in rows} == {"error": 1, "running": 1},
    "Jobs that a second attempt has helped": lambda rows: (
        [(row[1], row[2], row[3]) for row in rows] == [("flaky", 2, "exit")]
    ),
    "Everything that happened to one job": lambda rows: (
        [row[2] for row in rows if row[0] == 1][-1] == "error" and rows[-1][2] == "done"
    ),
}


@pytest.fixture(autouse=True)
def labels() -> None:
    """Tests that commit leave emptied tables behind; the labels are data of a migration."""
    load = importlib.import_module("workflows.migrations.0002_labels").load
    load(apps, None)


@pytest.fixture
def finished() -> Workflow:
    """Ended with a failure: a job that needed two attempts, one that has failed for good, one that waits for it.
    Beside it a workflow that runs."""
    workflow = submit(
        [
            job("a", tag="load"),
            job("flaky", tag="load", command="exit=1 until=2"),
            job("good", "a", tag="fit", mem_free=4),
            job("bad", "flaky", tag="fit", mem_free=4, command="exit=3 said=gone"),
            job("total", "good", "bad", tag="sum"),
        ]
    )
    assert drive(start(workflow)) == "E"
    live = start(submit([job("long", command="runs=100000")], args="live"))
    assert drive(live, passes=3) == "R"
    return workflow


def run_command(*words: str) -> dict[str, str]:
    out = io.StringIO()
    call_command("sql_access", *words, stdout=out, stderr=io.StringIO())
    return dict(line.split(None, 1) for line in out.getvalue().splitlines() if " " in line)


def connect(account: dict[str, str]) -> Any:
    import MySQLdb

    return MySQLdb.connect(
        unix_socket=account["socket"],
        user=account["user"],
        passwd=account["password"],
        db=account["database"],
        charset="utf8mb4",
    )


@pytest.fixture
def account() -> Iterator[dict[str, str]]:
    """What the command printed."""
    yield run_command()
    if IS_MARIADB:
        try:
            run_command("--revoke")
        except CommandError:
            pass  # the test has revoked it


@pytest.fixture
def ask(account: dict[str, str]) -> Iterator[Ask]:
    """Asks through the read-only account, or a read-only file."""
    opened = connect(account) if IS_MARIADB else sqlite3.connect(account["uri"], uri=True)
    with closing(opened):

        def run(sql: str) -> list[tuple[Any, ...]]:
            cursor = opened.cursor()
            cursor.execute(sql)
            return list(cursor.fetchall())

        yield run


def fill_in(sql: str, workflow: Workflow) -> str:
    """The numbers of the document become those of this database."""
    flaky = Job.objects.get(dag_id=workflow.dag_id, name="flaky")
    for name, number in (("191", workflow.dag_id), ("12", workflow.pk), ("4711", flaky.pk)):
        sql = re.sub(rf"= ?{name}\b", f"= {number}", sql)
    return sql


def test_the_document_has_the_quickstarts_query_and_more() -> None:
    assert queries()["How far is it?"].strip() == "SELECT status, count(*) FROM job WHERE dag_id=191 GROUP BY status"
    assert len(queries()) >= 11
    assert set(queries()) == set(EXPECTED)


def test_every_query_of_the_document_answers(finished: Workflow, ask: Ask) -> None:
    wrong = {}
    for heading, sql in queries().items():
        rows = ask(fill_in(sql, finished))
        if not EXPECTED[heading](rows):
            wrong[heading] = rows
    assert wrong == {}


WRITES = (
    "UPDATE job SET status = 'D'",
    "DELETE FROM workflow",
    "INSERT INTO job_status (id, label) VALUES ('X', 'x')",
    "DROP TABLE job_edge",
    "CREATE TABLE mine (id INTEGER)",
)


@pytest.mark.parametrize("sql", WRITES)
def test_nothing_can_be_written(finished: Workflow, ask: Ask, sql: str) -> None:
    with pytest.raises(Exception, match=r"(?i)denied|readonly"):
        ask(sql)
    assert Job.objects.filter(dag_id=finished.dag_id, status="D").count() == 3


def test_every_table_that_is_shared_can_be_read(ask: Ask) -> None:
    for table in TABLES:
        ask(f"SELECT * FROM {table} LIMIT 1")


def test_labels_are_there_to_join(ask: Ask) -> None:
    for model in StatusLabel.__subclasses__():
        assert len(ask(f"SELECT id, label FROM {model._meta.db_table}")) >= 4


# --- MariaDB --------------------------------------------------------------------------------------------------------

on_mariadb = pytest.mark.skipif(not IS_MARIADB, reason="SQLite has no accounts; run with JOBMON_TEST_DATABASE=mariadb")
on_sqlite = pytest.mark.skipif(IS_MARIADB, reason="about the file of SQLite")


@on_mariadb
@pytest.mark.parametrize("table", SECRET_TABLES)
def test_secrets_cannot_be_read(ask: Ask, table: str) -> None:
    with pytest.raises(Exception, match="denied"):
        ask(f"SELECT * FROM {table}")


@on_mariadb
def test_no_table_is_open_that_is_not_meant(ask: Ask) -> None:
    visible = {name for (name,) in ask("SHOW TABLES")}
    assert visible == set(TABLES)


@on_mariadb
def test_views_are_open_where_they_are_named(account: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW my_jobs AS SELECT job_id, name FROM job")
        try:
            cursor.execute("CREATE VIEW my_people AS SELECT username FROM auth_user")
            with closing(connect(run_command("--view", "my_jobs"))) as opened:
                opened.cursor().execute("SELECT * FROM my_jobs")
                with pytest.raises(Exception, match="denied"):
                    opened.cursor().execute("SELECT * FROM my_people")
            with pytest.raises(CommandError, match="no view jobs_of_mine"):
                run_command("--view", "jobs_of_mine")
        finally:
            cursor.execute("DROP VIEW IF EXISTS my_jobs, my_people")


@on_mariadb
def test_the_command_rotates_and_revokes(account: dict[str, str]) -> None:
    import MySQLdb

    new = run_command()
    assert new["password"] != account["password"]
    assert new["user"] == account["user"]
    with pytest.raises(MySQLdb.OperationalError, match="denied"):
        connect(account)
    connect(new).close()
    run_command("--revoke")
    with pytest.raises(MySQLdb.OperationalError, match="denied"):
        connect(new)
    with pytest.raises(CommandError, match="no account"):
        run_command("--revoke")


@on_mariadb
def test_an_account_of_somebody_else_is_left_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE USER 'precious'@'localhost' IDENTIFIED BY 'x'")
        try:
            cursor.execute("GRANT INSERT ON *.* TO 'precious'@'localhost'")
            for words in (["--user", "precious"], ["--user", "precious", "--revoke"]):
                with pytest.raises(CommandError, match="was not made here"):
                    run_command(*words)
            cursor.execute("SELECT count(*) FROM mysql.user WHERE User = 'precious'")
            assert cursor.fetchone() == (1,)
        finally:
            cursor.execute("DROP USER 'precious'@'localhost'")


@on_mariadb
@pytest.mark.parametrize(("name", "words"), [("root", "own account"), ("a b", "no usable"), ("x" * 33, "no usable")])
def test_unusable_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run_command("--user", name)


@on_sqlite
def test_on_sqlite_it_names_the_file(account: dict[str, str]) -> None:
    path = str(connection.settings_dict["NAME"])
    assert account == {"uri": sqlite_uri(Path(path)), "shell": f"sqlite3 -readonly {path}"}
    with pytest.raises(CommandError, match="no accounts"):
        run_command("--revoke")


# --- the reference --------------------------------------------------------------------------------------------------


def table_rows(title: str) -> list[list[str]]:
    section = DOCUMENT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_reference_names_every_table_and_invents_no_column() -> None:
    real = {model._meta.db_table: {field.column for field in model._meta.local_fields} for model in apps.get_models()}
    documented = set()
    for tables, _, columns in table_rows("Tables"):
        for table in re.findall(r"`(\w+)`", tables):
            documented.add(table)
            named = set(re.findall(r"`(\w+)`", columns))
            assert named, table
            assert named <= real[table], (table, named - real[table])
    assert documented == set(TABLES)


def test_the_reference_explains_every_letter_and_reason() -> None:
    explained: list[dict[str, str]] = [{}, {}, {}, {}]
    for letter, *meanings in table_rows("Letters"):
        for column, meaning in zip(explained, meanings, strict=True):
            if meaning:
                column[letter] = meaning.split(" (")[0]
    assert explained == list(LABELS.values())
    assert {reason for reason in Reason if f"`{reason.value}`" not in DOCUMENT} == set()
