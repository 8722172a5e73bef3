"""Reads of failures: the groups of alike ones, and the attempts themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, Count, IntegerField, OuterRef, QuerySet, Subquery, Value, When

from workflows.models import ErrorGroup, Job, JobInstanceErrorLog, WorkflowRun
from workflows.permissions import visible_workflows

GROUPS_SHOWN = 50
NEWEST_COMPARED = 2_000
TREND_BINS = 24
ELSEWHERE_SHOWN = 10
SHARED_FROM = 0.5


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with its jobs as they are now: failed for good, retrying, and done or waiting since."""

    group: ErrorGroup
    failed: int
    retrying: int
    others: int
    is_new: bool = False

    @property
    def is_single(self) -> bool:
        return self.group.attempts == 1


@dataclass(frozen=True, slots=True)
class Shared:
    """What most of the newest attempts have in common: `share` of them have this value."""

    what: str
    value: str
    share: float

    @property
    def percent(self) -> int:
        return round(self.share * 100)


@dataclass(frozen=True, slots=True)
class GroupView:
    row: GroupRow
    sample: JobInstanceErrorLog | None
    newer: int | None
    older: int | None
    shared: list[Shared]
    compared: int
    elsewhere: list[ErrorGroup]
    trend: list[int]
    live_run: int | None


def group_rows(workflow_id: int) -> list[GroupRow]:
    """The newest groups, those that failed most jobs for good first: two queries."""
    state = Case(When(state="open", then=Value(0)), When(state="acknowledged", then=Value(1)), default=Value(2))
    groups = _with_runs(ErrorGroup.objects.filter(workflow_id=workflow_id)).annotate(order=state)
    rows = _with_jobs(list(groups.order_by("order", "-last_seen_at", "-id")[:GROUPS_SHOWN]))
    return sorted(rows, key=_urgency)


def _urgency(row: GroupRow) -> tuple[bool, int, int, int, int]:
    """Most blocking first; what is fixed comes last."""
    group = row.group
    return (group.state == "fixed", -group.count_blocked, -row.failed, -row.retrying, -group.attempts)


def _with_runs(groups: QuerySet[ErrorGroup]) -> QuerySet[ErrorGroup]:
    """With the latest run of the workflow, the live one and their number."""
    runs = WorkflowRun.objects.filter(workflow_id=OuterRef("workflow_id")).order_by("-id")
    number = runs.order_by().values("workflow_id").annotate(n=Count("id")).values("n")
    live = runs.filter(status="R", stopping="").values("id")[:1]
    return groups.annotate(
        latest_run_id=Subquery(runs.values("id")[:1]), live_run_id=Subquery(live), runs=Subquery(number)
    )


def _is_new(group: ErrorGroup) -> bool:
    """Whether it was first seen in the latest of several runs."""
    latest = getattr(group, "latest_run_id", None)
    return latest is not None and group.first_run_id == latest and getattr(group, "runs", 0) > 1


def _with_jobs(groups: list[ErrorGroup]) -> list[GroupRow]:
    jobs = Job.objects.filter(error_group_id__in=[group.pk for group in groups]).order_by()
    counts: dict[tuple[int | None, str], int] = {
        (group_id, status): count
        for group_id, status, count in jobs.values_list("error_group_id", "status").annotate(
            n=Count("job_id", output_field=IntegerField())
        )
    }
    return [
        GroupRow(
            group,
            counts.get((group.pk, "F"), 0),
            counts.get((group.pk, "E"), 0),
            sum(n for (pk, status), n in counts.items() if pk == group.pk and status not in "FE"),
            _is_new(group),
        )
        for group in groups
    ]


def find_group(user: User | AnonymousUser, group_id: int) -> ErrorGroup | None:
    groups = _with_runs(ErrorGroup.objects.select_related("workflow")).filter(pk=group_id)
    return groups.filter(workflow__in=visible_workflows(user)).first()


def errors_of(group: ErrorGroup) -> QuerySet[JobInstanceErrorLog]:
    return JobInstanceErrorLog.objects.filter(error_group=group)


def view_group(user: User | AnonymousUser, group: ErrorGroup, sample_id: int | None) -> GroupView:
    """One sample with its neighbours, what the newest attempts share, and the same failure elsewhere: four queries."""
    newest = list(
        errors_of(group)
        .order_by("-id")
        .values_list(
            "id", "job_instance__nodename", "job_instance__exit_code", "job_instance__job__group__name", "error_time"
        )[:NEWEST_COMPARED]
    )
    ids = [row[0] for row in newest]
    at = ids.index(sample_id) if sample_id in ids else 0
    samples = errors_of(group).select_related("job_instance__job")
    return GroupView(
        row=_with_jobs([group])[0],
        sample=samples.filter(pk=ids[at]).first() if ids else None,
        newer=ids[at - 1] if at else None,
        older=ids[at + 1] if at + 1 < len(ids) else None,
        shared=shared_by(
            [(str(host or ""), str(code if code is not None else ""), tag) for _, host, code, tag, _ in newest]
        ),
        compared=len(newest),
        elsewhere=_elsewhere(user, group),
        trend=trend_of([row[4] for row in newest]),
        live_run=getattr(group, "live_run_id", None),
    )


def trend_of(times: list[datetime]) -> list[int]:
    """How many in each of 24 equal parts of the time from the first to the last."""
    if len(times) < 2 or min(times) == max(times):
        return []
    first, span = min(times), (max(times) - min(times)).total_seconds()
    bins = [0] * TREND_BINS
    for moment in times:
        bins[min(TREND_BINS - 1, int((moment - first).total_seconds() / span * TREND_BINS))] += 1
    return bins


def shared_by(rows: list[tuple[str, str, str]]) -> list[Shared]:
    """The commonest host, exit code and tag, where at least half of the attempts have it."""
    found = []
    for index, what in enumerate(("host", "exit code", "tag")):
        commonest = Counter(row[index] for row in rows if row[index]).most_common(1)
        for value, count in commonest:
            if len(rows) > 1 and count / len(rows) >= SHARED_FROM:
                found.append(Shared(what, value, count / len(rows)))
    return found


def _elsewhere(user: User | AnonymousUser, group: ErrorGroup) -> list[ErrorGroup]:
    same = ErrorGroup.objects.select_related("workflow").filter(fingerprint=group.fingerprint).exclude(pk=group.pk)
    return list(same.filter(workflow__in=visible_workflows(user)).order_by("-last_seen_at")[:ELSEWHERE_SHOWN])
