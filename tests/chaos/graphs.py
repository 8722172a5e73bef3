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
# job <name> <1: fail the first time> <seconds> <deaf: ignore TERM | gate: end after the file "open" was made | plain>
[ "$4" = deaf ] && trap '' TERM
echo "start $1 $JOBMON_JOB_INSTANCE_ID $$" >> ledger
[ "$3" = 0 ] || sleep "$3"
if [ "$4" = gate ]; then
    left=GATE_LOOKS
    while [ ! -e open ] && [ $left -gt 0 ]; do sleep 0.5; left=$((left - 1)); done
fi
if [ "$2" = 1 ] && mkdir "failed.$1" 2>/dev/null; then
    echo "end $1 $JOBMON_JOB_INSTANCE_ID $$ 1" >> ledger
    exit 1
fi
echo "end $1 $JOBMON_JOB_INSTANCE_ID $$ 0" >> ledger
"""
FAILING, SLOW = 0.05, 0.15
REACH = 25
MOST_ATTEMPTS = 20  # those that the killer ends are used up too
LONG, MOST_LONG = 20, 3  # one job in so many lives long enough to be misjudged, but never more than these
GATE_LOOKS = 2400  # two looks a second
BEHIND_THE_GATE = 5
DUMMY_GATE = 30.0  # seconds: the dummy cannot look for a file
PEOPLE = "chaos"
LIMITS = (None, None, 4)


@dataclass(frozen=True, slots=True)
class Task:
    """What one job does: whether it fails the first time, how long it takes, and whether it is deaf (ignores TERM) or a
    gate (ends when the faults are over)."""

    fails: bool
    seconds: float
    mode: str = "plain"


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
            return f"sh ./job {name} {int(task.fails)} {task.seconds or 0} {task.mode}"
        seconds = DUMMY_GATE if task.mode == "gate" else task.seconds
        return f"{'exit=1 until=2' if task.fails else 'ok'} runs={seconds} said={name}"


@dataclass(frozen=True, slots=True)
class Graph:
    """`jobs`: name → what it does; `upstreams`: name → names; `limit`: how many of them may run at once."""

    jobs: Mapping[str, Task]
    upstreams: Mapping[str, list[str]]
    limit: int | None = None

    def as_body(self, workflow_args: str, folder: Path, work: Work) -> dict[str, Any]:
        """What the REST interface takes. It is shared with a group whose members may operate it."""
        requests = {"mem_free": 0.001, "max_attempts": MOST_ATTEMPTS}
        jobs = [
            {"name": name, "command": work.command(name, task), "upstreams": self.upstreams[name], **requests}
            for name, task in self.jobs.items()
        ]
        header: dict[str, Any] = {"workflow_args": workflow_args, "working_dir": str(folder), "executor": work.executor}
        if self.limit is not None:
            header["max_concurrently_running"] = self.limit
        return {**header, "group": PEOPLE, "group_may_operate": True, "jobs": jobs}


def make_graph(rng: random.Random, size: int, has_gate: bool = False) -> Graph:
    """Up to three upstreams each, among those shortly before; some jobs fail once, some take 0.1 to 0.5 s. In the first
    half a few take 8 to 15 s and one ignores TERM. A gate is in the middle, and some jobs wait for it."""
    names = [f"job_{number}" for number in range(size)]
    jobs: dict[str, Task] = {}
    upstreams: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        seconds = round(rng.uniform(0.1, 0.5), 2) if rng.random() < SLOW else 0.0
        jobs[name] = Task(rng.random() < FAILING, seconds)
        nearby = names[max(0, number - REACH) : number]
        upstreams[name] = sorted(rng.sample(nearby, min(len(nearby), rng.choice((0, 1, 1, 2, 3)))))
    jobs.update(_choose_long_ones(rng, names))
    if has_gate:
        _put_gate(names, jobs, upstreams)
    return Graph(jobs, upstreams, rng.choice(LIMITS))


def _choose_long_ones(rng: random.Random, names: list[str]) -> dict[str, Task]:
    deaf, *long_ones = rng.sample(names[: max(3, len(names) // 2)], 1 + min(max(1, len(names) // LONG), MOST_LONG))
    tasks = {name: Task(False, round(rng.uniform(8.0, 15.0), 2)) for name in long_ones}
    return {**tasks, deaf: Task(False, round(rng.uniform(3.0, 6.0), 2), "deaf")}


def _put_gate(names: list[str], jobs: dict[str, Task], upstreams: dict[str, list[str]]) -> None:
    """So something is alive while faults come, and something is left to do after the last one."""
    middle = len(names) // 2
    gate = names[middle]
    jobs[gate], upstreams[gate] = Task(False, 0.0, "gate"), []
    for name in names[middle + 1 : middle + 1 + BEHIND_THE_GATE]:
        upstreams[name] = sorted({*upstreams[name], gate})


def open_gate(folder: Path) -> None:
    (folder / "open").touch()


def prepare_folder(folder: Path) -> None:
    """Open to all: batch jobs run as somebody else."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "job").write_text(PROGRAM.replace("GATE_LOOKS", str(GATE_LOOKS)))
    (folder / LEDGER).touch()
    (folder / LEDGER).chmod(0o666)
