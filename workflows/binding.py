"""Turns a checked graph into rows, in bulk and idempotently, and finds the workflow that it already is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group as AuthGroup
from django.db import IntegrityError, connection
from django.utils import timezone

from workflows.actor import Actor
from workflows.audit import sum_up, write_audit
from workflows.bulk import (
    KEY,
    NUMBER,
    REAL,
    TEXT,
    RowUpdate,
    allocate_ids,
    as_stored,
    chunked,
    insert_rows,
    update_rows,
)
from workflows.graph import Graph, GraphError, InvalidGraph, JobInput
from workflows.grouping import Group, group_jobs
from workflows.lifecycle import Refused
from workflows.models import Job, JobGroup, TaskDag, Workflow
from workflows.permissions import find_group, is_owner, may_operate
from workflows.quotas import refuse_jobs, refuse_submission
from workflows.sharing import share
from workflows.state_machine import JobStatus, WorkflowStatus
from workflows.transactions import give_way, last_turn_seconds, write_transaction

JOB_COLUMNS = (
    "job_id", "dag_id", "group_id", "job_hash", "name", "tag", "command", "slots", "mem_free", "max_runtime",
    "num_attempts", "max_attempts", "status", "status_date", "position", "executor", "upstreams_left", "ready_at",
    "attributes", "marked_done_by", "is_in_scope", "resource_scale",
)  # fmt: skip


REQUESTS = ("slots", "mem_free", "max_runtime", "max_attempts", "executor")
STORE_REQUESTS = RowUpdate(
    "job",
    "slots = {slots}, mem_free = {mem_free}, max_runtime = {max_runtime}, max_attempts = {max_attempts},"
    " executor = {executor}",
    "job_id = {job}",
    tuple(zip((*REQUESTS, "job"), (NUMBER, REAL, NUMBER, NUMBER, TEXT, KEY), strict=True)),
)

# A transaction of so many jobs takes a tenth of a second, and then others have their turn. Where it takes LONG, the next
# one has fewer.
SLICE, SMALLEST_SLICE = 5_000, 1_000
LONG = 0.4


class _AlreadyThere(Exception):
    """Somebody else has written the same workflow meanwhile."""


class GraphRemoved(Exception):
    """Somebody removed the graph, which had no workflow yet, while it was being written."""


class WorkflowInUse(Exception):
    """The same graph and arguments belong to somebody who is not this actor."""


@dataclass(frozen=True, slots=True)
class Bound:
    workflow: Workflow
    is_new: bool


def bind(graph: Graph, actor: Actor) -> Bound:
    """The workflow of this graph: a new one, or the one that it already is. Raises WorkflowInUse."""
    existing = find_bound(graph, actor)
    if existing is not None:
        return _rebind(existing, graph, actor)
    try:
        return _create_at_once(graph, actor) if len(graph.jobs) <= SLICE else _create(graph, actor)
    except (IntegrityError, _AlreadyThere):  # somebody else wrote the same workflow in this very moment
        existing = _find(graph)
        if existing is None:
            raise
        return _rebind(existing, graph, actor)


def find_bound(graph: Graph, actor: Actor) -> Workflow | None:
    """The workflow that this graph is already; None if `bind` would make a new one. Raises what `bind` would."""
    _find_team(graph, actor)
    existing = _find(graph)
    if existing is None:
        _check_quotas(graph, actor)
    elif not may_operate(actor.user, existing):
        raise WorkflowInUse
    return existing


def _find(graph: Graph) -> Workflow | None:
    return Workflow.objects.select_related("dag").filter(workflow_hash=graph.workflow_hash).first()


def _find_team(graph: Graph, actor: Actor) -> AuthGroup | None:
    """The group of people that the workflow is shared with. Raises InvalidGraph if the poster is not in it."""
    name = graph.header.group
    team = find_group(actor.user, name) if name else None
    if name and team is None:
        raise InvalidGraph([GraphError("unknown-group", "group", f"You are not in a group {name!r}.")])
    return team


def _check_quotas(graph: Graph, actor: Actor) -> None:
    if too_many := refuse_submission(actor.user):
        raise Refused("too-many-submissions", too_many)
    if too_many := refuse_jobs(actor.user, len(graph.jobs)):
        raise Refused("too-many-jobs", too_many)


def _rebind(workflow: Workflow, graph: Graph, actor: Actor) -> Bound:
    """An operator gets the workflow as it is; what its jobs ask for and who shares it is the owner's to change."""
    if not may_operate(actor.user, workflow):
        raise WorkflowInUse
    if not is_owner(actor.user, workflow):
        return Bound(workflow, is_new=False)
    if graph.header.group:
        share(workflow.pk, _find_team(graph, actor), graph.header.group_may_operate, actor)
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
    found = [row for ids in chunked([row[-1] for row in changed]) for row in _read_requests(ids)]
    update_rows(STORE_REQUESTS, sorted(changed, key=lambda row: int(row[-1])))
    Workflow.objects.filter(pk=workflow_id).update(change_no=workflow.change_no + 1)
    before, after = sum_up(found), sum_up(dict(zip(REQUESTS, row, strict=False)) for row in changed)
    same = [name for name in REQUESTS if before.get(name) == after[name]]
    for name in same:
        before.pop(name), after.pop(name)
    write_audit(
        actor, "change-requests", f"workflow {workflow_id}", workflow_id=workflow_id, job_count=len(changed),
        before=before, after=after,
    )  # fmt: skip


def _read_requests(job_ids: Sequence[int]) -> list[dict[str, Any]]:
    """What these jobs ask for, each combination once."""
    return list(Job.objects.filter(pk__in=job_ids).order_by().values(*REQUESTS).distinct())


