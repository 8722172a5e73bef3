"""`jobmon query`: which database is asked, what comes back, and that nothing can be written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from jobmon import sql
from jobmon.cli import cli
from jobmon.config import Setting
from jobmon.exceptions import ConfigError
from jobmon.mysql_program import read_xml
from tests.services import MariaDB, Unavailable, run_mariadb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

ODD = "a\tb\nc <&> \u2018q\u2019 \x1b[31m \x01 NULL"


def query(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["query", *words], input=stdin, catch_exceptions=False)


def make_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE job (job_id INTEGER, name TEXT, status TEXT, cpu REAL)")
        connection.execute("INSERT INTO job VALUES (1, 'fit', 'D', 1.5), (2, ?, 'F', NULL), (3, 'sum', 'D', 2)", (ODD,))
        connection.commit()
    return path


@pytest.fixture
def local(home: Path) -> Path:
    """The database of a server on this machine."""
    return make_file(home / ".jobmon" / "jobmon.sqlite3")


def test_a_table_for_people(local: Path) -> None:
    answer = query("SELECT status, count(*) FROM job GROUP BY status")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert [line.split() for line in answer.stdout.splitlines()] == [["status", "count(*)"], ["D", "2"], ["F", "1"]]
    assert "\x1b" not in query("SELECT name FROM job").stdout


def test_json_for_programs(local: Path) -> None:
    answer = query("SELECT job_id, name, cpu, 7 AS job_id FROM job WHERE job_id = 2", "--json")
    assert json.loads(answer.stdout) == [{"job_id": 2, "name": ODD, "cpu": None, "job_id_2": 7}]
    nothing = query("SELECT * FROM job WHERE job_id = 9", "--json")
    assert (nothing.exit_code, json.loads(nothing.stdout), nothing.stderr) == (0, [], "no rows\n")


def test_a_statement_from_stdin(local: Path) -> None:
    assert query("-", stdin="SELECT max(job_id) AS m FROM job\n").stdout.split() == ["m", "3"]
    assert query("-", stdin=" \n").exit_code == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE job SET status = 'D'",
        "DELETE FROM job",
        "DROP TABLE job",
        "CREATE TABLE x (a INTEGER)",
        "ATTACH '{home}/new.db' AS n",
    ],
)
def test_nothing_is_written(local: Path, home: Path, statement: str) -> None:
    before = local.read_bytes()
    answer = query(statement.format(home=home))
    assert answer.exit_code == 5
    assert "Only reading is allowed" in answer.stderr
    assert local.read_bytes() == before
    assert not (home / "new.db").exists()


def test_a_wrong_statement_is_wrong_usage(local: Path) -> None:
    answer = query("SELEKT 1")
    assert answer.exit_code == 2
    assert 'near "SELEKT": syntax error' in answer.stderr
    assert query("SELECT 1; SELECT 2").exit_code == 2
    assert query("SELECT * FROM nothing").exit_code == 2


def test_each_source_wins_over_the_next(home: Path, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for name in ("rc", "env", "argument"):
        files[name] = make_file(home / name / "x.db")
        with closing(sqlite3.connect(files[name])) as connection:
            connection.execute("UPDATE job SET name = ? WHERE job_id = 1", (name,))
            connection.commit()
    ask = "SELECT name FROM job WHERE job_id = 1"
    assert "fit" in query(ask).stdout
    (home / ".jobmonrc").write_text(f"[jobmon]\nsql_url = sqlite:///{files['rc']}\n")
    assert "rc" in query(ask).stdout
    monkeypatch.setenv("JOBMON_SQL_URL", f"sqlite:///{files['env']}")
    assert "env" in query(ask).stdout
    assert "argument" in query(ask, "--sql-url", f"sqlite:///{files['argument']}").stdout


def test_without_a_database_it_says_what_to_do(home: Path) -> None:
    answer = query("SELECT 1")
    assert answer.exit_code == 2
    assert "sql_url" in answer.stderr


def test_the_local_file_never_answers_for_another_server(local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBMON_SERVER", "https://jobmon.example.org")
    answer = query("SELECT 1")
    assert answer.exit_code == 2
    assert "https://jobmon.example.org" in answer.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of somebody else")
def test_a_file_of_somebody_else_is_passed_over(local: Path) -> None:
    os.chown(local, 12345, 12345)
    assert query("SELECT 1").exit_code == 2


@pytest.mark.parametrize("content", [None, b"this is no database, but long enough to be looked at" * 50])
def test_what_cannot_be_opened_is_no_answer(home: Path, content: bytes | None) -> None:
    path = home / "x.db"
    if content is not None:
        path.write_bytes(content)
    answer = query("SELECT * FROM job", "--sql-url", f"sqlite:///{path}")
    assert answer.exit_code == 3
    assert str(path) in answer.stderr


def test_a_password_that_others_can_read_is_refused(home: Path) -> None:
    rc = home / ".jobmonrc"
    rc.write_text("[jobmon]\nsql_url = mysql://u:geheim@127.0.0.1:1/d\n")
    rc.chmod(0o644)
    answer = query("SELECT 1")
    assert answer.exit_code == 2
    assert "holds a password and others can read it" in answer.stderr
    rc.chmod(0o600)
    answer = query("SELECT 1")
    assert answer.exit_code == 3
    assert "geheim" not in answer.output


@pytest.mark.parametrize(
    "url",
    ["nonsense", "mysql://", "mysql://u:geheim@h", "mysql://u:geheim@h:99999/d", "mysql://u:geheim@h/a/b", "postgres://h/d",
     "sqlite://x", "sqlite:///relative", "sqlite:"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    answer = query("SELECT 1", "--sql-url", url)
    assert answer.exit_code == 2
    assert "mysql://user:password@host:3306/database" in answer.stderr
    assert "geheim" not in answer.output


def test_an_address_and_its_parts() -> None:
    found = sql.parse_address(Setting("mysql://a%40b:p%2Fw@db.test:3307/jobs?socket=/run/my.sock", "here"))
    assert (found.user, found.password, found.host, found.port) == ("a@b", "p/w", "db.test", 3307)
    assert (found.database, found.socket) == ("jobs", "/run/my.sock")
    assert "p/w" not in found.words
    assert sql.parse_address(Setting("sqlite:////a%20b/c.db", "here")).path == "/a b/c.db"


def test_output_of_the_program_that_holds_nothing() -> None:
    assert read_xml(b"") == ([], [])
    assert read_xml(b'<?xml version="1.0"?>\n<resultset statement="x"></resultset>') == ([], [])


# --- MySQL, by the Python package and by the program ----------------------------------------------------------------


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Path]:
    """A MariaDB of this module's own with a read-only account; its socket."""
    folder = Path(tempfile.mkdtemp(prefix="jm-sql-"))
    server = MariaDB(folder / "mariadb")
    try:
        try:
            server.start()
        except Unavailable as missing:
            pytest.skip(str(missing))
        run_mariadb(
            server.socket,
            "CREATE DATABASE jobs CHARACTER SET utf8mb4",
            "CREATE TABLE jobs.job (job_id INTEGER, name TEXT, status TEXT)",
            "CREATE TABLE jobs.api_token (id INTEGER)",
            "CREATE USER 'jobs_read'@'localhost' IDENTIFIED BY 'p@ss/word'",
            "GRANT SELECT ON jobs.job TO 'jobs_read'@'localhost'",
        )
        with_text = "INSERT INTO jobs.job VALUES (1, 'fit', 'D'), (2, 0x{}, 'F'), (3, NULL, 'D')"
        run_mariadb(server.socket, with_text.format(ODD.encode().hex()))
        yield server.socket
    finally:
        server.stop()
        shutil.rmtree(folder)


