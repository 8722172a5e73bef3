"""The minutes of a run, as the sweep stored them, folded into at most so many bins for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from workflows.models import RunMinute

ROWS_READ = 10_000
MOST_BINS = 300
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bin:
    """Jobs queued and running, the most in any of its minutes; None: nobody looked."""

    at: datetime
    queued: int | None
    running: int | None


@dataclass(frozen=True, slots=True)
class Minutes:
    """Bins of equal width over what was read; `is_cut` says that older minutes were left out."""

    bins: list[Bin]
    width: timedelta
    is_cut: bool


def read_minutes(run_id: int, group_id: int | None = None) -> Minutes:
    """The newest minutes of a run: one read of at most 10,000 rows."""
    rows = RunMinute.objects.filter(run_id=run_id).order_by("-minute", "-group_id")
    found = list(rows.values_list("minute", "group_id", "queued", "running")[: ROWS_READ + 1])
    is_cut, found = len(found) > ROWS_READ, found[:ROWS_READ]
    sums: dict[datetime, tuple[int, int]] = {}
    for minute, group, queued, running in found:
        old = sums.get(minute, (0, 0))
        counts = (queued, running) if group_id is None or group == group_id else (0, 0)
        sums[minute] = (old[0] + counts[0], old[1] + counts[1])
    return fold(sorted(sums.items()), is_cut)


def fold(minutes: Sequence[tuple[datetime, tuple[int, int]]], is_cut: bool) -> Minutes:
    """At most MOST_BINS bins from the first to the last minute."""
    if not minutes:
        return Minutes([], MINUTE, is_cut)
    first, last = minutes[0][0], minutes[-1][0]
    count = int((last - first) / MINUTE) + 1
    per_bin = -(-count // MOST_BINS)
    seen: dict[int, tuple[int, int]] = {}
    for minute, (queued, running) in minutes:
        index = int((minute - first) / MINUTE) // per_bin
        old = seen.get(index, (0, 0))
        seen[index] = (max(old[0], queued), max(old[1], running))
    bins = [
        Bin(first + MINUTE * per_bin * index, *(seen.get(index) or (None, None)))
        for index in range(-(-count // per_bin))
    ]
    return Minutes(bins, MINUTE * per_bin, is_cut)
