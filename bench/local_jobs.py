"""No-op jobs on the local executor through the whole server, beside shells that are started by hand."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from services import SLOTS, PssWatch, Result, find_processes, open_server, read_cpu

from jobmon import BashTask, Workflow
from jobmon.api import Client


def measure_throughput(jobs: int) -> list[Result]:
    """Independent jobs that do nothing, as one workflow: from the first call of the script's `run` to its result. As
    many by xargs go before it and after it, so that what else the machine does touches both."""
    with open_server(JOBMON_LOCAL_SLOTS=str(SLOTS)) as server, PssWatch(server) as memory:
        idle = memory.sum
        client = Client(server=server.url, token=server.token)
        processes = find_processes(server)
        plain = [run_xargs(jobs)]
        before = {name: read_cpu(pid) for name, pid in processes.items()}
        took = run_to_end(client, "bench", make_independent(jobs), server.home.parent)
        used = {name: read_cpu(pid) - before[name] for name, pid in processes.items()}
        plain.append(run_xargs(jobs))
        recorded = server.query("SELECT count(*) FROM job_instance WHERE status = 'D' AND exit_code = 0")[0][0]
        peaks = dict(memory.peaks)
    if recorded != jobs:
        raise SystemExit(f"bench: {recorded} successes are recorded")
    rates = " and ".join(f"{jobs / seconds:,.0f}" for seconds in plain)
    dearest = ", ".join(f"{name} {1000 * spent / jobs:.2f}" for name, spent in sorted(used.items()) if spent)
    return [
        Result(f"local: {recorded:,} no-op jobs, done and recorded", jobs / took, "1/s",
               jobs * len(plain) / sum(plain), f"xargs -P{SLOTS} -n1 sh -c :, before and after: {rates}"),
        Result("local: CPU of the server's own processes", 1000 * sum(used.values()) / jobs, "ms/job", told=dearest),
        Result("memory of all processes, idle (PSS)", idle, "MB"),
        Result("memory of all processes, peak during these jobs (PSS)", memory.sum, "MB"),
        *(Result(f"  of which {name}", size, "MB") for name, size in sorted(peaks.items())),
    ]  # fmt: skip


def make_independent(jobs: int) -> list[BashTask]:
    return [BashTask(f": {number}", name=f"job_{number}", mem_free=0.001) for number in range(jobs)]


def run_to_end(client: Client, workflow_args: str, tasks: list[BashTask], folder: Path) -> float:
    """Submit and run; seconds until the caller knows of the end."""
    workflow = Workflow(workflow_args, working_dir=str(folder), client=client)
    workflow.add_tasks(tasks)
    begun = time.perf_counter()
    if not workflow.run():
        raise SystemExit("bench: the workflow did not succeed")
    return time.perf_counter() - begun


def run_xargs(jobs: int) -> float:
    numbers = "\n".join(map(str, range(jobs))).encode()
    begun = time.perf_counter()
    subprocess.run(["xargs", f"-P{SLOTS}", "-n1", "sh", "-c", ":"], input=numbers, check=True)
    return time.perf_counter() - begun


def measure_chain(length: int) -> list[Result]:
    """From the end of one job to the end of the next, which needs it: median and worst, against `sh -c :` in a row."""
    with open_server(JOBMON_LOCAL_SLOTS=str(SLOTS)) as server:
        tasks: list[BashTask] = []
        for number in range(length):
            tasks.append(BashTask(f": {number}", name=f"link_{number}", upstream_tasks=tasks[-1:], mem_free=0.001))
        run_to_end(Client(server=server.url, token=server.token), "chain", tasks, server.home.parent)
        hops = _seconds_between(server.query("SELECT ended_at FROM job_instance ORDER BY job_instance_id"))
    begun = time.perf_counter()
    for _ in range(length):
        subprocess.run(["sh", "-c", ":"], check=True)
    baseline = (time.perf_counter() - begun) / length * 1000
    mean = sum(hops) / len(hops) * 1000
    return [
        Result(
            f"local: chain of {length}, median hop", statistics.median(hops) * 1000, "ms", baseline, "sh -c : in a row"
        ),
        Result(f"local: chain of {length}, mean hop", mean, "ms", baseline, "the same"),
        Result(f"local: chain of {length}, longest hop", max(hops) * 1000, "ms"),
    ]


def _seconds_between(rows: list[tuple[Any, ...]]) -> list[float]:
    times = [datetime.fromisoformat(str(row[0])).timestamp() for row in rows]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def measure_idle(seconds: float) -> list[Result]:
    """What a server costs to which nobody comes, after it has settled for some seconds."""
    with open_server() as server:
        time.sleep(10)
        processes = find_processes(server)
        before = {name: read_cpu(pid) for name, pid in processes.items()}
        with PssWatch(server, every=seconds / 4) as memory:
            time.sleep(seconds)
        used = {name: read_cpu(pid) - before[name] for name, pid in processes.items()}
    dearest = ", ".join(f"{name} {100 * spent / seconds:.2f}" for name, spent in sorted(used.items()) if spent)
    return [
        Result(f"idle server, over {seconds:.0f} s", 100 * sum(used.values()) / seconds, "% of a core", told=dearest),
        Result("idle server, all processes (PSS)", memory.sum, "MB"),
    ]
