"""Reads for the pictures: edges between groups, and the neighbourhood of a job."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from django.db.models import Q

from workflows.looks import shown_letter
from workflows.models import GroupEdge, Job, JobEdge, RunUsage
from workflows.queries.attempts import attempts_of_workflow
from workflows.queries.resources import DONE_READ, READ_AT_ONCE_UP_TO
from workflows.resource_use import read_use

BOXES = 200
EDGES_READ = 2_000
# So many jobs alike, equally far from the job, are drawn as one box.
FOLD_FROM = 8
RUNS_READ = 5


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the picture: a job, or, with a negative `pk`, `jobs` alike ones. `hop` is 0 for the job itself, negative
    upstream of it; `status` is as pages show it."""

    pk: int
    name: str
    tag: str
    status: str
    hop: int
    jobs: int = 1


@dataclass(slots=True)
class Neighbourhood:
    """Boxes around one job by id, the edges between them, how many jobs they stand for, and how many found ones were
    left out. `is_cut`: there are more neighbours than were read."""

    nodes: dict[int, Node] = field(default_factory=dict)
    edges: set[tuple[int, int]] = field(default_factory=set)
    left_out: int = 0
    is_cut: bool = False

    @property
    def jobs(self) -> int:
        return sum(node.jobs for node in self.nodes.values())


def group_edges(dag_id: int) -> dict[tuple[int, int], int]:
    """How many edges lead from group to group, as summed when the graph was bound."""
    rows = GroupEdge.objects.filter(dag_id=dag_id).values_list("upstream_id", "downstream_id", "edges")
    return {(up, down): edges for up, down, edges in rows}


def neighbourhood(job_id: int, up: int, down: int) -> Neighbourhood:
    """One query for the edges of the job itself, one for each further hop and side, one for the jobs. Never more than
    BOXES boxes."""
    hops: dict[int, int] = {job_id: 0}
    edges: set[tuple[int, int]] = set()
    direct = _edges(Q(downstream_id=job_id) | Q(upstream_id=job_id))
    is_cut = len(direct) == EDGES_READ
    for side, furthest in ((-1, up), (1, down)):
        near = [edge for edge in direct if edge[side < 0] == job_id] if furthest else []
        reached = _add(hops, edges, near, side)
        for hop in range(2, furthest + 1):
            far = _edges(Q(downstream_id__in=reached) if side < 0 else Q(upstream_id__in=reached))
            is_cut = is_cut or len(far) == EDGES_READ
            reached = _add(hops, edges, far, side * hop)
    return _fold(hops, edges, is_cut)


def _edges(condition: Q) -> list[tuple[int, int]]:
    edges = JobEdge.objects.filter(condition).order_by("upstream_id", "downstream_id")
    return list(edges.values_list("upstream_id", "downstream_id")[:EDGES_READ])


def _add(hops: dict[int, int], edges: set[tuple[int, int]], found: list[tuple[int, int]], hop: int) -> list[int]:
    """Take these edges in; answer the jobs that are new."""
    edges.update(found)
    reached = list(dict.fromkeys(edge[hop > 0] for edge in found if edge[hop > 0] not in hops))
    hops.update(dict.fromkeys(reached, hop))
    return reached


def _fold(hops: dict[int, int], edges: set[tuple[int, int]], is_cut: bool) -> Neighbourhood:
    """Jobs of the same tag and status at the same distance become one box where they are many."""
    rows = Job.objects.filter(pk__in=list(hops)).order_by("job_id")
    jobs = [
        Node(pk, name, tag, shown_letter(status, cause), hops[pk])
        for pk, name, tag, status, cause in rows.values_list("job_id", "name", "group__name", "status", "blocked_by")
    ]
    alike: dict[tuple[int, str, str], list[Node]] = {}
    for job in jobs:
        alike.setdefault((job.hop, job.tag, job.status), []).append(job)
    nodes: dict[int, Node] = {}
    stands_for: dict[int, int] = {}
    for (hop, tag, status), members in sorted(alike.items(), key=lambda item: (abs(item[0][0]), item[1][0].pk)):
        boxes = [Node(-len(nodes) - 1, tag, tag, status, hop, len(members))] if len(members) >= FOLD_FROM else members
        nodes.update((box.pk, box) for box in boxes)
        stands_for.update((member.pk, boxes[0].pk if boxes is not members else member.pk) for member in members)
    shown = dict(list(nodes.items())[:BOXES])
    drawn = {(stands_for[up], stands_for[down]) for up, down in edges if up in stands_for and down in stands_for}
    left_out = sum(node.jobs for pk, node in nodes.items() if pk not in shown)
    kept = {(up, down) for up, down in drawn if up in shown and down in shown and up != down}
    return Neighbourhood(shown, kept, left_out, is_cut)


def run_times(workflow_id: int, jobs: int) -> dict[str, float]:
    """Of each tag, the median seconds of what ended, in a graph of so many jobs: one bounded query. Of a large graph, as
    the sweep last summed it up, the newest runs first."""
    if jobs > READ_AT_ONCE_UP_TO:
        rows = RunUsage.objects.filter(run__workflow_id=workflow_id, group=None).order_by("-run_id")
        stored = [read_use(use) for uses in rows.values_list("uses", flat=True)[:RUNS_READ] for use in uses]
        return {use.tag: use.time.median for use in reversed(stored) if use.time.median is not None}
    seconds: dict[str, list[float]] = defaultdict(list)
    done = attempts_of_workflow(workflow_id).filter(status="D", wallclock__isnull=False).order_by("-job_instance_id")
    for tag, took in done.values_list("job__group__name", "wallclock")[:DONE_READ]:
        if took is not None:
            seconds[tag].append(took)
    return {tag: median(took) for tag, took in seconds.items()}
