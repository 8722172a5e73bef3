"""Measures the embedded server beside baselines in the same run, since absolute times on shared machines mean little.

    make bench                                   all of it, as a table
    make bench BENCH="--json --only throughput"

Each measurement runs on a fresh temporary server (SQLite, local executor). Ratios are what to compare between runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobmon import BashTask, Workflow
from jobmon.api import Client
from tests.services import EmbeddedServer

SLOTS = os.cpu_count() or 1


@dataclass
class Result:
    """One line of the table. `ratio` is ours over the baseline, where there is one."""

    name: str
    ours: float
    unit: str
    baseline: float | None = None
    baseline_name: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None


@contextmanager
def fresh_server() -> Iterator[tuple[EmbeddedServer, Client, Path]]:
    with tempfile.TemporaryDirectory(prefix="jobmon-bench-") as folder:
        server = EmbeddedServer(Path(folder) / "home", JOBMON_LOCAL_SLOTS=str(SLOTS))
        try:
            server.start()
            yield server, Client(server=server.url, token=server.token), Path(folder)
        finally:
            server.close()


class MemoryWatch:
    """The peak of the memory of all processes of a server, shared pages counted once (PSS), in MB."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.idle = self.measure()
        self.peak = self.idle

    def measure(self) -> float:
        assert self._server.process is not None
        pids = [self._server.process.pid, *self._server.parts.values()]
        return sum(_pss(pid) for pid in pids) / 1024

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak = max(self.peak, self.measure())

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def run_to_end(client: Client, tasks: list[BashTask], folder: Path) -> tuple[Workflow, float]:
    """Submit and run; the seconds are from the start of the run to its end, as the caller sees them."""
    workflow = Workflow(workflow_args="bench", working_dir=str(folder), client=client)
    workflow.add_tasks(tasks)
    begun = time.perf_counter()
    if not workflow.run():
        raise SystemExit("bench: the workflow did not succeed")
    return workflow, time.perf_counter() - begun


def measure_throughput(jobs: int) -> list[Result]:
    """Independent jobs that do nothing, from submission to the last result, against xargs."""
    with fresh_server() as (server, client, folder), MemoryWatch(server) as memory:
        tasks = [BashTask(f": {number}", name=f"job_{number}", mem_free=0.001) for number in range(jobs)]
        _, seconds = run_to_end(client, tasks, folder)
    numbers = "\n".join(map(str, range(jobs))).encode()
    begun = time.perf_counter()
    subprocess.run(["xargs", f"-P{SLOTS}", "-n1", "sh", "-c", ":"], input=numbers, check=True)
    baseline = time.perf_counter() - begun
    return [
        Result(f"{jobs} independent no-op jobs", seconds, "s", baseline, f"xargs -P{SLOTS} -n1 sh -c :"),
        Result("jobs per second", jobs / seconds, "1/s", jobs / baseline, "the same"),
        Result("memory of all processes, idle (PSS)", memory.idle, "MB"),
        Result(f"memory of all processes, peak during {jobs} jobs (PSS)", memory.peak, "MB"),
    ]


def _seconds_between(rows: list[tuple[Any, ...]]) -> list[float]:
    times = [datetime.fromisoformat(str(row[0])).timestamp() for row in rows]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def measure_chain(length: int) -> list[Result]:
    """From the end of one job to the end of the next, which needs it: median and worst, against `sh -c :` in a row."""
    with fresh_server() as (server, client, folder):
        tasks: list[BashTask] = []
        for number in range(length):
            tasks.append(BashTask(f": {number}", name=f"link_{number}", upstream_tasks=tasks[-1:], mem_free=0.001))
        run_to_end(client, tasks, folder)
        hops = _seconds_between(server.query("SELECT ended_at FROM job_instance ORDER BY job_instance_id"))
    begun = time.perf_counter()
    for _ in range(length):
        subprocess.run(["sh", "-c", ":"], check=True)
    baseline = (time.perf_counter() - begun) / length * 1000
    return [
        Result(f"chain of {length}: median time per hop", statistics.median(hops) * 1000, "ms", baseline, "sh -c :"),
        Result(f"chain of {length}: longest hop", max(hops) * 1000, "ms"),
    ]


def measure_registration(jobs: int) -> list[Result]:
    """A graph of jobs with two upstreams each, from the client's list of tasks to committed rows, against plain
    inserts of as many rows into a scratch SQLite file."""
    edges = [(number - back, number) for number in range(jobs) for back in (1, 2) if number >= back]
    with fresh_server() as (server, client, folder), MemoryWatch(server) as memory:
        tasks: list[BashTask] = []
        for number in range(jobs):
            tasks.append(BashTask(f"true {number}", name=f"job_{number}", upstream_tasks=tasks[-2:], mem_free=0.001))
        workflow = Workflow(workflow_args="register", working_dir=str(folder), client=client)
        workflow.add_tasks(tasks)
        begun = time.perf_counter()
        workflow.bind()
        seconds = time.perf_counter() - begun
        baseline = _insert_plainly(folder / "scratch.sqlite3", jobs, edges)
    return [
        Result(f"register {jobs} jobs, {len(edges)} edges", seconds, "s", baseline, "executemany of as many rows"),
        Result("memory of all processes, peak during registration (PSS)", memory.peak, "MB"),
    ]


def _insert_plainly(path: Path, jobs: int, edges: list[tuple[int, int]]) -> float:
    rows = [(n, 1, f"{n:064x}", f"job_{n}", f"true {n}", "", "G", 2, "2026-01-01 00:00:00") for n in range(jobs)]
    begun = time.perf_counter()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, dag, hash, name, command, tag, status, left_, at)")
        database.execute("CREATE TABLE edge (up INTEGER, down INTEGER, PRIMARY KEY (up, down)) WITHOUT ROWID")
        database.executemany("INSERT INTO job VALUES (?,?,?,?,?,?,?,?,?)", rows)
        database.executemany("INSERT INTO edge VALUES (?,?)", edges)
        database.execute("CREATE UNIQUE INDEX job_name ON job (dag, name)")
        database.execute("CREATE UNIQUE INDEX job_hash ON job (dag, hash)")
        database.execute("CREATE INDEX job_ready ON job (dag, status, left_, id)")
        database.execute("CREATE INDEX edge_up ON edge (down, up)")
        database.commit()
    return time.perf_counter() - begun


def show(results: list[Result]) -> None:
    width = max(len(result.name) for result in results)
    for result in results:
        line = f"{result.name:<{width}}  {result.ours:10.2f} {result.unit:<4}"
        if result.baseline is not None and result.ratio is not None:
            line += f"  {result.baseline:10.2f} {result.unit:<4} ratio {result.ratio:8.2f}  ({result.baseline_name})"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    parser.add_argument("--only", choices=["throughput", "chain", "registration"], help="one measurement")
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of the throughput measurement")
    parser.add_argument("--chain", type=int, default=50, help="length of the chain")
    parser.add_argument("--register", type=int, default=10_000, help="jobs to register")
    options = parser.parse_args()
    measurements: dict[str, Callable[[], list[Result]]] = {
        "throughput": lambda: measure_throughput(options.jobs),
        "chain": lambda: measure_chain(options.chain),
        "registration": lambda: measure_registration(options.register),
    }
    chosen = [options.only] if options.only else list(measurements)
    results = [result for name in chosen for result in measurements[name]()]
    if options.json:
        print(json.dumps([{**asdict(result), "ratio": result.ratio} for result in results], indent=2))
    else:
        print(f"{SLOTS} slots, load {os.getloadavg()[0]:.1f}; ours, baseline, ratio")
        show(results)


if __name__ == "__main__":
    main()
