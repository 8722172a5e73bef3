"""Which waiting jobs cannot go on without a failed one, near or far: stored for the pages, worked out by the sweep."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import F

from workflows.bulk import chunked
from workflows.lifecycle.counts import tell_ended_run
from workflows.models import AuditEntry, ErrorGroup, Job, JobEdge, JobGroup, Workflow
from workflows.state_machine import JobStatus
from workflows.transactions import write_transaction

STATEMENTS = 50  # so many, and the others who write get their turn
_seen: dict[int, int] = {}


@dataclass(frozen=True, slots=True)
class Blocked:
    """Waiting job → failed job that it cannot do without; how many of them each group has."""

    causes: dict[int, int]
    groups: Counter[int]


def refresh_blocked(workflow_id: int, dag_id: int) -> bool:
    """Bring `job.blocked_by` and `job_group.count_blocked` up to date; whether anything was changed. What is stored is
    looked at again only after a job has failed or recovered, or a person has done something."""
    failed = list(
        Job.objects.filter(dag_id=dag_id, status=JobStatus.ERROR_FATAL.value)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    last_action = (
        AuditEntry.objects.filter(workflow_id=workflow_id).order_by("-id").values_list("id", flat=True).first()
    )
    state = hash((tuple(failed), last_action))
    if _seen.get(workflow_id) == state:
        return False
    blocked = find_blocked(failed)
    has_changed = _store_causes(dag_id, blocked.causes)
    has_changed = _store_counts(workflow_id, dag_id, blocked.groups) or has_changed
    _store_error_groups(workflow_id, blocked.causes)
    _seen[workflow_id] = state
    return has_changed


def forget_others(workflow_ids: Sequence[int]) -> None:
    """Keep in memory only what belongs to these workflows."""
    for workflow_id in set(_seen) - set(workflow_ids):
        del _seen[workflow_id]


def find_blocked(failed: Sequence[int]) -> Blocked:
    """Level by level from the failed jobs down, in sets. Each job is found once, by the shortest way."""
    causes: dict[int, int] = {}
    groups: Counter[int] = Counter()
    level = {job_id: job_id for job_id in failed}
    while level:
        following: dict[int, int] = {}
        for chunk in chunked(sorted(level)):
            edges = JobEdge.objects.filter(upstream_id__in=chunk, downstream__status=JobStatus.REGISTERED.value)
            for upstream, downstream, group in edges.values_list(
                "upstream_id", "downstream_id", "downstream__group_id"
            ):
                if downstream not in causes and downstream not in following:
                    following[downstream] = level[upstream]
                    groups[group] += 1
        causes.update(following)
        level = following
    return Blocked(causes, groups)


def _store_causes(dag_id: int, causes: Mapping[int, int]) -> bool:
    stored = dict(Job.objects.filter(dag_id=dag_id, blocked_by__isnull=False).values_list("pk", "blocked_by"))
    changes: dict[int | None, list[int]] = defaultdict(list)
    for job_id, cause in causes.items():
        if stored.get(job_id) != cause:
            changes[cause].append(job_id)
    changes[None] = [job_id for job_id in stored if job_id not in causes]
    statements = [(cause, list(chunk)) for cause, ids in changes.items() for chunk in chunked(sorted(ids))]
    for batch in chunked(statements, STATEMENTS):
        _write_causes(batch)
    return bool(statements)


@write_transaction
def _write_causes(statements: Sequence[tuple[int | None, list[int]]]) -> None:
    for cause, job_ids in statements:
        Job.objects.filter(pk__in=job_ids).update(blocked_by=cause)


def _store_error_groups(workflow_id: int, causes: Mapping[int, int]) -> None:
    """How many jobs wait for the failed ones of each error group."""
    by_cause = Counter(causes.values())
    counts: Counter[int] = Counter()
    for chunk in chunked(sorted(by_cause)):
        for job_id, group_id in Job.objects.filter(pk__in=chunk).values_list("pk", "error_group_id"):
            if group_id is not None:
                counts[group_id] += by_cause[job_id]
    stored = dict(ErrorGroup.objects.filter(workflow_id=workflow_id).values_list("pk", "count_blocked"))
    changes = {pk: counts[pk] for pk, old in stored.items() if old != counts[pk]}
    if changes:
        _write_error_groups(changes)


@write_transaction
def _write_error_groups(changes: Mapping[int, int]) -> None:
    for group_id, count in sorted(changes.items()):
        ErrorGroup.objects.filter(pk=group_id).update(count_blocked=count)


def _store_counts(workflow_id: int, dag_id: int, counts: Mapping[int, int]) -> bool:
    stored = dict(JobGroup.objects.filter(dag_id=dag_id).values_list("pk", "count_blocked"))
    changes = {pk: counts.get(pk, 0) for pk, old in stored.items() if old != counts.get(pk, 0)}
    if changes:
        _write_counts(workflow_id, changes)
    return bool(changes)


@write_transaction
def _write_counts(workflow_id: int, changes: Mapping[int, int]) -> None:
    Workflow.objects.filter(pk=workflow_id).update(change_no=F("change_no") + 1)
    for group_id, count in sorted(changes.items()):
        JobGroup.objects.filter(pk=group_id).update(count_blocked=count)
    tell_ended_run(workflow_id)
