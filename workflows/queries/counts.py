"""Counts of jobs by status, from the stored numbers of the groups only."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Sum

from workflows.models import JobGroup
from workflows.models.definition import COUNT_FIELDS

Counts = dict[str, int]
LETTER_FIELDS: dict[str, str] = {status.value: field for status, field in COUNT_FIELDS.items()}


def group_counts(group: JobGroup) -> Counts:
    return {letter: getattr(group, field) for letter, field in LETTER_FIELDS.items()}


def add_counts(groups: Iterable[JobGroup]) -> Counts:
    total = dict.fromkeys(LETTER_FIELDS, 0)
    for group in groups:
        for letter, field in LETTER_FIELDS.items():
            total[letter] += getattr(group, field)
    return total


def counts_of_dags(dag_ids: Iterable[int]) -> dict[int, Counts]:
    """One query for any number of graphs; graphs without jobs are absent."""
    sums = {letter: Sum(field) for letter, field in LETTER_FIELDS.items()}
    groups = JobGroup.objects.filter(dag_id__in=list(dag_ids)).order_by()
    rows = groups.values_list("dag_id").annotate(**sums)
    return {row[0]: dict(zip(sums, row[1:], strict=True)) for row in rows}


def groups_of(dag_id: int) -> list[JobGroup]:
    return list(JobGroup.objects.filter(dag_id=dag_id).order_by("rank", "name"))