@write_transaction
def _create_at_once(graph: Graph, actor: Actor) -> Bound:
    return _create(graph, actor)


def _create(graph: Graph, actor: Actor) -> Bound:
    """Graph first, workflow last: a graph without one is invisible, and if we die the sweep removes it. A large graph
    takes many transactions, so that other workflows go on meanwhile."""
    now = timezone.now()
    groups = group_jobs([(job.name, job.tag) for job in graph.jobs])
    dag, ids = _create_dag(graph, groups, actor, now)
    group_ids = [ids[group] for group in groups]
    first_id = _allocate_jobs(len(graph.jobs))
    start, size = 0, SLICE
    while start < len(graph.jobs):
        positions = range(start, min(start + size, len(graph.jobs)))
        rows = list(_job_rows(graph, dag.pk, first_id, group_ids, now, positions))
        _insert_slice(rows, _edges_to(graph, first_id, positions))
        give_way()
        start, size = positions.stop, choose_size(size, last_turn_seconds())
    return _create_workflow(graph, dag, actor, now, _sum_edges(graph, dag.pk, group_ids))


def choose_size(size: int, seconds: float) -> int:
    """Of the next transaction, after one that took so long: where the disk is slow, others shall not wait for it."""
    if seconds > LONG:
        return max(min(SLICE, SMALLEST_SLICE), size // 2)
    return min(SLICE, 2 * size) if seconds < LONG / 4 else size


@write_transaction
def _create_dag(graph: Graph, groups: Sequence[Group], actor: Actor, now: datetime) -> tuple[TaskDag, dict[Group, int]]:
    dag = TaskDag.objects.create(
        dag_hash=graph.dag_hash,
        name=graph.header.name,
        user=actor.name,
        created_date=now,
        job_count=len(graph.jobs),
        edge_count=graph.edge_count,
    )
    return dag, _create_groups(graph, groups, dag.pk)


@write_transaction
def _allocate_jobs(count: int) -> int:
    return allocate_ids("job", count)


@write_transaction
def _insert_slice(jobs: Sequence[tuple[Any, ...]], edges: Sequence[tuple[int, int]]) -> None:
    """Some jobs and the edges that lead to them. All that can be done before is done: others wait meanwhile."""
    insert_rows("job", JOB_COLUMNS, jobs)
    insert_rows("job_edge", ("upstream_id", "downstream_id"), edges)


def _edges_to(graph: Graph, first_id: int, positions: range) -> list[tuple[int, int]]:
    """Sorted by upstream, as the table is."""
    edges = [(first_id + up, first_id + down) for down in positions for up in graph.upstreams[down]]
    edges.sort()
    return edges


@write_transaction
def _create_workflow(
    graph: Graph, dag: TaskDag, actor: Actor, now: datetime, group_edges: Sequence[tuple[int, ...]]
) -> Bound:
    existing = _find(graph)
    if existing is not None:  # somebody posted the same graph since we looked
        raise _AlreadyThere
    if Job.objects.filter(dag=dag).count() != len(graph.jobs):
        raise GraphRemoved(f"graph {dag.pk} lost jobs before its workflow was written; submit it again")
    insert_rows("group_edge", ("dag_id", "upstream_id", "downstream_id", "edges"), group_edges)
    workflow = _insert_workflow(graph, dag, actor, now)
    shared = {"group": graph.header.group, "group_may_operate": graph.header.group_may_operate}
    after = {"name": workflow.name, "workflow_args": workflow.workflow_args[:500]} | (shared if workflow.group else {})
    target, count = f"workflow {workflow.pk}", len(graph.jobs)
    write_audit(actor, "submit", target, workflow_id=workflow.pk, job_count=count, after=after)
    return Bound(workflow, is_new=True)


def _insert_workflow(graph: Graph, dag: TaskDag, actor: Actor, now: datetime) -> Workflow:
    header = graph.header
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
        group=_find_team(graph, actor),
        group_may_operate=header.group_may_operate,
    )


def _create_groups(graph: Graph, groups: Sequence[Group], dag_id: int) -> dict[Group, int]:
    """Groups in the order of the graph: by the first level in which one of their jobs stands."""
    sizes = Counter(groups)
    first: dict[Group, tuple[int, int]] = {}
    for position, (group, level) in enumerate(zip(groups, graph.levels, strict=True)):
        known = first.get(group)
        if known is None or level < known[0]:
            first[group] = (level, position)
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


def _sum_edges(graph: Graph, dag_id: int, group_ids: Sequence[int]) -> list[tuple[int, ...]]:
    """What waits for what, by group: pages draw it without reading an edge."""
    sums: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for down, ups in zip(group_ids, graph.upstreams, strict=True):
        counts = sums[down]
        for up in ups:
            counts[group_ids[up]] += 1
    return sorted((dag_id, up, down, edges) for down, counts in sums.items() for up, edges in counts.items())


def _job_rows(
    graph: Graph, dag_id: int, first_id: int, group_ids: Sequence[int], now: datetime, positions: range
) -> Iterator[tuple[Any, ...]]:
    written, registered = as_stored(now), JobStatus.REGISTERED.value
    jobs, hashes, count_upstreams = graph.jobs, graph.hashes, graph.upstreams.count
    for position in positions:
        job, left = jobs[position], count_upstreams(position)
        yield (
            first_id + position, dag_id, group_ids[position], hashes[position], job.name, job.tag, job.command,
            job.slots, job.mem_free, job.max_runtime, 0, job.max_attempts, registered, written, position,
            job.executor, left, None if left else written, _attributes(job) if job.attributes else "{}", "", True,
            job.resource_scale,
        )  # fmt: skip


def _attributes(job: JobInput) -> str:
    field = Job._meta.get_field("attributes")
    return str(field.get_db_prep_value(job.attributes, connection))
