"""How long a busy run waits for its turn beside others: `python bench/run.py --only fairness`.

Each workflow has four chains of jobs of 50 ms on the dummy executor, so that each would start jobs all the time. Measured
is the longest time in which a run started nothing; the baseline is the same for one workflow that has the server to
itself."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from datetime import datetime

from services import Result, open_server

from jobmon import BashTask, Workflow
from jobmon.api import Client
from tests.services import EmbeddedServer
from tests.waiting import wait_until

CHAINS, LENGTH, SECONDS = 4, 100, 0.05
PATIENCE = 600.0


def measure_fairness(runs: int) -> list[Result]:
    with open_server(JOBMON_EXECUTORS="dummy") as server:
        alone = _run_together(server, ["alone"])
        beside = _run_together(server, [f"beside {number}" for number in range(runs)])
    gaps, first = [gap for gap, _ in beside], [wait for _, wait in beside]
    return [
        Result(
            f"longest wait of a run beside {runs - 1} others, median", statistics.median(gaps), "s", *_alone(alone[0])
        ),
        Result(f"longest wait of a run beside {runs - 1} others, worst", max(gaps), "s", *_alone(alone[0])),
        Result("from the start of a run to its first job, worst", max(first), "s", alone[0][1], "one run alone"),
    ]


def _alone(times: tuple[float, float]) -> tuple[float, str]:
    return times[0], "one run alone"


def _run_together(server: EmbeddedServer, names: Sequence[str]) -> list[tuple[float, float]]:
    """Of each run, in seconds: the longest time between two of its starts, and the time to its first."""
    client = Client(server=server.url, token=server.token)
    flows = [_describe(name, client) for name in names]
    for flow in flows:
        flow.bind()
    for flow in flows:
        flow.run(wait=False)
    wait_until(lambda: not _count_running(server), PATIENCE, "the end of all runs")
    return [_read_times(server, flow.workflow_run_id) for flow in flows]


def _describe(name: str, client: Client) -> Workflow:
    flow = Workflow(f"fairness {name}", executor="dummy", working_dir="/tmp", client=client)
    tasks: list[BashTask] = []
    for number in range(CHAINS * LENGTH):
        upstreams = tasks[-CHAINS : len(tasks) - CHAINS + 1] if number >= CHAINS else []
        command = f"ok runs={SECONDS} # {name} {number}"
        tasks.append(BashTask(command, name=f"job_{number}", upstream_tasks=upstreams, mem_free=0.001))
    flow.add_tasks(tasks)
    return flow


def _count_running(server: EmbeddedServer) -> int:
    return int(server.query("SELECT count(*) FROM workflow_run WHERE status='R'")[0][0])


def _read_times(server: EmbeddedServer, run_id: int | None) -> tuple[float, float]:
    starts = f"SELECT submitted_date FROM job_instance WHERE workflow_run_id={run_id} ORDER BY submitted_date"
    times = [_read_moment(row[0]) for row in server.query(starts)]
    created = _read_moment(server.query(f"SELECT created_date FROM workflow_run WHERE id={run_id}")[0][0])
    return max(after - before for before, after in itertools.pairwise(times)), times[0] - created


def _read_moment(value: object) -> float:
    return datetime.fromisoformat(str(value)).timestamp()