def url_of(socket: Path, user: str = "jobs_read", password: str = "p%40ss%2Fword") -> str:
    return f"mysql://{user}:{password}@localhost/jobs?socket={socket}"


@pytest.fixture(params=["package", "program"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the Python package, and on a machine where it is not installed."""
    if request.param == "program":
        monkeypatch.setitem(sys.modules, "MySQLdb", None)
    return str(request.param)


def test_mysql_answers(mariadb: Path, way: str) -> None:
    answer = query("SELECT job_id, name FROM job ORDER BY job_id", "--json", "--sql-url", url_of(mariadb))
    assert answer.exit_code == 0, answer.stderr
    rows = json.loads(answer.stdout)
    odd = ODD if way == "package" else ODD.replace("\x1b", "").replace("\x01", "")
    assert [row["name"] for row in rows] == ["fit", odd, None]
    assert [str(row["job_id"]) for row in rows] == ["1", "2", "3"]
    table = query("SELECT status, count(*) FROM job GROUP BY status ORDER BY 1", "--sql-url", url_of(mariadb))
    assert [line.split() for line in table.stdout.splitlines()] == [["status", "count(*)"], ["D", "2"], ["F", "1"]]
    nothing = query("SELECT * FROM job WHERE job_id = 9", "--json", "--sql-url", url_of(mariadb))
    assert (nothing.exit_code, nothing.stderr) == (0, "no rows\n")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELEKT 1", 2),
        ("SELECT * FROM api_token", 5),
        ("DELETE FROM job", 5),
        ("SELECT 1 INTO OUTFILE '/tmp/jobmon-query-test'", 5),
        ("\\! touch {home}/made", 2),
    ],
)
def test_mysql_errors_have_their_exit_codes(mariadb: Path, way: str, home: Path, statement: str, code: int) -> None:
    answer = query(statement.format(home=home), "--sql-url", url_of(mariadb))
    assert (answer.exit_code, answer.stdout) == (code, ""), answer.stderr
    assert answer.stderr.startswith("Error: ")
    assert not (home / "made").exists()


def test_even_an_account_that_may_write_only_reads(mariadb: Path, way: str) -> None:
    answer = query("DELETE FROM job", "--sql-url", url_of(mariadb, "root", ""))
    assert answer.exit_code == 5
    assert "Only reading is allowed" in answer.stderr
    assert "3" in query("SELECT count(*) FROM job", "--sql-url", url_of(mariadb)).stdout


def test_a_wrong_password_is_not_allowed_and_silence_is_no_answer(mariadb: Path, way: str) -> None:
    answer = query("SELECT 1", "--sql-url", url_of(mariadb, password="geheim"))
    assert answer.exit_code == 5
    assert "geheim" not in answer.output
    assert query("SELECT 1", "--sql-url", url_of(mariadb.with_name("nothing"))).exit_code == 3


def test_without_any_client_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(ConfigError, match="mysqlclient"):
        sql.ask(sql.parse_address(Setting(url_of(home), "here")), "SELECT 1")
