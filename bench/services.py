"""What the measurements share: real servers in temporary folders, and what their processes use."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.services import EmbeddedServer, MariaDB, run_mariadb  # noqa: E402 - the line above lets it be found

SLOTS = os.cpu_count() or 1
TICK = os.sysconf("SC_CLK_TCK")
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
        given = stack.enter_context(_open_mariadb(folder / "mariadb")) if database == "mariadb" else {}
        server = EmbeddedServer(folder / "home", given, **environment)
        stack.callback(server.close)
        yield server.start()


@contextmanager
def _open_mariadb(folder: Path) -> Iterator[dict[str, str]]:
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
    """Name → pid of all processes of a server, its supervisor among them."""
    assert server.process is not None
    return {"serve": server.process.pid, **server.parts}


def read_peak_rss(pid: int) -> float:
    """The largest resident memory so far in MB (VmHWM), as the kernel has kept it; mapped files are part of it."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmHWM:")), 0.0)


def read_pss(pid: int) -> float:
    """Memory in MB, shared pages divided among those who share them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def read_cpu(pid: int) -> float:
    """CPU seconds of a process so far, without its children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


class PssWatch:
    """The peak of the PSS of each process of a server and of their sum, in MB, looked at every so many seconds."""

    def __init__(self, server: EmbeddedServer, every: float = 0.5) -> None:
        self._server = server
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peaks: dict[str, float] = {}
        self.sum = 0.0

    def look(self) -> float:
        found = {name: read_pss(pid) for name, pid in find_processes(self._server).items()}
        for name, size in found.items():
            self.peaks[name] = max(size, self.peaks.get(name, 0.0))
        total = sum(found.values())
        self.sum = max(self.sum, total)
        return total

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self.look()

    def __enter__(self) -> PssWatch:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
