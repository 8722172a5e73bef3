"""Jobs that do nothing through the whole server: on the local executor beside shells that are started by hand, on the
dummy one beside the rows that come of them."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bare_processes import measure_bare
from bare_rows import time_transactions, write_bare
from processes import Memory, MemoryWatch, memory_rows, read_children_cpu, read_cpu
from services import SLOTS, Result, find_processes, open_server

from jobmon import BashTask, Workflow
from jobmon.api import Client
from tests.services import EmbeddedServer

XARGS = f"xargs -P{SLOTS} -n1 sh -c :"


@dataclass(frozen=True)
class Spent:
    """Seconds of wall clock and of CPU."""

    wall: float
    cpu: float


def measure_throughput(jobs: int) -> list[Result]:
    return [*_measure_local(jobs), *_measure_dummy(jobs)]


def _measure_local(jobs: int) -> list[Result]:
    """Independent jobs that do nothing, as one workflow: from the first call of the script's `run` to its result. As
    many by xargs go before it and after it, so that what else the machine does touches both."""
    bare = measure_bare()
    with open_server(JOBMON_LOCAL_SLOTS=str(SLOTS)) as server, MemoryWatch(lambda: find_processes(server)) as memory:
        idle = memory.sum
        client = Client(server=server.url, token=server.token)
        processes = find_processes(server)
        plain = [run_xargs(jobs)]
        before, shells = _read_all(processes), read_children_cpu(processes["shepherd"])
        took = run_to_end(client, "bench", make_independent(jobs, ":"), server.home.parent)
        after = _read_all(processes)
        shells = read_children_cpu(processes["shepherd"]) - shells
        plain.append(run_xargs(jobs))
        check_successes(server, jobs)
    used = {name: after[name] - before[name] for name in processes}
    what = f"local: {jobs:,} no-op jobs"
    rates = " and ".join(f"{jobs / one.wall:,.0f}" for one in plain)
    own, total = 1000 * sum(used.values()) / jobs, 1000 * (sum(used.values()) + shells) / jobs
    by_hand = 1000 * statistics.mean(one.cpu for one in plain) / jobs
    all_bare = sum_pss(bare, processes)
    return [
        Result(f"{what}, done and recorded", jobs / took, "1/s", jobs * len(plain) / sum(one.wall for one in plain),
               XARGS, f"before and after {rates}"),
        Result(f"{what}, CPU with their shells", total, "ms/job", by_hand, XARGS),
        Result(f"{what}, CPU of the server's own processes", own, "ms/job", by_hand, XARGS, _tell(used, 1000 / jobs)),
        Result("local: memory of all processes, idle (PSS)", idle, "MB", all_bare, "bare processes"),
        Result(f"{what}, memory of all processes (PSS)", memory.sum, "MB", all_bare, "bare processes"),
        *memory_rows("local", memory.peaks, bare),
    ]  # fmt: skip


def _measure_dummy(jobs: int) -> list[Result]:
    """The same on the dummy executor, which starts nothing: what is left is the server's own."""
    with open_server(JOBMON_EXECUTORS="dummy") as server:
        client = Client(server=server.url, token=server.token)
        processes = find_processes(server)
        before = _read_all(processes)
        took = run_to_end(client, "bench", make_independent(jobs, "ok"), server.home.parent, "dummy")
        after = _read_all(processes)
        check_successes(server, jobs)
        rows = write_bare(server, 1)
    used = {name: after[name] - before[name] for name in processes}
    what = f"dummy: {jobs:,} jobs"
    inserts = "executemany of the rows that come of them"
    return [
        Result(f"{what}, submitted, done and recorded", jobs / took, "1/s", jobs / (rows.graph + rows.run), inserts),
        Result(f"{what}, CPU of the server's processes", 1000 * sum(used.values()) / jobs, "ms/job",
               1000 * (rows.graph_cpu + rows.run_cpu) / jobs, inserts, _tell(used, 1000 / jobs)),
    ]  # fmt: skip


def _read_all(processes: dict[str, int]) -> dict[str, float]:
    return {name: read_cpu(pid) for name, pid in processes.items()}


def _tell(used: dict[str, float], factor: float) -> str:
    """The dearest first."""
    dear = sorted(used.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {spent * factor:.2f}" for name, spent in dear if spent * factor >= 0.005)


def sum_pss(bare: dict[str, Memory], processes: dict[str, int]) -> float:
    return sum(bare[name].pss for name in processes)


def check_successes(server: EmbeddedServer, jobs: int) -> None:
    recorded = server.query("SELECT count(*) FROM job_instance WHERE status = 'D' AND exit_code = 0")[0][0]
    if recorded != jobs:
        raise SystemExit(f"bench: {recorded} successes of {jobs} are recorded")


def make_independent(jobs: int, command: str) -> list[BashTask]:
    return [BashTask(f"{command} # {number}", name=f"job_{number}", mem_free=0.001) for number in range(jobs)]


def run_to_end(
    client: Client, workflow_args: str, tasks: list[BashTask], folder: Path, executor: str = "local"
) -> float:
    """Submit and run; seconds until the caller knows of the end."""
    workflow = Workflow(workflow_args, working_dir=str(folder), client=client, executor=executor)
    workflow.add_tasks(tasks)
    begun = time.perf_counter()
    if not workflow.run():
        raise SystemExit("bench: the workflow did not succeed")
    return time.perf_counter() - begun


def run_xargs(jobs: int) -> Spent:
    """With the CPU of all its shells."""
    numbers = "\n".join(map(str, range(jobs))).encode()
    begun = time.perf_counter()
    process = subprocess.Popen(XARGS.split(), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(numbers)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"bench: xargs ended with {process.returncode}")
    return Spent(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime)


def measure_chain(length: int) -> list[Result]:
    """From the end of one job to the end of the next, which needs it."""
    with open_server(JOBMON_LOCAL_SLOTS=str(SLOTS)) as server:
        local = _measure_hops(server, length, "local", ":")
    with open_server(JOBMON_EXECUTORS="dummy") as server:
        dummy = _measure_hops(server, length, "dummy", "ok")
        transactions = time_transactions(server, 1)
    return [
        *_hop_rows(f"local: chain of {length}", local, _time_shells(length), "sh -c : in a row"),
        *_hop_rows(f"dummy: chain of {length}", dummy, transactions, "a transaction for each job, with its rows"),
    ]


def _measure_hops(server: EmbeddedServer, length: int, executor: str, command: str) -> list[float]:
    tasks: list[BashTask] = []
    for number in range(length):
        upstreams = tasks[-1:]
        tasks.append(BashTask(f"{command} # {number}", name=f"link_{number}", upstream_tasks=upstreams, mem_free=0.001))
    run_to_end(Client(server=server.url, token=server.token), "chain", tasks, server.home.parent, executor)
    rows = server.query("SELECT ended_at FROM job_instance ORDER BY job_instance_id")
    times = [datetime.fromisoformat(str(row[0])).timestamp() for row in rows]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def _time_shells(count: int) -> list[float]:
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        subprocess.run(["sh", "-c", ":"], check=True)
        times.append(time.perf_counter() - begun)
    return times


def _hop_rows(what: str, ours: Sequence[float], plain: Sequence[float], against: str) -> list[Result]:
    kinds = {"median": statistics.median, "mean": statistics.mean, "longest": max}
    return [
        Result(f"{what}, {name} hop", 1000 * tell(ours), "ms", 1000 * tell(plain), against)
        for name, tell in kinds.items()
    ]
