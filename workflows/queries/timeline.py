"""The minutes of a run, as the sweep stored them, folded into at most so many bins for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from workflows.models import JobInstance, RunMinute

Window = tuple[datetime, datetime]
ROWS_READ = 10_000
ATTEMPTS_DRAWN = 300
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
    spans: dict[int, Window] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Attempts for bars of their own, in the order of their submission; `is_cut`: there are more."""

    attempts: list[JobInstance]
    is_cut: bool


def read_attempts(run_id: int, window: Window | None, group_id: int | None = None) -> Drawn:
    """The newest attempts of a run; in a window those that lived in it, found among the newest 10,000."""
    rows = JobInstance.objects.filter(workflow_run_id=run_id).order_by("-job_instance_id")
    if group_id is not None:
        rows = rows.filter(job__group_id=group_id)
    if window is None:
        found = list(rows.select_related("job__group")[: ATTEMPTS_DRAWN + 1])
    else:
        begin, end = window
        times = rows.values_list("job_instance_id", "submitted_date", "ended_at")[:ROWS_READ]
        ids = [pk for pk, asked, ended in times if asked < end and (ended is None or ended >= begin)]
        inside = JobInstance.objects.filter(pk__in=ids[: ATTEMPTS_DRAWN + 1]).select_related("job__group")
        found = list(inside.order_by("-job_instance_id"))
    return Drawn(found[:ATTEMPTS_DRAWN][::-1], len(found) > ATTEMPTS_DRAWN)


def read_minutes(run_id: int, group_id: int | None = None, window: Window | None = None) -> Minutes:
    """The newest minutes of a run, or of a window of it: one read of at most 10,000 rows."""
    rows = RunMinute.objects.filter(run_id=run_id).order_by("-minute", "-group_id")
    if window is not None:
        rows = rows.filter(minute__gte=window[0], minute__lt=window[1])
    found = list(rows.values_list("minute", "group_id", "queued", "running")[: ROWS_READ + 1])
    is_cut, found = len(found) > ROWS_READ, found[:ROWS_READ]
    sums: dict[datetime, tuple[int, int]] = {}
    spans: dict[int, Window] = {}
    for minute, group, queued, running in found:
        if queued or running:
            spans[group] = (minute, spans.get(group, (minute, minute + MINUTE))[1])
        old = sums.get(minute, (0, 0))
        counts = (queued, running) if group_id is None or group == group_id else (0, 0)
        sums[minute] = (old[0] + counts[0], old[1] + counts[1])
    return replace(fold(sorted(sums.items()), is_cut), spans=spans)


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
