"""What the jobs themselves wrote, and an independent judgement of it. Pure: knows neither the server nor its code.

Each job appends `start <job> <instance> <pid>` and `end <job> <instance> <pid> <code>` to one file, each line with one
write, so the order of the lines is the order of the events. The server's word is believed for one thing only: which
attempt it counts as the success of a job. Whatever it says of the others must be explained by what was done to them.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

# Attempts that may have been ended from outside: they leave no `end` line, or one written in their last moment.
ENDED_FROM_OUTSIDE = frozenset({"killed", "lost", "signal"})
NEVER_STARTED = frozenset({"void", "refused"})
NEEDS_NO_EXCUSE = frozenset({"", "exit", "void"})


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
class Excuses:
    """What really happened to attempts: `harmed` were sent a signal by the killer, and `reasons` are those that what
    people did to the whole run explains."""

    harmed: Collection[int] = ()
    reasons: Collection[str] = ()

    def cover(self, instance: int, reason: str) -> bool:
        return reason in self.reasons or (instance in self.harmed and reason in ENDED_FROM_OUTSIDE)


NONE = Excuses()


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is lost, doubled, started-twice, overlap, order, void-started, unexplained, unfinished or unreadable."""

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
    excuses: Excuses = NONE,
) -> list[Problem]:
    """Everything in which the ledger contradicts the promise, for a workflow that should be done.
    `upstreams`: job → its upstreams; `statuses`: job → letter; `attempts`: instance id → what was recorded."""
    return [
        *_check_starts(lines, attempts),
        *_check_statuses(upstreams, statuses),
        *_check_done(lines, upstreams, statuses, attempts),
        *_check_doubles(lines, attempts, excuses),
        *_check_overlaps(lines, attempts),
        *_check_order(lines, upstreams, attempts),
        *_check_reasons(lines, attempts, excuses),
    ]


def _check_starts(lines: Sequence[Line], attempts: Mapping[int, Recorded]) -> Iterator[Problem]:
    starts = collections.Counter((line.job, line.instance) for line in lines if line.code is None)
    for (job, instance), count in starts.items():
        if count > 1:
            yield Problem("started-twice", f"attempt {instance} of {job} started {count} times")
        if instance not in attempts or attempts[instance].job != job:
            yield Problem("void-started", f"attempt {instance} of {job} started; there is no such attempt")
        elif attempts[instance].reason in NEVER_STARTED:
            yield Problem("void-started", f"attempt {instance} of {job} started, but is {attempts[instance].reason}")


def _check_statuses(upstreams: Mapping[str, Sequence[str]], statuses: Mapping[str, str]) -> Iterator[Problem]:
    for job in upstreams:
        if statuses.get(job) != "D":
            yield Problem("unfinished", f"{job} is {statuses.get(job)}")


def _check_done(
    lines: Sequence[Line],
    upstreams: Mapping[str, Sequence[str]],
    statuses: Mapping[str, str],
    attempts: Mapping[int, Recorded],
) -> Iterator[Problem]:
    """The attempt that counts is the one that ended with 0, and no other."""
    good = {(line.job, line.instance) for line in lines if line.code == 0}
    counted: dict[str, list[int]] = collections.defaultdict(list)
    for instance, recorded in attempts.items():
        if recorded.status == "D":
            counted[recorded.job].append(instance)
    for job in upstreams:
        if statuses.get(job) == "D" and not counted[job]:
            yield Problem("lost", f"{job} is D, but none of its attempts is")
        if len(counted[job]) > 1:
            yield Problem("doubled", f"{job} is recorded as done by the attempts {sorted(counted[job])}")
        for instance in counted[job]:
            if (job, instance) not in good:
                yield Problem("lost", f"attempt {instance} of {job} is D, but never ended with 0")


def _check_doubles(lines: Sequence[Line], attempts: Mapping[int, Recorded], excuses: Excuses) -> Iterator[Problem]:
    """What really was ended in its last moment, after its last line and before its exit, is no success."""
    successes: dict[str, list[int]] = collections.defaultdict(list)
    for line in lines:
        reason = attempts[line.instance].reason if line.instance in attempts else ""
        if line.code == 0 and not excuses.cover(line.instance, reason):
            successes[line.job].append(line.instance)
    for job, instances in successes.items():
        if len(instances) > 1:
            yield Problem("doubled", f"{job} succeeded in the attempts {sorted(instances)}")


def _check_overlaps(lines: Sequence[Line], attempts: Mapping[int, Recorded]) -> Iterator[Problem]:
    """Nothing of an attempt may come after the start of a later one, whatever is said of its end."""
    latest: dict[str, int] = {}
    unended: dict[str, set[int]] = collections.defaultdict(set)
    for line in lines:
        newest = latest.get(line.job, line.instance)
        if line.instance < newest:
            what = "started" if line.code is None else f"ended with {line.code}"
            yield Problem("overlap", f"attempt {line.instance} of {line.job} {what} after {newest} had started")
        if line.code is not None:
            unended[line.job].discard(line.instance)
            continue
        others = {one for one in unended[line.job] - {line.instance} if not _may_end_silently(attempts, one)}
        if others:
            yield Problem("overlap", f"attempt {line.instance} of {line.job} started while {sorted(others)} ran")
        unended[line.job].add(line.instance)
        latest[line.job] = max(line.instance, newest)


def _may_end_silently(attempts: Mapping[int, Recorded], instance: int) -> bool:
    return instance in attempts and attempts[instance].reason in ENDED_FROM_OUTSIDE


def _check_order(
    lines: Sequence[Line], upstreams: Mapping[str, Sequence[str]], attempts: Mapping[int, Recorded]
) -> Iterator[Problem]:
    """What counts as the success of an upstream is the attempt that is D."""
    succeeded: set[str] = set()
    for line in lines:
        if line.code == 0 and line.instance in attempts and attempts[line.instance].status == "D":
            succeeded.add(line.job)
        elif line.code is None:
            early = [upstream for upstream in upstreams.get(line.job, ()) if upstream not in succeeded]
            if early:
                yield Problem("order", f"{line.job} started before {early} had succeeded")


def _check_reasons(lines: Sequence[Line], attempts: Mapping[int, Recorded], excuses: Excuses) -> Iterator[Problem]:
    """An end that nobody caused, and a success that is recorded as a failure."""
    good = {line.instance for line in lines if line.code == 0}
    for instance, recorded in attempts.items():
        reason = recorded.reason
        if reason not in NEEDS_NO_EXCUSE and not excuses.cover(instance, reason):
            yield Problem("unexplained", f"attempt {instance} of {recorded.job} is {reason}; nobody did that to it")
        if reason == "exit" and instance in good:
            yield Problem("unexplained", f"attempt {instance} of {recorded.job} ended with 0, but is {reason}")
