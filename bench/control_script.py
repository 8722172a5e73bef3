"""From the start of a control script to the status "running", beside plain inserts of the very rows it led to.

    python bench/control_script.py [--jobs 100000] [--rounds 3] [--database sqlite|mariadb]

Ours is the wall time of `python bench/large_script.py`: Python's start, building the graph, sending it, checking and
storing it, starting the run. The baseline writes the rows of `job` and `job_edge` that came of it with the driver's
`executemany`, see bare_rows.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bare_processes import measure_bare
from bare_rows import write_bare
from processes import Memory, MemoryWatch, memory_rows
from services import DATABASES, ROOT, Result, find_processes, open_server

from tests.services import EmbeddedServer


@dataclass(frozen=True)
class Script:
    """Seconds from its start to its end, and its own peaks of memory (read at its end, and looked at on the way)."""

    seconds: float
    memory: Memory


def run_script(server: EmbeddedServer, jobs: int, workflow_args: str, memory: MemoryWatch | None = None) -> Script:
    """A control script in a process of its own; the run that it has started must be running."""
    environment = {**os.environ, "JOBMON_SERVER": server.url, "JOBMON_TOKEN": server.token}
    command = [sys.executable, str(ROOT / "bench" / "large_script.py"), str(jobs), workflow_args]
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        if memory is not None:
            memory.extra["script"] = process.pid
        said, _ = process.communicate()
        seconds = time.perf_counter() - begun
    if memory is not None:
        memory.extra.pop("script")
    if process.returncode:
        raise SystemExit(f"bench: the control script ended with {process.returncode}")
    statuses = server.query(f"SELECT status FROM workflow WHERE workflow_args = '{workflow_args}'")
    if statuses not in ([("R",)], [("D",)]):
        raise SystemExit(f"bench: the workflow is not running but {statuses}")
    seen = memory.peaks.get("script", Memory(0.0, 0.0)) if memory is not None else Memory(0.0, 0.0)
    return Script(seconds, Memory(float(said.split()[-1]), seen.pss))


def measure_script(jobs: int, rounds: int, database: str) -> list[Result]:
    """Medians; script and baseline take turns. The run is stopped at once, so that it does not disturb the next turn."""
    ours, plain = [], []
    limits = {"JOBMON_EXECUTORS": "dummy", "JOBMON_MAX_CONCURRENTLY_RUNNING": "1"}
    with open_server(database, **limits) as server, MemoryWatch(lambda: find_processes(server), 0.1) as memory:
        for turn in range(1, rounds + 1):
            script = run_script(server, jobs, f"script-{turn}", memory)
            ours.append(script.seconds)
            _stop(server, turn)
            plain.append(write_bare(server, turn, has_run=False).graph)
        edges = server.query("SELECT edge_count FROM task_dag")[0][0]
    peaks = {**memory.peaks, "script": script.memory}
    what = f"{database}: script to running, {jobs:,} jobs, {edges:,} edges"
    pairs = sorted(our / own for our, own in zip(ours, plain, strict=True))
    told = f"ratios {', '.join(f'{pair:.2f}' for pair in pairs)}"
    chosen = {name: peaks[name] for name in ("script", "web")}
    return [
        Result(what, statistics.median(ours), "s", statistics.median(plain), "executemany of the same rows", told),
        *memory_rows(f"{database}: registering {jobs:,} jobs", chosen, measure_bare(database)),
    ]


def _stop(server: EmbeddedServer, run_id: int) -> None:
    from jobmon.api import Client

    client = Client(server=server.url, token=server.token)
    client.stop_run(run_id, "kill")
    deadline = time.monotonic() + 60
    while client.get_run(run_id)["status"] == "R" and time.monotonic() < deadline:
        time.sleep(0.1)
    client.close()


def main() -> None:
    from table import show

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    options = parser.parse_args()
    show(measure_script(options.jobs, options.rounds, options.database))


if __name__ == "__main__":
    main()
