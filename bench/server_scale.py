"""Whole workflows of many sizes through a real server: registered, run and finished, with the dashboard open.

    python bench/server_scale.py [JOBS ...] [--database sqlite|mariadb] [--visitors 3]      default: 10000 500000

Each size gets a server of its own (`manage.py serve`: web, worker, beat, Redis) whose only executor is the dummy one:
it runs nothing, so what is measured is ours. The graph has three upstreams a job and comes from a control script in a
process of its own. Meanwhile visitors with a session poll pages every two seconds, and every ten seconds a neighbour
runs a small workflow of ten jobs in a chain, which tells whether others starve.

`CPU` is that of the server's processes (MariaDB's too) for each job, from the start of the run to its end: on a machine
that others use, too, it says more than the time. The baselines are the first size, the same rows written by a driver's
`executemany` (bare_rows.py), bare processes of the same kinds (bare_processes.py), and for pages and neighbour the same
when there is nobody else. PSS is sampled (shared pages divided among those who share them), RSS is the kernel's own peak
and counts mapped pages of the database file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bare_rows import BareRows, measure_database, write_bare
from control_script import Script, run_script
from neighbour import Neighbour
from processes import Memory, MemoryWatch, read_cpu
from services import DATABASES, find_processes, open_server
from visitors import Visitor

from jobmon.api import Client
from tests.services import EmbeddedServer
from tests.waiting import wait_until

LONGEST = 4 * 3600.0
PAGES = ("", "jobs/", "graph/", "timeline/")
LOOKS_AT_REST = 60
DEFAULT = (10_000, 500_000)


@dataclass(frozen=True)
class Run:
    """From the start of a run to its end: seconds, CPU seconds of each process, and the largest log of SQLite in MB."""

    seconds: float
    cpu: dict[str, float]
    largest_log: float


@dataclass
class Outcome:
    """Of one size on one database; times in seconds, memory in MB, bytes of the whole database beyond an empty one.
    `broken`: what must not be at all; `failures`: requests and neighbours that failed."""

    database: str
    jobs: int
    edges: int
    script: Script
    run: Run
    rows: BareRows
    bytes: float
    peaks: dict[str, Memory]
    pages: list[float]
    pages_at_rest: list[float]
    neighbours: list[float]
    neighbour_alone: float
    broken: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        return sum(self.run.cpu.values())


def watch_run(server: EmbeddedServer, client: Client, run_id: int, jobs: int) -> Run:
    """Until it has ended."""
    processes, begun = find_processes(server), time.perf_counter()
    before = {name: read_cpu(pid) for name, pid in processes.items()}
    largest = wait_for_end(server, client, run_id, jobs)
    seconds = time.perf_counter() - begun
    return Run(seconds, {name: read_cpu(pid) - before[name] for name, pid in processes.items()}, largest)


def wait_for_end(server: EmbeddedServer, client: Client, run_id: int, jobs: int) -> float:
    """The largest size that SQLite's log has meanwhile, in MB."""
    log = server.home / "jobmon.sqlite3-wal"
    largest = 0.0
    told = begun = time.perf_counter()
    while (run := client.get_run(run_id))["status"] == "R":
        if log.exists():
            largest = max(largest, log.stat().st_size / 1e6)
        if time.perf_counter() - told > 15:
            told = time.perf_counter()
            print(f"  {jobs}: {told - begun:.0f} s, {run['counts']}", file=sys.stderr, flush=True)
        if time.perf_counter() - begun > LONGEST:
            raise SystemExit("bench: the run does not end")
        time.sleep(0.2)
    if run["status"] != "D":
        raise SystemExit(f"bench: the run ended as {run['status']}: {run['counts']}")
    return largest


def look_at_rest(server: EmbeddedServer, client: Client, pages: Sequence[str]) -> Visitor:
    """One who looks at the same pages when all is done, one after the other."""
    link = str(client.create_login_link()["url"])
    with Visitor(server.url, link, pages, pause=0.02) as visitor:
        enough = LOOKS_AT_REST
        wait_until(lambda: len(visitor.looks.times) + len(visitor.looks.failures) >= enough, 300, "looks at rest")
    return visitor


def measure(jobs: int, database: str, visitors: int) -> Outcome:
    with open_server(database, JOBMON_EXECUTORS="dummy") as server:
        client = Client(server=server.url, token=server.token)
        empty, first = measure_database(server), find_processes(server)
        with contextlib.ExitStack() as stack:
            memory = stack.enter_context(MemoryWatch(lambda: find_processes(server)))
            neighbour = stack.enter_context(Neighbour(server))
            script = run_script(server, jobs, "scale", memory)
            workflow_id, run_id, dag_id, edges = find_scale(server)
            pages = ["/", "/workflows/", *(f"/workflows/{workflow_id}/{page}" for page in PAGES)]
            links = [str(client.create_login_link()["url"]) for _ in range(visitors)]
            guests = [stack.enter_context(Visitor(server.url, link, pages)) for link in links]
            run = watch_run(server, client, run_id, jobs)
        size = measure_database(server) - empty
        guests.append(look_at_rest(server, client, pages))
        rows = write_bare(server, dag_id)
        done = server.query(f"SELECT count(*) FROM job WHERE dag_id = {dag_id} AND status = 'D'")[0][0]
        broken = [f"{name} was restarted" for name, pid in find_processes(server).items() if first[name] != pid]
    broken += [] if done == jobs else [f"{done} jobs are done"]
    failures = [*neighbour.failures, *(words for guest in guests for words in guest.looks.failures)]
    looks, rest = (_seconds(some) for some in (guests[:-1], guests[-1:]))
    peaks = {**memory.peaks, "script": script.memory}
    return Outcome(
        database, jobs, edges, script, run, rows, size, peaks, looks, rest, neighbour.times, neighbour.alone, broken,
        failures,
    )  # fmt: skip


def find_scale(server: EmbeddedServer) -> tuple[int, int, int, int]:
    """The numbers of the workflow, its run and its graph, and the number of edges."""
    row = server.query(
        "SELECT w.id, r.id, w.dag_id, d.edge_count FROM workflow w JOIN workflow_run r ON r.workflow_id = w.id"
        " JOIN task_dag d ON d.dag_id = w.dag_id WHERE w.workflow_args = 'scale'"
    )[0]
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def _seconds(guests: Sequence[Visitor]) -> list[float]:
    return [seconds for guest in guests for _, seconds in guest.looks.times]


def main() -> None:
    from server_rows import measure_server
    from table import show

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=int, nargs="*", default=DEFAULT)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--visitors", type=int, default=3)
    options = parser.parse_args()
    results = measure_server(options.jobs, options.database, options.visitors)
    print(f"load {os.getloadavg()[0]:.1f}; ours, baseline, ratio")
    show(results)


if __name__ == "__main__":
    main()
