"""Counts of jobs by status, from the stored numbers of the groups only."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Sum

from workflows.models import JobGroup
from workflows.models.definition import COUNT_FIELDS

Counts = dict[str, int]
LETTER_FIELDS: dict[str, str] = {status.value: field for status, field in COUNT_FIELDS.items()}

SHOWN_ORDER = "GBQIREFD"


def group_counts(group: JobGroup) -> Counts:
    return {letter: getattr(group, field) for letter, field in LETTER_FIELDS.items()}


def shown_counts(group: JobGroup) -> Counts:
    """As pages show them: those blocked are taken out of G and stand under "B"."""
    counts = group_counts(group)
    blocked = max(0, min(group.count_blocked, counts["G"]))
    return {"G": counts.pop("G") - blocked, "B": blocked, **counts}


def add_shown(groups: Iterable[JobGroup]) -> Counts:
    total: Counts = dict.fromkeys(SHOWN_ORDER, 0)
    for group in groups:
        for letter, count in shown_counts(group).items():
            total[letter] += count
    return total


def shown_of_dags(dag_ids: Iterable[int]) -> dict[int, Counts]:
    """One query, like `counts_of_dags`, as pages show them."""
    found: dict[int, Counts] = {}
    for group in JobGroup.objects.filter(dag_id__in=list(dag_ids)):
        total = found.setdefault(group.dag_id, dict.fromkeys(SHOWN_ORDER, 0))
        for letter, count in shown_counts(group).items():
            total[letter] += count
    return found


def counts_at_end(stored: Counts) -> Counts:
    """What a run stored when it ended, as pages show it. Runs of before it was stored do not know which were blocked."""
    blocked = stored.get("B", 0)
    counts = {**stored, "B": blocked, "G": stored.get("G", 0) - blocked}
    return {letter: counts.get(letter, 0) for letter in SHOWN_ORDER}


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
