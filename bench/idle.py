"""What a server costs to which nobody comes, beside a bare project of the same kinds of processes in the same seconds."""

from __future__ import annotations

import time

from bare_processes import run_bare_project
from processes import MemoryWatch, memory_rows, read_cpu
from services import Result, find_processes, open_server

AGAINST = "Redis, an empty site and an empty Celery"


def measure_idle(seconds: float) -> list[Result]:
    """Both have settled for some seconds before."""
    with open_server() as server, run_bare_project() as bare:
        time.sleep(10)
        ours = find_processes(server)
        before = {pid: read_cpu(pid) for pid in (*ours.values(), *bare.values())}
        every = seconds / 4
        with MemoryWatch(lambda: ours, every) as memory, MemoryWatch(lambda: bare, every) as plain:
            time.sleep(seconds)
        used = {pid: 100 * (read_cpu(pid) - begun) / seconds for pid, begun in before.items()}
    told = ", ".join(f"{name} {used[pid]:.2f}" for name, pid in ours.items() if used[pid])
    what = f"idle server, over {seconds:.0f} s"
    python = plain.peaks["python"]
    peaks = {**plain.peaks, "serve": python, "shepherd": python}
    own, against = (sum(used[pid] for pid in pids) for pids in (ours.values(), bare.values()))
    return [
        Result(f"{what}, CPU", own, "% of a core", against, AGAINST, told),
        Result(f"{what}, all processes (PSS)", memory.sum, "MB", plain.sum, AGAINST),
        *memory_rows("idle server", memory.peaks, peaks),
    ]
