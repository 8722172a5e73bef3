"""Reads of failures: the groups of alike ones, and the attempts themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Least
from django.utils import timezone

from workflows.error_counts import find_common_host, trend_until
from workflows.models import ErrorGroup, Job, JobInstanceErrorLog, WorkflowRun
from workflows.permissions import visible_workflows
from workflows.queries.keyset import Order, paginate
from workflows.queries.offers import add_hosts

GROUPS_SHOWN = 20
MOST_URGENT = Order("id", "urgency", is_descending=True, kind=int)
NEWEST_COMPARED = 2_000
ELSEWHERE_SHOWN = 10
SHARED_FROM = 0.5


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with its jobs as they are now: failed for good, retrying, and done or waiting since; `tags` are those of
    its jobs, most jobs first; `host` has clearly more of its attempts than of those of other groups, and which share."""

    group: ErrorGroup
    failed: int
    retrying: int
    others: int
    is_new: bool = False
    tags: tuple[str, ...] = ()
    host: tuple[str, float] | None = None

    @property
    def trend(self) -> list[int]:
        """Attempts over time, from the first to now."""
        return trend_until(self.group.trend, timezone.now().timestamp())

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
    memory: str
    runs: list[tuple[int, int]]
    elsewhere: list[ErrorGroup]
    trend: list[int]
    live_run: int | None


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Some groups of a workflow; `total` counts all of them, `next` is the cursor of those that follow."""

    rows: list[GroupRow]
    total: int
    next: str


def group_page(workflow_id: int, after: str = "") -> GroupPage:
    """The groups that want a person most, or those after a cursor: two queries. Raises CursorError."""
    groups = ErrorGroup.objects.filter(workflow_id=workflow_id)
    number = groups.order_by().values("workflow_id").annotate(n=Count("id")).values("n")
    urgent = _with_runs(groups).annotate(urgency=_urgency_in_sql(), total=Subquery(number))
    page = paginate(urgent, MOST_URGENT, after, "", GROUPS_SHOWN)
    total = getattr(page.rows[0], "total", 0) if page.rows else 0
    return GroupPage(sorted(_with_jobs(page.rows), key=_urgency), total, page.next)


def _urgency_in_sql() -> Combinable:
    """What `_urgency` says as one number, by what is stored with the group: fixed ones last, most blocking first."""
    is_fixed = Case(When(state="fixed", then=Value(0)), default=Value(1), output_field=BigIntegerField())
    blocked = Least(F("count_blocked"), Value(10**7), output_field=BigIntegerField())
    attempts = Least(F("attempts"), Value(10**9 - 1), output_field=BigIntegerField())
    number = is_fixed * Value(10**17) + blocked * Value(10**9) + attempts
    return ExpressionWrapper(number, output_field=BigIntegerField())  # else Django takes it for one of 32 bits


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


def _with_jobs(groups: Sequence[ErrorGroup]) -> list[GroupRow]:
    jobs = Job.objects.filter(error_group_id__in=[group.pk for group in groups]).order_by()
    statuses: dict[int, Counter[str]] = defaultdict(Counter)
    tags: dict[int, Counter[str]] = defaultdict(Counter)
    for group_id, status, tag, count in jobs.values_list("error_group_id", "status", "group__name").annotate(
        n=Count("job_id", output_field=IntegerField())
    ):
        if group_id is not None:
            statuses[group_id][status] += count
            tags[group_id][tag] += count
    hosts = add_hosts(group.hosts for group in groups)
    return [_row(group, statuses[group.pk], tags[group.pk], hosts) for group in groups]


def _row(group: ErrorGroup, statuses: Counter[str], tags: Counter[str], hosts: Counter[str]) -> GroupRow:
    others = sum(count for status, count in statuses.items() if status not in "FE")
    names = tuple(tag for tag, _ in tags.most_common())
    host = find_common_host(group.hosts, hosts)
    return GroupRow(group, statuses["F"], statuses["E"], others, _is_new(group), names, host)


def find_group(user: User | AnonymousUser, group_id: int) -> ErrorGroup | None:
    groups = _with_runs(ErrorGroup.objects.select_related("workflow__group")).filter(pk=group_id)
    return groups.filter(workflow__in=visible_workflows(user)).first()


def errors_of(group: ErrorGroup) -> QuerySet[JobInstanceErrorLog]:
    return JobInstanceErrorLog.objects.filter(error_group=group)


def view_group(user: User | AnonymousUser, group: ErrorGroup, sample_id: int | None) -> GroupView:
    """One sample with its neighbours, what the newest attempts share, and the same failure elsewhere: four queries."""
    newest = list(
        errors_of(group)
        .order_by("-id")
        .values_list(
            "id",
            "job_instance__nodename",
            "job_instance__exit_code",
            "job_instance__job__group__name",
            "job_instance__workflow_run_id",
            "job_instance__maxvmem",
            "job_instance__mem_free",
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
        shared=shared_by([(str(row[1] or ""), str(row[2] if row[2] is not None else ""), row[3]) for row in newest]),
        compared=len(newest),
        memory=memory_of([(row[5], row[6]) for row in newest]),
        runs=sorted(Counter(row[4] for row in newest).items(), reverse=True),
        elsewhere=_elsewhere(user, group),
        trend=trend_until(group.trend, timezone.now().timestamp()),
        live_run=getattr(group, "live_run_id", None),
    )


def memory_of(rows: list[tuple[int | None, float | None]]) -> str:
    """`3.9 to 4.3 of 4 GB`: what at least half of the attempts used of the same request; '' where it is not known."""
    asked = Counter(mem_free for used, mem_free in rows if used and mem_free).most_common(1)
    if not asked or asked[0][1] < len(rows) * SHARED_FROM:
        return ""
    used = sorted(used / 10**9 for used, mem_free in rows if used and mem_free == asked[0][0])
    least, most = f"{used[0]:.1f}", f"{used[-1]:.1f}"
    return f"{least if least == most else f'{least} to {most}'} of {asked[0][0]:g} GB"


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
