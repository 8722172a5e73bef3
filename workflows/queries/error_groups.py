"""Reads of error groups: the debugger's work queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, QuerySet

from workflows.models import ErrorGroup, Job
from workflows.permissions import visible_workflows


@dataclass(frozen=True, slots=True)
class ErrorGroupRow:
    """A group and how many of its jobs have failed for good and are being tried again."""

    group: ErrorGroup
    jobs_failed: int
    jobs_retrying: int


def find_error_group(user: User | AnonymousUser, group_id: int) -> ErrorGroup | None:
    groups = ErrorGroup.objects.select_related("workflow__dag", "workflow__group").filter(pk=group_id)
    return groups.filter(workflow__in=visible_workflows(user)).first()


def groups_of_workflow(workflow_id: int) -> QuerySet[ErrorGroup]:
    return ErrorGroup.objects.filter(workflow_id=workflow_id)


def count_jobs(groups: Iterable[ErrorGroup]) -> list[ErrorGroupRow]:
    """One query for any number of groups."""
    found = list(groups)
    jobs = Job.objects.filter(error_group_id__in=[group.pk for group in found], status__in=["F", "E", "Q", "I", "R"])
    counts: dict[tuple[int | None, bool], int] = {}
    for group_id, status, count in jobs.values_list("error_group_id", "status").annotate(n=Count("pk")).order_by():
        key = (group_id, status == "F")
        counts[key] = counts.get(key, 0) + count
    return [ErrorGroupRow(group, counts.get((group.pk, True), 0), counts.get((group.pk, False), 0)) for group in found]
