"""What the jobs themselves wrote, and an independent judgement of it. Pure: knows neither the server nor its code.

Each job appends `start <job> <instance> <pid>` and `end <job> <instance> <pid> <code>` to one file, each line with one
write, so the order of the lines is the order of the events.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# Attempts that were ended from outside: they leave no `end` line, or one that was written in their last moment.
ENDED_FROM_OUTSIDE = frozenset({"killed", "lost", "signal"})


@dataclass(frozen=True, slots=True)
class Line:
    """`code` is None for a start."""

    job: str
    instance: int
    pid: int
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An attempt as the server recorded it."""

    job: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is lost, doubled, started-twice, overlap, order, void-started, unfinished or unreadable."""

    kind: str
    text: str


def parse(text: str) -> tuple[list[Line], list[Problem]]:
    lines: list[Line] = []
    problems: list[Problem] = []
    for row in text.splitlines():
        match row.split():
            case ["start", job, instance, pid] if instance.isdigit() and pid.isdigit():
                lines.append(Line(job, int(instance), int(pid)))
            case ["end", job, instance, pid, code] if (instance + pid + code).isdigit():
                lines.append(Line(job, int(instance), int(pid), int(code)))
            case _:
                problems.append(Problem("unreadable", f"the ledger has the line {row!r}"))
    return lines, problems


def check(
    lines: Sequence[Line],
    upstreams: Mapping[str, Sequence[str]],
    statuses: Mapping[str, str],
    attempts: Mapping[int, Recorded],
) -> list[Problem]:
    """Everything in which the ledger contradicts the promise, for a workflow that should be done.
    `upstreams`: job → its upstreams; `statuses`: job → letter; `attempts`: instance id → what was recorded."""
    return [
        *_check_starts(lines, attempts),
        *_check_successes(lines, upstreams, statuses, attempts),
        *_check_overlaps(lines, attempts),
        *_check_order(lines, upstreams),
    ]


def _reason(attempts: Mapping[int, Recorded], instance: int) -> str:
    return attempts[instance].reason if instance in attempts else ""


def _check_starts(lines: Sequence[Line], attempts: Mapping[int, Recorded]) -> Iterator[Problem]:
    starts = collections.Counter((line.job, line.instance) for line in lines if line.code is None)
    for (job, instance), count in starts.items():
        if count > 1:
            yield Problem("started-twice", f"attempt {instance} of {job} started {count} times")
        if instance not in attempts or attempts[instance].job != job:
            yield Problem("void-started", f"attempt {instance} of {job} started; there is no such attempt")
        elif attempts[instance].reason in ("void", "refused"):
            yield Problem("void-started", f"attempt {instance} of {job} started, but is {attempts[instance].reason}")


def _check_successes(
    lines: Sequence[Line],
    upstreams: Mapping[str, Sequence[str]],
    statuses: Mapping[str, str],
    attempts: Mapping[int, Recorded],
) -> Iterator[Problem]:
    """A kill may reach an attempt between its last line and its exit: that is no success."""
    good = [line for line in lines if line.code == 0 and _reason(attempts, line.instance) != "killed"]
    successes = collections.Counter(line.job for line in good)
    for job in upstreams:
        if statuses.get(job) != "D":
            yield Problem("unfinished", f"{job} is {statuses.get(job)}")
        elif not successes[job]:
            yield Problem("lost", f"{job} is D, but never ended with 0")
        if successes[job] > 1:
            instances = sorted(line.instance for line in good if line.job == job)
            yield Problem("doubled", f"{job} succeeded in the attempts {instances}")


def _check_overlaps(lines: Sequence[Line], attempts: Mapping[int, Recorded]) -> Iterator[Problem]:
    open_starts: dict[str, set[int]] = collections.defaultdict(set)
    for line in lines:
        if line.code is not None:
            open_starts[line.job].discard(line.instance)
            continue
        others = {one for one in open_starts[line.job] if _reason(attempts, one) not in ENDED_FROM_OUTSIDE}
        if others - {line.instance}:
            yield Problem("overlap", f"attempt {line.instance} of {line.job} started while {sorted(others)} ran")
        open_starts[line.job].add(line.instance)


def _check_order(lines: Sequence[Line], upstreams: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    succeeded: set[str] = set()
    for line in lines:
        if line.code == 0:
            succeeded.add(line.job)
        elif line.code is None:
            early = [upstream for upstream in upstreams.get(line.job, ()) if upstream not in succeeded]
            if early:
                yield Problem("order", f"{line.job} started before {early} had succeeded")
