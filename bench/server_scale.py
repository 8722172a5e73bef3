"""Whole workflows of many sizes through a real server: registered, run and finished, with the dashboard open.

    python bench/server_scale.py [JOBS ...] [--database sqlite|mariadb] [--visitors 3]      default: 10000 100000 500000

Each size gets a server of its own (`manage.py serve`: web, worker, beat, Redis) whose only executor is the dummy one:
it runs nothing, so what is measured is ours. The graph has three upstreams a job and comes from a control script in a
process of its own. Meanwhile visitors with a session poll pages every two seconds, and every ten seconds a neighbour
runs a small workflow of ten jobs in a chain, which tells whether others starve.

`CPU` is that of the server's processes for each job, from the start of the run to its end: on a machine that others
use, too, it says more than the time. PSS is sampled (shared pages divided among those who share them), RSS is the
kernel's own peak and counts mapped pages of the database file. The ratio is the cost per job over that of the first
size.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from services import DATABASES, ROOT, PssWatch, Result, find_processes, open_server, read_cpu, read_peak_rss
from visitors import Visitor

from jobmon import BashTask, Workflow
from jobmon.api import Client
from jobmon.exceptions import JobmonError
from tests.services import EmbeddedServer

NEIGHBOUR_PAUSE = 10.0
LONGEST = 4 * 3600.0
PAGES = ("", "jobs/", "graph/", "timeline/")


@dataclass
class Outcome:
    """Of one size; times in seconds, memory in MB."""

    jobs: int
    edges: int
    registered: float
    finished: float
    cpu: float
    database_bytes: float
    largest_wal: float
    client_rss: float
    pss: dict[str, float]
    rss: dict[str, float]
    pages: list[float]
    neighbours: list[float]
    failures: list[str] = field(default_factory=list)


class Neighbour:
    """Somebody else's small workflows: seconds from submission to the end of each."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._client = Client(server=server.url, token=server.token)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.times: list[float] = []
        self.failures: list[str] = []

    def _work(self) -> None:
        number = 0
        while not self._over.wait(NEIGHBOUR_PAUSE):
            number += 1
            begun = time.perf_counter()
            try:
                self._run_one(number)
                self.times.append(time.perf_counter() - begun)
            except (JobmonError, AssertionError) as error:
                self.failures.append(f"neighbour {number}: {error}")

    def _run_one(self, number: int) -> None:
        workflow = Workflow(f"neighbour {number}", executor="dummy", working_dir="/tmp", client=self._client)
        tasks: list[BashTask] = []
        for link in range(10):
            tasks.append(BashTask(f"ok {number} {link}", name=f"n{link}", upstream_tasks=tasks[-1:]))
        workflow.add_tasks(tasks)
        workflow.run(wait=False)
        assert workflow.workflow_run_id is not None
        while self._client.get_run(workflow.workflow_run_id)["status"] == "R" and not self._over.is_set():
            time.sleep(0.05)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)


def register(server: EmbeddedServer, jobs: int) -> tuple[float, int, int]:
    """Seconds, the number of the workflow and of its run."""
    environment = {**os.environ, "JOBMON_SERVER": server.url, "JOBMON_TOKEN": server.token}
    begun = time.perf_counter()
    script = [sys.executable, str(ROOT / "bench" / "large_script.py"), str(jobs), "scale"]
    subprocess.run(script, env=environment, stderr=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - begun
    runs = "SELECT w.id, r.id FROM workflow w, workflow_run r WHERE r.workflow_id = w.id AND w.workflow_args = 'scale'"
    workflow_id, run_id = server.query(runs)[0]
    return seconds, workflow_id, run_id


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


def measure(jobs: int, database: str, visitors: int) -> Outcome:
    with open_server(database, JOBMON_EXECUTORS="dummy") as server, contextlib.ExitStack() as stack:
        client = Client(server=server.url, token=server.token)
        memory = stack.enter_context(PssWatch(server))
        neighbour = stack.enter_context(Neighbour(server))
        registered, workflow_id, run_id = register(server, jobs)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        pages = ["/", "/workflows/", *(f"/workflows/{workflow_id}/{page}" for page in PAGES)]
        links = [str(client.create_login_link()["url"]) for _ in range(visitors)]
        guests = [stack.enter_context(Visitor(server.url, link, pages)) for link in links]
        processes = find_processes(server)
        before, begun = sum(map(read_cpu, processes.values())), time.perf_counter()
        largest_wal = wait_for_end(server, client, run_id, jobs)
        finished, cpu = time.perf_counter() - begun, sum(map(read_cpu, processes.values())) - before
        dag = f"(SELECT dag_id FROM workflow WHERE id = {workflow_id})"
        done = server.query(f"SELECT count(*) FROM job WHERE dag_id = {dag} AND status = 'D'")[0][0]
        edges = server.query(f"SELECT edge_count FROM task_dag WHERE dag_id = {dag}")[0][0]
        rss = {name: read_peak_rss(pid) for name, pid in find_processes(server).items()}
        restarted = [name for name, pid in find_processes(server).items() if processes[name] != pid]
        size = (server.home / "jobmon.sqlite3").stat().st_size if database == "sqlite" else 0
    failures = [*neighbour.failures, *(words for guest in guests for words in guest.looks.failures)]
    failures += [f"{name} was restarted" for name in restarted] + ([] if done == jobs else [f"{done} jobs are done"])
    looks = [seconds for guest in guests for _, seconds in guest.looks.times]
    return Outcome(
        jobs, edges, registered, finished, cpu, size / jobs, largest_wal, children, memory.peaks, rss, looks,
        neighbour.times, failures,
    )  # fmt: skip


def _spread(times: Sequence[float]) -> str:
    if not times:
        return "none"
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):.2f} / {late:.2f} / {ordered[-1]:.2f} s of {len(ordered)}"


