"""From the start of a control script to the status "running", beside plain inserts of the very rows it led to.

    python bench/control_script.py [--jobs 100000] [--rounds 3] [--database sqlite|mariadb]

Ours is the wall time of `python bench/large_script.py`: Python's start, building the graph, sending it, checking and
storing it, starting the run. The baseline takes all rows of `job` and `job_edge` that came of it, and writes them with
the driver's `executemany`, in one transaction, into empty tables with the same columns, constraints and indexes, in the
same file system or server; reading the rows, making the tables and everything else are not counted.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from services import DATABASES, ROOT, Result, find_processes, open_server, read_peak_rss

from tests.services import EmbeddedServer

TABLES = ("job", "job_edge")
PARENTS = ("task_dag", "job_group")
PRAGMAS = (
    "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32768", "temp_store=MEMORY", "mmap_size=67108864",
    "wal_autocheckpoint=8000",
    "foreign_keys=ON",
)  # fmt: skip


def time_script(server: EmbeddedServer, jobs: int, workflow_args: str) -> float:
    """Seconds until the script has ended; the run that it has started must be running."""
    environment = {**os.environ, "JOBMON_SERVER": server.url, "JOBMON_TOKEN": server.token}
    begun = time.perf_counter()
    script = [sys.executable, str(ROOT / "bench" / "large_script.py"), str(jobs), workflow_args]
    subprocess.run(script, env=environment, stderr=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - begun
    statuses = server.query(f"SELECT status FROM workflow WHERE workflow_args = '{workflow_args}'")
    if statuses not in ([("R",)], [("D",)]):
        raise SystemExit(f"bench: the workflow is not running but {statuses}")
    return seconds


def insert_into_sqlite(server: EmbeddedServer, dag_id: int) -> float:
    """Seconds that the rows of one graph take in a new file beside the server's."""
    file = server.home.parent / "baseline.sqlite3"
    names = ", ".join(f"'{table}'" for table in (*PARENTS, *TABLES))
    schema = f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({names}) AND sql <> '' ORDER BY type = 'index'"
    rows = {table: server.query(sql) for table, sql in _select(dag_id).items()}
    parents = {table: server.query(f"SELECT * FROM {table}") for table in PARENTS}
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for pragma in PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        for (statement,) in server.query(schema):
            database.execute(statement)
        _insert(database, parents)
        begun = time.perf_counter()
        database.execute("BEGIN IMMEDIATE")
        _insert(database, rows)
        database.execute("COMMIT")
        return time.perf_counter() - begun


def _insert(database: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for table, found in rows.items():
        places = ", ".join("?" * len(found[0]))
        database.executemany(f"INSERT INTO {table} VALUES ({places})", found)


def insert_into_mariadb(server: EmbeddedServer, dag_id: int) -> float:
    """The same in new tables of the same server. They have no foreign keys, which helps the baseline."""
    import MySQLdb

    rows = {table: server.query(sql) for table, sql in _select(dag_id).items()}
    given: dict[str, Any] = {"unix_socket": server.environment["JOBMON_DB_HOST"], "user": "root", "charset": "utf8mb4"}
    with closing(MySQLdb.connect(db="jobmon", **given)) as database:
        cursor = database.cursor()
        for table in TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS plain_{table}")
            cursor.execute(f"CREATE TABLE plain_{table} LIKE {table}")
        begun = time.perf_counter()
        for table in TABLES:
            places = ", ".join(["%s"] * len(rows[table][0]))
            cursor.executemany(f"INSERT INTO plain_{table} VALUES ({places})", rows[table])
        database.commit()
        seconds = time.perf_counter() - begun
        for table in TABLES:
            cursor.execute(f"DROP TABLE plain_{table}")
        return seconds


def _select(dag_id: int) -> dict[str, str]:
    first_to_last = f"SELECT job_id FROM job WHERE dag_id = {dag_id}"
    return {
        "job": f"SELECT * FROM job WHERE dag_id = {dag_id} ORDER BY job_id",
        "job_edge": f"SELECT * FROM job_edge WHERE downstream_id IN ({first_to_last}) ORDER BY 1, 2",
    }


def measure_script(jobs: int, rounds: int, database: str) -> list[Result]:
    """Medians; script and baseline take turns. The run is stopped at once, so that it does not disturb the next turn."""
    insert = insert_into_sqlite if database == "sqlite" else insert_into_mariadb
    ours, plain = [], []
    with open_server(database, JOBMON_EXECUTORS="dummy", JOBMON_MAX_CONCURRENTLY_RUNNING="1") as server:
        for turn in range(1, rounds + 1):
            ours.append(time_script(server, jobs, f"script-{turn}"))
            _stop(server, turn)
            plain.append(insert(server, turn))
        edges = server.query("SELECT edge_count FROM task_dag")[0][0]
        peaks = {name: read_peak_rss(pid) for name, pid in find_processes(server).items()}
    what = f"{database}: script to running, {jobs:,} jobs, {edges:,} edges"
    pairs = sorted(our / own for our, own in zip(ours, plain, strict=True))
    told = f"executemany of the same rows; ratios {', '.join(f'{pair:.2f}' for pair in pairs)}"
    return [
        Result(what, statistics.median(ours), "s", statistics.median(plain), told),
        Result(f"{database}: peak of the web process meanwhile (RSS)", peaks["web"], "MB"),
    ]


def _stop(server: EmbeddedServer, run_id: int) -> None:
    from jobmon.api import Client

    client = Client(server=server.url, token=server.token)
    client.stop_run(run_id, "kill")
    deadline = time.monotonic() + 60
    while client.get_run(run_id)["status"] == "R" and time.monotonic() < deadline:
        time.sleep(0.1)
    client.close()


def main() -> None:
    from table import show

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    options = parser.parse_args()
    show(measure_script(options.jobs, options.rounds, options.database))


if __name__ == "__main__":
    main()
