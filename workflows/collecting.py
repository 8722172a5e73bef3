"""Large selections are collected by a worker, in batches: the request that asks for them answers at once.

A batch is a range of job ids, one transaction with the place where the next one begins. So a lost, doubled or late
message does no harm, a killed worker leaves nothing half done, and each batch costs the same wherever it is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min, QuerySet
from django.http import QueryDict
from django.utils import timezone

from workflows import bell, operations
from workflows.actor import Actor
from workflows.bulk import insert_rows
from workflows.job_filters import JobFilter
from workflows.models import Job, Operation, Workflow
from workflows.queries.counts import groups_of
from workflows.queries.jobs import jobs_of
from workflows.transactions import write_transaction

MOST_AT_ONCE = 10_000
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs a person means, and the same in words. `filters`: those that choose them, if any do."""

    jobs: QuerySet[Job]
    said: str
    filters: JobFilter | None = None

    @property
    def is_large(self) -> bool:
        if self.filters is None:
            return False
        if self.filters.too_wide and sum(group.jobs for group in self.filters.groups) > MOST_AT_ONCE:
            return True  # counting alone would take seconds
        total = self.filters.total()
        return total.count > MOST_AT_ONCE or not total.is_exact


def select(workflow: Workflow, query: QueryDict) -> Selection:
    """What these filters of the job table mean in this workflow."""
    filters = JobFilter(query, jobs_of(workflow.dag_id), workflow.dag_id, groups_of(workflow.dag_id))
    said = "; ".join(chip.label for chip in filters.chips) or "all jobs"
    return Selection(filters.rows, said, filters)


def make_draft(workflow: Workflow, actor: Actor, action: str, selection: Selection) -> Operation | None:
    """A draft of this action, its jobs frozen; of many jobs, one that collects them first. None: there are none."""
    if selection.filters is None or not selection.is_large:
        return operations.freeze(workflow, actor, action, selection.jobs, selection.said)
    operation = begin(workflow, actor, action, selection.said, _lasting_query(selection.filters))
    bell.send(operations.TASK, operation_id=operation.pk)
    return operation


def _lasting_query(filters: JobFilter) -> str:
    """The filters, as they mean the same later: "in the last day" becomes "since" a moment."""
    query = filters.query.copy()
    since = filters.form.cleaned_data.get("since")
    if since is not None:
        query["since"] = since.isoformat()
    return query.urlencode()


@write_transaction
def begin(workflow: Workflow, actor: Actor, action: str, said: str, query: str) -> Operation:
    """An operation that collects the jobs of this query of the job table."""
    jobs = jobs_of(workflow.dag_id)
    first, last = jobs.aggregate(at=Min("pk"))["at"], jobs.aggregate(at=Max("pk"))["at"]
    return Operation.objects.create(
        workflow=workflow, user=actor.user, action=action, said=said, via=actor.via, address=actor.address,
        request_id=actor.request_id, token_prefix=actor.token_prefix, state="collecting", created_at=timezone.now(),
        options={"counts": [], "samples": [], "collect": {"query": query, "first": first, "next": first, "last": last}},
    )  # fmt: skip


def looked_at(operation: Operation) -> tuple[int, int]:
    """How far the collecting is: jobs that were looked at, of how many."""
    place = operation.options["collect"]
    whole = place["last"] - place["first"] + 1
    return min(place["next"] - place["first"], whole), whole


def collect(operation_id: int) -> bool:
    """Collect for a while; whether something is left. What does not collect is left alone."""
    return operations.work_on(operation_id, _take_batch)


@write_transaction
def _take_batch(operation_id: int) -> bool:
    """The jobs of the next range of ids, in one transaction with where to go on; whether there may be more."""
    locked = Operation.objects.select_for_update().filter(pk=operation_id, state="collecting").first()
    if locked is None:
        return False
    operation = Operation.objects.select_related("workflow").get(pk=operation_id)
    place = operation.options["collect"]
    selection = select(operation.workflow, QueryDict(place["query"]))
    assert selection.filters is not None
    if selection.filters.unknown:
        problem = f"Not understood any more: {', '.join(selection.filters.unknown)[:200]}. Nothing was done."
        operations.end(operation, "failed", problem=problem)
        return False
    end = place["next"] + BATCH
    chosen = selection.jobs.filter(pk__gte=place["next"], pk__lt=end).order_by("pk")
    _store(operation, list(chosen.values_list("pk", "group__name", "status")))
    return _go_on(operation, end)


def _store(operation: Operation, rows: list[tuple[int, str, str]]) -> None:
    """Freeze these jobs, and count them under tag and status."""
    insert_rows(
        "operation_item",
        ("operation_id", "job_id", "outcome", "why"),
        [(operation.pk, job_id, "", "") for job_id, _, _ in rows],
    )
    counted = Counter({(tag, letter): number for tag, letter, number in operation.options["counts"]})
    counted.update((tag, letter) for _, tag, letter in rows)
    operation.options["counts"] = sorted([tag, letter, number] for (tag, letter), number in counted.items())
    operation.jobs += len(rows)
    sampled = {(tag, letter) for tag, letter, _ in operation.options["samples"]}
    if new := [job_id for job_id, tag, letter in rows if (tag, letter) not in sampled][: operations.SAMPLED]:
        operation.options["samples"] += operations.sample(Job.objects.filter(pk__in=new))


def _go_on(operation: Operation, next_id: int) -> bool:
    """Write down where the next batch begins; after the last one it is a draft like any other."""
    options: dict[str, Any] = operation.options
    is_left = next_id <= options["collect"]["last"]
    if is_left:
        options["collect"]["next"] = next_id
        operation.save(update_fields=["jobs", "options"])
        return True
    del options["collect"]
    operation.state, operation.frozen_at = "draft", timezone.now()
    operation.problem = ""
    operation.save(update_fields=["jobs", "options", "state", "frozen_at", "problem"])
    return False
