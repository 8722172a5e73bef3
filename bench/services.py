"""What the measurements share: real servers in temporary folders, and a line of the table."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.services import EmbeddedServer, MariaDB, run_mariadb  # noqa: E402 - the line above lets it be found

SLOTS = os.cpu_count() or 1
DATABASES = ("sqlite", "mariadb")


@dataclass
class Result:
    """One line of the table. `ratio` is ours over the baseline, where there is one; `told` what else is to be known."""

    name: str
    ours: float
    unit: str
    baseline: float | None = None
    baseline_name: str = ""
    told: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None


@contextmanager
def open_server(database: str = "sqlite", **environment: str) -> Iterator[EmbeddedServer]:
    """A server of its own, gone afterwards. With "mariadb" a MariaDB of its own beside it."""
    with tempfile.TemporaryDirectory(prefix="jobmon-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        given = stack.enter_context(open_mariadb(folder / "mariadb")) if database == "mariadb" else {}
        server = EmbeddedServer(folder / "home", given, **environment)
        stack.callback(server.close)
        yield server.start()


@contextmanager
def open_mariadb(folder: Path) -> Iterator[dict[str, str]]:
    database = MariaDB(folder)
    database.start()
    try:
        run_mariadb(database.socket, "CREATE DATABASE jobmon CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        yield {
            "JOBMON_DB": "mysql",
            "JOBMON_DB_HOST": str(database.socket),
            "JOBMON_DB_USER": "root",
            "JOBMON_DB_NAME": "jobmon",
        }
    finally:
        database.stop()


def find_processes(server: EmbeddedServer) -> dict[str, int]:
    """Name → pid of all processes of a server, its supervisor and its MariaDB among them."""
    assert server.process is not None
    found = {"serve": server.process.pid, **server.parts}
    return {**found, "mariadb": read_mariadb_pid(server.environment)} if is_on_mariadb(server) else found


def is_on_mariadb(server: EmbeddedServer) -> bool:
    return "JOBMON_DB_HOST" in server.environment


def read_mariadb_pid(environment: Mapping[str, str]) -> int:
    """Of the MariaDB that belongs to the server with this environment."""
    return int((Path(environment["JOBMON_DB_HOST"]).parent / "pid").read_text())
