"""Turns a checked graph into rows, in bulk and idempotently, and finds the workflow that it already is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection
from django.utils import timezone

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.bulk import allocate_ids, as_stored, insert_rows, update_rows
from workflows.graph import Graph, JobInput
from workflows.grouping import Group, group_jobs
from workflows.models import Job, JobGroup, TaskDag, Workflow
from workflows.permissions import may_operate
from workflows.state_machine import JobStatus, WorkflowStatus
from workflows.transactions import write_transaction

JOB_COLUMNS = (
    "job_id", "dag_id", "group_id", "job_hash", "name", "tag", "command", "slots", "mem_free", "max_runtime",
    "num_attempts", "max_attempts", "status", "status_date", "position", "executor", "upstreams_left", "attributes",
    "marked_done_by", "is_in_scope", "resource_scale",
)  # fmt: skip


class WorkflowInUse(Exception):
    """The same graph and arguments belong to somebody who is not this actor."""


@dataclass(frozen=True, slots=True)
class Bound:
    workflow: Workflow
    is_new: bool


def bind(graph: Graph, actor: Actor) -> Bound:
    """The workflow of this graph: a new one, or the one that it already is. Raises WorkflowInUse."""
    existing = _find(graph)
    if existing is not None:
        return _rebind(existing, graph, actor)
    groups = group_jobs([(job.name, job.tag) for job in graph.jobs])
    try:
        return _create(graph, groups, actor)
    except IntegrityError:  # somebody else wrote the same workflow in this very moment
        existing = _find(graph)
        if existing is None:
            raise
        return _rebind(existing, graph, actor)


def _find(graph: Graph) -> Workflow | None:
    return Workflow.objects.select_related("dag").filter(workflow_hash=graph.workflow_hash).first()


def _rebind(workflow: Workflow, graph: Graph, actor: Actor) -> Bound:
    if not may_operate(actor.user, workflow):
        raise WorkflowInUse
    changed = find_changed_requests(workflow, graph)
    if changed:
        _store_requests(workflow.pk, changed, actor)
    return Bound(workflow, is_new=False)


def find_changed_requests(workflow: Workflow, graph: Graph) -> list[tuple[int, float, int | None, int, str, int]]:
    """(slots, mem_free, max_runtime, max_attempts, executor, job_id) of jobs not done that now ask for something else:
    a job is its command, what it asks for may change from one submission to the next."""
    asked = dict(zip(graph.hashes, graph.jobs, strict=True))
    rows = (
        Job.objects.filter(dag_id=workflow.dag_id)
        .exclude(status=JobStatus.DONE)
        .values_list("job_id", "job_hash", "slots", "mem_free", "max_runtime", "max_attempts", "executor")
    )
    changed = []
    for job_id, job_hash, *stored in rows:
        job = asked[job_hash]
        wanted = [job.slots, job.mem_free, job.max_runtime, job.max_attempts, job.executor]
        if stored != wanted:
            changed.append((job.slots, job.mem_free, job.max_runtime, job.max_attempts, job.executor, job_id))
    return changed


@write_transaction
def _store_requests(workflow_id: int, changed: Sequence[tuple[Any, ...]], actor: Actor) -> None:
    workflow = Workflow.objects.select_for_update().get(pk=workflow_id)
    update_rows(
        "UPDATE job SET slots = %s, mem_free = %s, max_runtime = %s, max_attempts = %s, executor = %s WHERE job_id = %s",
        sorted(changed, key=lambda row: int(row[-1])),
    )
    Workflow.objects.filter(pk=workflow_id).update(change_no=workflow.change_no + 1)
    write_audit(actor, "change-requests", f"workflow {workflow_id}", workflow_id=workflow_id, job_count=len(changed))


@write_transaction
def _create(graph: Graph, groups: Sequence[Group], actor: Actor) -> Bound:
    existing = _find(graph)
    if existing is not None:  # somebody posted the same graph since we looked
        if not may_operate(actor.user, existing):
            raise WorkflowInUse
        return Bound(existing, is_new=False)
    now = timezone.now()
    workflow = _create_workflow(graph, actor, now)
    group_ids = _create_groups(graph, groups, workflow.dag_id)
    first_id = allocate_ids("job", len(graph.jobs))
    insert_rows(
        "job", JOB_COLUMNS, _job_rows(graph, workflow.dag_id, first_id, [group_ids[group] for group in groups], now)
    )
    edges = ((first_id + up, first_id + down) for down, ups in enumerate(graph.upstreams) for up in ups)
    insert_rows("job_edge", ("upstream_id", "downstream_id"), edges)
    _sum_edges(graph, workflow.dag_id, [group_ids[group] for group in groups])
    write_audit(actor, "submit", f"workflow {workflow.pk}", workflow_id=workflow.pk, job_count=len(graph.jobs))
    return Bound(workflow, is_new=True)


def _create_workflow(graph: Graph, actor: Actor, now: datetime) -> Workflow:
    header = graph.header
    dag = TaskDag.objects.create(
        dag_hash=graph.dag_hash,
        name=header.name,
        user=actor.name,
        created_date=now,
        job_count=len(graph.jobs),
        edge_count=graph.edge_count,
    )
    return Workflow.objects.create(
        dag=dag,
        workflow_args=header.workflow_args,
        workflow_hash=graph.workflow_hash,
        name=header.name,
        description=header.description,
        user=actor.name,
        owner=actor.user,
        status=WorkflowStatus.CREATED.value,
        created_date=now,
        status_date=now,
        project=header.project,
        stdout=header.stdout,
        stderr=header.stderr,
        working_dir=header.working_dir,
        executor=header.executor or settings.DEFAULT_EXECUTOR,
        home=header.home,
        path=header.path,
        max_concurrently_running=header.max_concurrently_running,
        fail_fast=header.fail_fast,
        seconds_until_timeout=header.seconds_until_timeout,
        attributes=header.attributes,
    )


def _create_groups(graph: Graph, groups: Sequence[Group], dag_id: int) -> dict[Group, int]:
    """Groups in the order of the graph: by the first level in which one of their jobs stands."""
    sizes = Counter(groups)
    first: dict[Group, tuple[int, int]] = {}
    for position, (group, level) in enumerate(zip(groups, graph.levels, strict=True)):
        here = (level, position)
        if group not in first or here < first[group]:
            first[group] = here
    ids = {}
    for rank, group in enumerate(sorted(sizes, key=first.__getitem__)):
        limit = graph.header.tag_limits.get(group.name) if group.is_from_tag else None
        row = JobGroup.objects.create(
            dag_id=dag_id,
            name=group.name,
            is_from_tag=group.is_from_tag,
            rank=rank,
            jobs=sizes[group],
            count_g=sizes[group],
            max_concurrently_running=limit,
        )
        ids[group] = row.pk
    return ids


def _sum_edges(graph: Graph, dag_id: int, group_ids: Sequence[int]) -> None:
    """What waits for what, by group: pages draw it without reading an edge."""
    sums = Counter((group_ids[up], group_ids[down]) for down, ups in enumerate(graph.upstreams) for up in ups)
    rows = ((dag_id, up, down, edges) for (up, down), edges in sorted(sums.items()))
    insert_rows("group_edge", ("dag_id", "upstream_id", "downstream_id", "edges"), rows)


def _job_rows(
    graph: Graph, dag_id: int, first_id: int, group_ids: Sequence[int], now: datetime
) -> Iterator[tuple[Any, ...]]:
    written = as_stored(now)
    for position, job in enumerate(graph.jobs):
        yield (
            first_id + position, dag_id, group_ids[position], graph.hashes[position], job.name, job.tag, job.command,
            job.slots, job.mem_free, job.max_runtime, 0, job.max_attempts, JobStatus.REGISTERED.value, written, position,
            job.executor, len(graph.upstreams[position]), _attributes(job), "", True, job.resource_scale,
        )  # fmt: skip


def _attributes(job: JobInput) -> str:
    field = Job._meta.get_field("attributes")
    return str(field.get_db_prep_value(job.attributes, connection)) if job.attributes else "{}"
