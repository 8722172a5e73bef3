"""Attempts as bars in a picture of time, and tags as lanes beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from workflows import explain
from workflows.directions import fenced
from workflows.models import JobGroup, JobInstance
from workflows.queries.timeline import Window
from workflows.resource_use import Spread
from workflows.time_use import Timed, run_times
from workflows.views import charts

ROOM = 900
LEAST_WIDTH = 1.5
ORDERS = ("tag", "host")


@dataclass(frozen=True, slots=True)
class Strand:
    """One attempt in the time line: waiting from x to x + wait, running for `run` more. Parts of 1,000."""

    attempt: JobInstance
    label: str
    x: float
    wait: float
    run: float
    reason: str
    y: float = 0
    height: float = 12
    heading: str = ""

    @property
    def wait_path(self) -> str:
        return self._write_path(self.x, self.wait)

    @property
    def run_path(self) -> str:
        """Never so short that it cannot be seen."""
        return self._write_path(self.x + self.wait, max(self.run, LEAST_WIDTH))

    def _write_path(self, x: float, width: float) -> str:
        """A rectangle in few characters: there are up to 600 of them."""
        return f"M{round(x, 1):g} {self.y:g}h{width:g}v{self.height:g}h-{width:g}z"


@dataclass(frozen=True, slots=True)
class Lane:
    """When jobs of a tag were live: from x on, in parts of 1,000; and how long those that were done ran."""

    name: str
    begin: datetime
    end: datetime
    x: float
    width: float
    times: Spread


def make_lanes(
    spans: Mapping[int, Window], timed: Sequence[Timed], groups: Sequence[JobGroup], begin: datetime, end: datetime
) -> list[Lane]:
    """When jobs of each tag were live, in the order in which they began, and how long the attempts that were read ran."""
    whole = max((end - begin).total_seconds(), 1)
    names, times = {group.pk: group.name for group in groups}, run_times(timed)
    return [
        Lane(
            names[group_id], first, last,
            round(min(998.0, max(0.0, (first - begin).total_seconds() / whole * 1000)), 1),
            round(min(1000.0, max(2.0, (last - max(first, begin)).total_seconds() / whole * 1000)), 1),
            times.get(group_id, Spread()),
        )
        for group_id, (first, last) in sorted(spans.items(), key=lambda item: item[1])
        if group_id in names
    ]  # fmt: skip


def in_order(attempts: Sequence[JobInstance], by: str, groups: Sequence[JobGroup]) -> list[tuple[JobInstance, str]]:
    """As they were submitted, or those of a host or a tag together: each with the name of what begins there."""
    if by not in ORDERS:
        return [(attempt, "") for attempt in attempts]
    place = {group.pk: (rank, group.name) for rank, group in enumerate(groups)}

    def part(attempt: JobInstance) -> tuple[int, str]:
        return (0, attempt.nodename or "no host yet") if by == "host" else place[attempt.job.group_id]

    ordered = sorted(attempts, key=part)
    names = [part(attempt)[1] for attempt in ordered]
    return [
        (attempt, name if name != last else "")
        for attempt, name, last in zip(ordered, names, ["", *names], strict=False)
    ]


def row_height(count: int) -> float:
    """Comfortable for few attempts, thin for many: the picture never grows beyond one screen or so."""
    return round(max(3.0, min(18.0, ROOM / max(count, 1))), 1)


def make_strand(
    attempt: JobInstance, begin: datetime, end: datetime, row: int, height: float, heading: str = ""
) -> Strand:
    span = (end - begin).total_seconds()
    last = attempt.ended_at or max(end, attempt.submitted_date)

    def at(moment: datetime) -> float:
        return min(1000.0, max(0.0, (moment - begin).total_seconds() / span * 1000))

    started = attempt.started_at or last
    return Strand(
        attempt=attempt,
        label=f"{fenced(attempt.job.name)}, attempt {attempt.attempt}",
        x=round(at(attempt.submitted_date), 1),
        wait=round(max(0.0, at(started) - at(attempt.submitted_date)), 1),
        run=round(max(0.0, at(last) - at(started)), 1),
        reason=explain.ended_because(attempt),
        y=round(charts.TOP + height * row, 1),
        height=round(height * 0.72, 1),
        heading=heading,
    )
