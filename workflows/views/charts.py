"""Numbers of jobs over time as columns of a picture: what a time line and the page of an executor have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from workflows import axes
from workflows.queries.timeline import Minutes

TOP, ROOM = 20, 200


@dataclass(frozen=True, slots=True)
class Column:
    """One bin: jobs running and queued, and how tall they are drawn. None: no data."""

    at: datetime
    x: float
    width: float
    running: int | None
    queued: int | None
    running_height: float
    queued_height: float

    @property
    def running_y(self) -> float:
        return round(TOP + ROOM - self.running_height, 1)

    @property
    def queued_y(self) -> float:
        return round(self.running_y - self.queued_height, 1)


def find_most(minutes: Minutes) -> int:
    return max(((bin.queued or 0) + (bin.running or 0) for bin in minutes.bins), default=0)


def make_columns(minutes: Minutes) -> list[Column]:
    """Running jobs at the bottom, queued ones on them; what nobody looked at is a gap."""
    most, width = max(find_most(minutes), 1), 1000 / max(len(minutes.bins), 1)
    return [
        Column(
            bin.at, round(width * index, 1), round(max(width - 0.5, 0.5), 1), bin.running, bin.queued,
            round((bin.running or 0) / most * ROOM, 1), round((bin.queued or 0) / most * ROOM, 1),
        )
        for index, bin in enumerate(minutes.bins)
    ]  # fmt: skip


def make_ticks(begin: datetime, end: datetime) -> list[tuple[float, str]]:
    """Where round times stand, in the reader's zone, and what is written there."""
    ticks = axes.clock_ticks(timezone.localtime(begin), timezone.localtime(end))
    return [(round(tick.share * 1000, 1), tick.label) for tick in ticks]


def make_levels(most: int) -> list[tuple[float, str]]:
    """Heights of round numbers of jobs."""
    return [(round(TOP + ROOM * (1 - tick.share), 1), tick.label) for tick in axes.count_ticks(most)]
