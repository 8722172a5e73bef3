"""How many no-op jobs a second the shepherd and its wrapper start and record, next to `xargs -P` in the same run.

python bench/local_rate.py [JOBS] [SLOTS]
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from executors.base import ExecutorUnavailable, JobSpec, Resources
from executors.local import LocalExecutor, shepherd_command
from executors.local_spool import LocalSpool


def measure_xargs(jobs: int, slots: int) -> float:
    numbers = "\n".join(map(str, range(jobs)))
    began = time.monotonic()
    subprocess.run(["xargs", f"-P{slots}", "-n1", "sh", "-c", ":"], input=numbers, text=True, check=True)
    return jobs / (time.monotonic() - began)


def wait_until_up(executor: LocalExecutor, deadline: float) -> None:
    while True:
        with contextlib.suppress(ExecutorUnavailable):
            executor.poll()
            return
        if time.monotonic() > deadline:
            raise SystemExit("the shepherd did not come up")
        time.sleep(0.01)


def submit(executor: LocalExecutor, jobs: int, first: int = 1) -> None:
    for start in range(first, first + jobs, 500):
        numbers = range(start, min(start + 500, first + jobs))
        specs = [JobSpec(n, 1, f"bench-{n}", f"bench-{n}", 0, ":", Resources(mem_free=0)) for n in numbers]
        executor.submit(specs)


def measure_local(executor: LocalExecutor, spool: LocalSpool, jobs: int) -> float:
    began = time.monotonic()
    submit(executor, jobs)
    while len(spool.hints()) < jobs:
        time.sleep(0.05)
    rate = jobs / (time.monotonic() - began)
    codes = {evidence.exit and evidence.exit.code for evidence in spool.read(range(1, jobs + 1)).values()}
    if codes != {0}:
        raise SystemExit(f"not all jobs succeeded: exit codes {codes}")
    return rate


def measure_latency(executor: LocalExecutor, spool: LocalSpool, first: int, rounds: int = 30) -> float:
    """Median milliseconds from the call of submit to the hint that the job has ended."""
    times = []
    for number in range(first, first + rounds):
        began = time.monotonic()
        submit(executor, 1, number)
        while not (spool.ended / f"1.{number}").exists():
            time.sleep(0.0005)
        times.append(time.monotonic() - began)
    return sorted(times)[rounds // 2] * 1000


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    jobs, slots = (*given, *(2000, 2)[len(given) :])
    with tempfile.TemporaryDirectory() as folder:
        spool = LocalSpool(Path(folder) / "spool")
        spool.create()
        command = shepherd_command(spool.root, Path(folder) / "sockets", slots, 1000.0)
        process = subprocess.Popen(command, env={})
        try:
            executor = LocalExecutor("local", spool, Path(folder) / "sockets", slots=slots, memory=1000.0)
            wait_until_up(executor, time.monotonic() + 10)
            xargs = measure_xargs(jobs, slots)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            local = measure_local(executor, spool, jobs)
            latency = measure_latency(executor, spool, jobs + 1)
        finally:
            process.terminate()
            process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{jobs} no-op jobs, {slots} at a time")
    print(f"xargs     {xargs:8.0f} jobs/s")
    print(f"shepherd  {local:8.0f} jobs/s ({local / xargs:.2f} of xargs), {1000 * cpu / jobs:.2f} ms CPU per job")
    print(f"latency   {latency:8.1f} ms from submit to the recorded end, median")


if __name__ == "__main__":
    main()
