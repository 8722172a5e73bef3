"""The baseline of all that stores: the very rows of a workflow, written by a driver's `executemany` and nothing else.

They go into tables with the same columns, constraints and indexes, in the same file system or the same MariaDB (there
without foreign keys, which helps the baseline), in one transaction for each step. Reading the rows from the server's
database, in pieces, is a part of the time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from processes import read_cpu
from services import is_on_mariadb, read_mariadb_pid

from tests.services import EmbeddedServer

GRAPH = ("job", "job_edge")
RUN = ("job_instance", "job_instance_status_log")
PIECE = 5_000
PRAGMAS = (
    "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32768", "temp_store=MEMORY", "mmap_size=67108864",
    "wal_autocheckpoint=8000",
)  # fmt: skip


@dataclass(frozen=True)
class BareRows:
    """Seconds and CPU seconds of the rows of a graph and of its run (those of MariaDB too), and the bytes of both."""

    graph: float
    graph_cpu: float
    run: float
    run_cpu: float
    bytes: float


def select_rows(server: EmbeddedServer, dag_id: int) -> dict[str, str]:
    """One statement for each table: the rows of a graph and of all its attempts."""
    jobs = f"SELECT job_id FROM job WHERE dag_id = {dag_id}"
    attempts = f"SELECT job_instance_id FROM job_instance WHERE job_id IN ({jobs})"
    rest = {
        "job": f"WHERE dag_id = {dag_id} ORDER BY job_id",
        "job_edge": f"WHERE downstream_id IN ({jobs}) ORDER BY 1, 2",
        "job_instance": f"WHERE job_id IN ({jobs}) ORDER BY job_instance_id",
        "job_instance_status_log": f"WHERE job_instance_id IN ({attempts}) ORDER BY id",
    }
    return {table: f"SELECT {list_columns(server, table)} FROM {table} {words}" for table, words in rest.items()}


def list_columns(server: EmbeddedServer, table: str) -> str:
    """Those that may be written: not the generated ones."""
    names = f"SELECT name FROM pragma_table_info('{table}')"
    if is_on_mariadb(server):
        names = (
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            f" AND table_name = '{table}' AND coalesce(generation_expression, '') = '' ORDER BY ordinal_position"
        )
    return ", ".join(name for (name,) in server.query(names))


def write_bare(server: EmbeddedServer, dag_id: int, has_run: bool = True) -> BareRows:
    """The rows of one graph and, if it has run, of its run."""
    write = _write_to_mariadb if is_on_mariadb(server) else _write_to_sqlite
    return write(server, select_rows(server, dag_id), (GRAPH, RUN) if has_run else (GRAPH,))


def measure_database(server: EmbeddedServer) -> float:
    """Bytes of the whole database of a server: of SQLite's file when its log is carried over, or of MariaDB's."""
    if is_on_mariadb(server):
        return _size_of_mariadb(server, "*.ibd")
    return float(server.query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")[0][0])


def _write_to_sqlite(server: EmbeddedServer, selects: dict[str, str], steps: Sequence[tuple[str, ...]]) -> BareRows:
    with closing(open_sqlite_copy(server)) as bare, closing(_open_source(server)) as source:
        before, spent = _size_of_sqlite(bare), []
        for tables in steps:
            begun, cpu = time.perf_counter(), time.process_time()
            bare.execute("BEGIN IMMEDIATE")
            for table in tables:
                insert_sqlite(bare, table, source.execute(selects[table]))
            bare.execute("COMMIT")
            spent.append((time.perf_counter() - begun, time.process_time() - cpu))
        return _sum_up(spent, _size_of_sqlite(bare) - before)


def _sum_up(spent: Sequence[tuple[float, float]], size: float) -> BareRows:
    graph, run = spent[0], spent[1] if len(spent) > 1 else (0.0, 0.0)
    return BareRows(*graph, *run, size)


def _open_source(server: EmbeddedServer) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{server.home / 'jobmon.sqlite3'}?mode=ro", uri=True, timeout=30)


def open_sqlite_copy(server: EmbeddedServer) -> sqlite3.Connection:
    """A new file beside the server's with all its tables, and the few rows that those of a graph refer to (without their
    generated columns, which no insert may name)."""
    file = server.home.parent / "bare.sqlite3"
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    bare = sqlite3.connect(file, isolation_level=None)
    for pragma in PRAGMAS:
        bare.execute(f"PRAGMA {pragma}")
    schema = "SELECT sql FROM sqlite_master WHERE sql <> '' AND name NOT LIKE 'sqlite_%' ORDER BY type = 'index'"
    for (statement,) in server.query(schema):
        bare.execute(statement)
    for table in ("task_dag", "job_group", "workflow", "workflow_run"):
        rows = server.query(f"SELECT {list_columns(server, table)} FROM {table}")
        insert_sqlite(bare, table, rows)
    bare.execute("PRAGMA foreign_keys=ON")
    return bare


def insert_sqlite(bare: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    names = [name for (name,) in bare.execute(f"SELECT name FROM pragma_table_info('{table}')")]
    bare.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)


def _size_of_sqlite(bare: sqlite3.Connection) -> float:
    return float(bare.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0])


def _write_to_mariadb(server: EmbeddedServer, selects: dict[str, str], steps: Sequence[tuple[str, ...]]) -> BareRows:
    import MySQLdb
    from MySQLdb.cursors import SSCursor

    given: dict[str, Any] = {"unix_socket": server.environment["JOBMON_DB_HOST"], "user": "root", "charset": "utf8mb4"}
    pid = read_mariadb_pid(server.environment)
    with (
        closing(MySQLdb.connect(db="jobmon", **given)) as bare,
        closing(MySQLdb.connect(db="jobmon", **given)) as source,
    ):
        cursor, spent = bare.cursor(), []
        for table in (table for tables in steps for table in tables):
            cursor.execute(f"DROP TABLE IF EXISTS plain_{table}")
            cursor.execute(f"CREATE TABLE plain_{table} LIKE {table}")
        before = _size_of_mariadb(server, "plain_*.ibd")
        for tables in steps:
            begun, cpu = time.perf_counter(), time.process_time() + read_cpu(pid)
            for table in tables:
                _copy_table(source.cursor(SSCursor), cursor, table, selects[table])
            bare.commit()
            spent.append((time.perf_counter() - begun, time.process_time() + read_cpu(pid) - cpu))
        size = _size_of_mariadb(server, "plain_*.ibd") - before
        for table in (table for tables in steps for table in tables):
            cursor.execute(f"DROP TABLE plain_{table}")
        return _sum_up(spent, size)


def _copy_table(source: Any, cursor: Any, table: str, select: str) -> None:
    source.execute(select)
    names = [column[0] for column in source.description]
    places = ", ".join(["%s"] * len(names))
    while rows := source.fetchmany(PIECE):
        cursor.executemany(f"INSERT INTO plain_{table} ({', '.join(names)}) VALUES ({places})", rows)
    source.close()


def _size_of_mariadb(server: EmbeddedServer, files: str) -> float:
    folder = Path(server.environment["JOBMON_DB_HOST"]).parent / "data" / "jobmon"
    return float(sum(path.stat().st_size for path in folder.glob(files)))


def time_transactions(server: EmbeddedServer, dag_id: int) -> list[float]:
    """Seconds of each job of a graph that has run on SQLite: its attempt, the moves of it and the status of the job,
    written in a transaction of their own."""
    selects = select_rows(server, dag_id)
    rows = {table: server.query(selects[table]) for table in (*GRAPH, "job_instance")}
    moves = _group_moves(server)
    with closing(open_sqlite_copy(server)) as bare:
        for table in GRAPH:
            insert_sqlite(bare, table, rows[table])
        jobs = dict(server.query("SELECT job_instance_id, job_id FROM job_instance"))
        return [_time_one(bare, row, moves[row[0]], jobs[row[0]]) for row in rows["job_instance"]]


def _group_moves(server: EmbeddedServer) -> dict[int, list[tuple[Any, ...]]]:
    """The rows of the moves of each attempt."""
    names = list_columns(server, "job_instance_status_log")
    found = server.query(f"SELECT job_instance_id, {names} FROM job_instance_status_log ORDER BY 1, id")
    return {number: [row[1:] for row in rows] for number, rows in groupby(found, key=itemgetter(0))}


def _time_one(
    bare: sqlite3.Connection, attempt: tuple[Any, ...], moves: Sequence[tuple[Any, ...]], job_id: int
) -> float:
    begun = time.perf_counter()
    bare.execute("BEGIN IMMEDIATE")
    insert_sqlite(bare, "job_instance", [attempt])
    insert_sqlite(bare, "job_instance_status_log", moves)
    bare.execute("UPDATE job SET status = 'D' WHERE job_id = ?", (job_id,))
    bare.execute("COMMIT")
    return time.perf_counter() - begun
