"""A control script as people write them, with as many jobs as it is told: three upstreams each, ten tags.

python bench/large_script.py JOBS WORKFLOW_ARGS

The server is found as always (JOBMON_SERVER, JOBMON_TOKEN). It does not wait for the end of the run. Its last word is
the peak of its resident memory in MB.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobmon import BashTask, Workflow

DISTANCES = (1000, 1007, 1101)


def build(jobs: int, workflow_args: str) -> Workflow:
    """About a thousand jobs at a time can run: each waits for three that are so far before it."""
    workflow = Workflow(workflow_args=workflow_args, executor="dummy", working_dir="/tmp")
    tasks: list[BashTask] = []
    for number in range(jobs):
        upstreams = [tasks[number - distance] for distance in DISTANCES if number >= distance]
        tasks.append(
            BashTask(
                f"python /srv/model/fit.py --location {number} --year 2019 --draws 1000",
                name=f"fit_location_{number}",
                tag=f"stage_{number * 10 // jobs}",
                upstream_tasks=upstreams,
            )
        )
    workflow.add_tasks(tasks)
    return workflow


def read_own_peak() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    build(int(sys.argv[1]), sys.argv[2]).run(wait=False)
    print(read_own_peak())
