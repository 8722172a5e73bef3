"""The minutes of a run, as the sweep stored them, folded into at most so many bins for a picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Exists, OuterRef, QuerySet

from workflows.models import JobInstance, RunMinute, WorkflowRun
from workflows.permissions import visible_workflows
from workflows.time_use import Timed

Window = tuple[datetime, datetime]
ROWS_READ, TIMED_READ = 10_000, 2_000
TIMES = (
    "job_instance_id", "job_id", "job__group_id", "submitted_date", "started_at", "ended_at", "status", "job__ready_at",
)  # fmt: skip
ATTEMPTS_DRAWN, RUNS_OFFERED = 300, 10
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
    """Bins of equal width over what was read; `is_cut` says that older minutes were left out. `by_tag`: queued and
    running of each group in each minute that was read."""

    bins: list[Bin]
    width: timedelta
    is_cut: bool
    spans: dict[int, Window] = field(default_factory=dict)
    by_tag: Mapping[datetime, Mapping[int, tuple[int, int]]] = field(default_factory=dict)


def list_runs(user: User | AnonymousUser, workflow_id: int, window: Window | None = None) -> list[Any]:
    """The last runs, newest first, with their workflow, if this person may see it."""
    return list(_seen_runs(user, workflow_id, window).order_by("-id")[:RUNS_OFFERED])


def find_run(user: User | AnonymousUser, workflow_id: int, run_id: int, window: Window | None = None) -> Any:
    """One run of this workflow, however long ago; None if there is none."""
    return _seen_runs(user, workflow_id, window).filter(pk=run_id).first()


def _seen_runs(user: User | AnonymousUser, workflow_id: int, window: Window | None) -> QuerySet[WorkflowRun]:
    """`has_minutes`: the sweep has looked at the run, in a window within that."""
    looked_at = RunMinute.objects.filter(run=OuterRef("pk"))
    if window is not None:
        looked_at = looked_at.filter(minute__gte=window[0], minute__lt=window[1])
    runs = WorkflowRun.objects.filter(workflow_id=workflow_id, workflow__in=visible_workflows(user))
    runs = runs.select_related("workflow__dag", "workflow__owner", "workflow__group")
    return runs.annotate(has_minutes=Exists(looked_at))


def read_times(run_id: int, window: Window | None, group_ids: Collection[int] = ()) -> list[Timed]:
    """The newest 2,000 attempts of a run, newest first, of these groups if any are named; in a window those that lived in
    it, of the newest 10,000."""
    rows = JobInstance.objects.filter(workflow_run_id=run_id).order_by("-job_instance_id")
    if group_ids:
        rows = rows.filter(job__group_id__in=group_ids)
    most = TIMED_READ if window is None else ROWS_READ
    timed = [
        Timed(instance, job, group, submitted, started, ended, status == "E", ready)
        for instance, job, group, submitted, started, ended, status, ready in rows.values_list(*TIMES)[:most]
    ]
    return timed if window is None else [one for one in timed if one.lived_in(*window)]


def read_drawn(timed: Sequence[Timed]) -> list[JobInstance]:
    """The newest 300 of these, for bars of their own, in the order of their submission."""
    ids = [one.instance_id for one in timed[:ATTEMPTS_DRAWN]]
    attempts = JobInstance.objects.filter(pk__in=ids).select_related("job__group")
    return list(attempts.order_by("job_instance_id"))


def read_minutes(
    run_id: int,
    group_ids: Collection[int] = (),
    window: Window | None = None,
    cover: Window | None = None,
    most: int = MOST_BINS,
) -> Minutes:
    """The newest minutes of a run, or of a window of it, of these groups (of all, if none is named): one read of at most
    10,000 rows. `cover`, `most`: for `fold`."""
    rows = RunMinute.objects.filter(run_id=run_id).order_by("-minute", "-group_id")
    if window is not None:
        rows = rows.filter(minute__gte=window[0], minute__lt=window[1])
    found = list(rows.values_list("minute", "group_id", "queued", "running")[: ROWS_READ + 1])
    is_cut, found = len(found) > ROWS_READ, found[:ROWS_READ]
    by_tag: dict[datetime, dict[int, tuple[int, int]]] = defaultdict(dict)
    spans: dict[int, Window] = {}
    for minute, group, queued, running in found:
        if queued or running:
            spans[group] = (minute, spans.get(group, (minute, minute + MINUTE))[1])
        by_tag[minute].update({group: (queued, running)} if not group_ids or group in group_ids else {})
    sums = [(minute, _add_up(counts)) for minute, counts in sorted(by_tag.items())]
    return replace(fold(sums, is_cut, cover, most), spans=spans, by_tag=by_tag)


def _add_up(counts: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    return sum(queued for queued, _ in counts.values()), sum(running for _, running in counts.values())


def fold(
    minutes: Sequence[tuple[datetime, tuple[int, int]]],
    is_cut: bool,
    cover: Window | None = None,
    most: int = MOST_BINS,
) -> Minutes:
    """At most `most` bins from the first to the last minute, or over all of `cover` where that is more; minutes that
    were left out are not covered."""
    if not minutes:
        return Minutes([], MINUTE, is_cut)
    first, last = minutes[0][0], minutes[-1][0]
    if cover is not None:
        first = first if is_cut else min(first, _minute_of(cover[0]))
        last = max(last, _minute_of(cover[1] - timedelta.resolution))
    count = int((last - first) / MINUTE) + 1
    per_bin = -(-count // most)
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


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
