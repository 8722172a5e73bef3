"""Random graphs of small jobs that keep the ledger."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LEDGER = "ledger"
PROGRAM = """\
#!/bin/sh
# job <name> <1: fail the first time> <seconds>
echo "start $1 $JOBMON_JOB_INSTANCE_ID $$" >> ledger
[ "$3" = 0 ] || sleep "$3"
if [ "$2" = 1 ] && mkdir "failed.$1" 2>/dev/null; then
    echo "end $1 $JOBMON_JOB_INSTANCE_ID $$ 1" >> ledger
    exit 1
fi
echo "end $1 $JOBMON_JOB_INSTANCE_ID $$ 0" >> ledger
"""
FAILING, SLOW = 0.05, 0.15
REACH = 25
MOST_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Task:
    """What one job does: whether it fails the first time, and how long it takes."""

    fails: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Where the jobs run, and the folder below which they keep their ledgers."""

    executor: str
    folder: Path

    @property
    def keeps_ledger(self) -> bool:
        """The dummy runs nothing: nothing can write one."""
        return self.executor != "dummy"

    def command(self, name: str, task: Task) -> str:
        if self.keeps_ledger:
            return f"sh ./job {name} {int(task.fails)} {task.seconds or 0}"
        return f"{'exit=1 until=2' if task.fails else 'ok'} runs={task.seconds} said={name}"


@dataclass(frozen=True, slots=True)
class Graph:
    """`jobs`: name → what it does; `upstreams`: name → names."""

    jobs: Mapping[str, Task]
    upstreams: Mapping[str, list[str]]

    def as_body(self, workflow_args: str, folder: Path, work: Work) -> dict[str, Any]:
        """What the REST interface takes."""
        requests = {"mem_free": 0.001, "max_attempts": MOST_ATTEMPTS}
        jobs = [
            {"name": name, "command": work.command(name, task), "upstreams": self.upstreams[name], **requests}
            for name, task in self.jobs.items()
        ]
        return {"workflow_args": workflow_args, "working_dir": str(folder), "executor": work.executor, "jobs": jobs}


def make_graph(rng: random.Random, size: int) -> Graph:
    """Up to three upstreams each, among those shortly before; some jobs fail once, some take 0.1 to 0.5 s."""
    names = [f"job_{number}" for number in range(size)]
    jobs: dict[str, Task] = {}
    upstreams: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        seconds = round(rng.uniform(0.1, 0.5), 2) if rng.random() < SLOW else 0.0
        jobs[name] = Task(rng.random() < FAILING, seconds)
        nearby = names[max(0, number - REACH) : number]
        upstreams[name] = sorted(rng.sample(nearby, min(len(nearby), rng.choice((0, 1, 1, 2, 3)))))
    return Graph(jobs, upstreams)


def prepare_folder(folder: Path) -> None:
    """Open to all: batch jobs run as somebody else."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "job").write_text(PROGRAM)
    (folder / LEDGER).touch()
    (folder / LEDGER).chmod(0o666)
