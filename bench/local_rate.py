"""How many no-op jobs a second the shepherd and its wrapper start and record, next to `xargs -P` in the same run.

python bench/local_rate.py [JOBS] [SLOTS] [FOLDER]

Both take turns, so that what else the machine does touches both; the medians of the rounds are printed. `xargs` starts
one shell a job. A job of ours is a wrapper and a bash of its own, so two shells without anything around them are
measured too: that is the floor. Where many files were deleted in the last minutes ext4 creates new ones several times
slower (it passes over their inodes one by one), and this program deletes all it made. So FOLDER is in memory unless
another is given; on a disk only the first run in some minutes tells the truth.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from executors.base import ExecutorUnavailable, JobSpec, Resources
from executors.local import LocalExecutor, shepherd_command
from executors.local_spool import LocalSpool

ROUNDS = 5
MEMORY = Path("/dev/shm")
TICK = os.sysconf("SC_CLK_TCK")
TWO_SHELLS = "/bin/bash -c :; exit 0"


def measure_xargs(jobs: int, slots: int, command: str = ":") -> float:
    numbers = "\n".join(map(str, range(jobs)))
    began = time.monotonic()
    subprocess.run(["xargs", f"-P{slots}", "-n1", "sh", "-c", command], input=numbers, text=True, check=True)
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


def measure_local(executor: LocalExecutor, spool: LocalSpool, jobs: int, first: int) -> float:
    began = time.monotonic()
    submit(executor, jobs, first)
    while len(spool.hints()) < jobs:
        time.sleep(0.02)
    rate = jobs / (time.monotonic() - began)
    codes = {evidence.exit and evidence.exit.code for evidence in spool.read(range(first, first + jobs)).values()}
    if codes != {0}:
        raise SystemExit(f"not all jobs succeeded: exit codes {codes}")
    spool.clear_hints(spool.hints())
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
    return statistics.median(times) * 1000


def read_cpu(pid: int) -> tuple[float, float]:
    """CPU seconds of a process itself, and of its children that were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return own / TICK, children / TICK


def report(executor: LocalExecutor, spool: LocalSpool, pid: int, jobs: int, slots: int) -> None:
    share = jobs // ROUNDS
    kinds: dict[str, Callable[[int], float]] = {
        "xargs, one shell": lambda _: measure_xargs(share, slots),
        "xargs, two shells": lambda _: measure_xargs(share, slots, TWO_SHELLS),
        "shepherd": lambda turn: measure_local(executor, spool, share, 1 + turn * share),
    }
    before, own_before = read_cpu(pid), time.process_time()
    rates = [{kind: measure(turn) for kind, measure in kinds.items()} for turn in range(ROUNDS)]
    after, own_after = read_cpu(pid), time.process_time()
    print(f"{ROUNDS} rounds of {share} no-op jobs, {slots} at a time; medians")
    for kind in kinds:
        rate = statistics.median(rate[kind] for rate in rates)
        ratio = statistics.median(rate[kind] / rate["xargs, one shell"] for rate in rates)
        print(f"{kind:18} {rate:6.0f} jobs/s ({ratio:.2f} of one shell)")
    shepherd, shells = (1000 * (b - a) / (share * ROUNDS) for a, b in zip(before, after, strict=True))
    caller = 1000 * (own_after - own_before) / (share * ROUNDS)
    print(f"CPU per job        {shepherd:.2f} ms shepherd, {shells:.2f} ms wrapper and bash, {caller:.2f} ms caller")
    latency = measure_latency(executor, spool, jobs + 1)
    print(f"latency            {latency:.1f} ms from submit to the recorded end")


def main() -> None:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    slots = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    default = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else default) as name:
        folder = Path(name)
        spool = LocalSpool(folder / "spool")
        spool.create()
        process = subprocess.Popen(shepherd_command(spool.root, folder / "sockets", slots, 1000.0), env={})
        try:
            executor = LocalExecutor("local", spool, folder / "sockets", slots=slots, memory=1000.0)
            wait_until_up(executor, time.monotonic() + 10)
            report(executor, spool, process.pid, jobs, slots)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
