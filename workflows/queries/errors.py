"""Reads of failures: the groups of alike ones, and the attempts themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from workflows.models import ErrorGroup, Job, JobInstanceErrorLog
from workflows.permissions import visible_workflows

GROUPS_SHOWN = 50
NEWEST_COMPARED = 2_000
ELSEWHERE_SHOWN = 10
SHARED_FROM = 0.5


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with its jobs as they are now: failed for good, retrying, and done or waiting since."""

    group: ErrorGroup
    failed: int
    retrying: int
    others: int

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


def group_rows(workflow_id: int) -> list[GroupRow]:
    """The newest groups, those that failed most jobs for good first: two queries."""
    state = Case(When(state="open", then=Value(0)), When(state="acknowledged", then=Value(1)), default=Value(2))
    groups = ErrorGroup.objects.filter(workflow_id=workflow_id).annotate(order=state)
    rows = _with_jobs(list(groups.order_by("order", "-last_seen_at", "-id")[:GROUPS_SHOWN]))
    return sorted(rows, key=lambda row: (row.group.state == "fixed", -row.failed, -row.retrying, -row.group.attempts))


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
        )
        for group in groups
    ]


def find_group(user: User | AnonymousUser, group_id: int) -> ErrorGroup | None:
    groups = ErrorGroup.objects.select_related("workflow").filter(pk=group_id)
    return groups.filter(workflow__in=visible_workflows(user)).first()


def errors_of(group: ErrorGroup) -> QuerySet[JobInstanceErrorLog]:
    return JobInstanceErrorLog.objects.filter(error_group=group)


def view_group(user: User | AnonymousUser, group: ErrorGroup, sample_id: int | None) -> GroupView:
    """One sample with its neighbours, what the newest attempts share, and the same failure elsewhere: four queries."""
    newest = list(
        errors_of(group)
        .order_by("-id")
        .values_list("id", "job_instance__nodename", "job_instance__exit_code", "job_instance__job__group__name")[
            :NEWEST_COMPARED
        ]
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
            [(str(host or ""), str(code if code is not None else ""), tag) for _, host, code, tag in newest]
        ),
        compared=len(newest),
        elsewhere=_elsewhere(user, group),
    )


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