def show(outcome: Outcome, first: Outcome) -> None:
    jobs = outcome.jobs
    cost, cheap = outcome.cpu / jobs, first.cpu / first.jobs
    wall, short = outcome.finished / jobs, first.finished / first.jobs
    print(f"{jobs:,} jobs, {outcome.edges:,} edges; load {os.getloadavg()[0]:.1f}")
    print(f"  script to running   {outcome.registered:8.1f} s   {1e6 * outcome.registered / jobs:6.0f} us/job")
    print(
        f"  run to its end      {outcome.finished:8.1f} s   {1e6 * wall:6.0f} us/job   {wall / short:.2f} of the first size"
    )
    print(
        f"  CPU of the server   {outcome.cpu:8.1f} s   {1e6 * cost:6.0f} us/job   {cost / cheap:.2f} of the first size"
    )
    print(
        f"  database            {outcome.database_bytes:8.0f} bytes/job, its log at most {outcome.largest_wal:.0f} MB"
    )
    print(f"  peak PSS in MB      {', '.join(f'{name} {size:.0f}' for name, size in sorted(outcome.pss.items()))}")
    print(f"  peak RSS in MB      {', '.join(f'{name} {size:.0f}' for name, size in sorted(outcome.rss.items()))}")
    print(f"  peak RSS, script    {outcome.client_rss:8.0f} MB")
    print(f"  pages (median / 95 % / longest)           {_spread(outcome.pages)}")
    print(f"  neighbour's workflows, chains of ten      {_spread(outcome.neighbours)}")
    print(f"  went wrong          {'; '.join(outcome.failures[:5]) or 'nothing'}", flush=True)


def measure_server(sizes: Sequence[int], database: str) -> list[Result]:
    """The most telling of it as lines of a table; the baseline is the first size."""
    outcomes = [measure(jobs, database, visitors=3) for jobs in sizes]
    first = outcomes[0]
    against = f"{first.jobs:,} jobs"
    results = []
    for one in outcomes:
        if one.failures:
            raise SystemExit(f"bench: {one.jobs:,} jobs: {'; '.join(one.failures[:5])}")
        what = f"server, {database}: {one.jobs:,} jobs"
        results += [
            Result(
                f"{what}, run to the end",
                1e6 * one.finished / one.jobs,
                "us/job",
                1e6 * first.finished / first.jobs,
                against,
            ),
            Result(f"{what}, CPU", 1e6 * one.cpu / one.jobs, "us/job", 1e6 * first.cpu / first.jobs, against),
            Result(f"{what}, largest process (RSS)", max(one.rss.values()), "MB"),
            Result(f"{what}, pages meanwhile", statistics.median(one.pages or [0.0]), "s", told=_spread(one.pages)),
        ]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=int, nargs="*", default=[10_000, 100_000, 500_000])
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--visitors", type=int, default=3)
    options = parser.parse_args()
    first: Outcome | None = None
    for jobs in options.jobs:
        outcome = measure(jobs, options.database, options.visitors)
        first = first or outcome
        show(outcome, first)


if __name__ == "__main__":
    main()
