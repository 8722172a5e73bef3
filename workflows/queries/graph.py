"""Reads for the pictures: edges between groups, and the neighbourhood of a job."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q

from workflows.models import GroupEdge, Job, JobEdge

BOXES = 200
EDGES_READ = 2_000


@dataclass(slots=True)
class Neighbourhood:
    """Jobs around one job: `jobs` by id, edges between them, and how many were left out."""

    jobs: dict[int, Job] = field(default_factory=dict)
    edges: set[tuple[int, int]] = field(default_factory=set)
    left_out: int = 0


def group_edges(dag_id: int) -> dict[tuple[int, int], int]:
    """How many edges lead from group to group, as summed when the graph was bound."""
    rows = GroupEdge.objects.filter(dag_id=dag_id).values_list("upstream_id", "downstream_id", "edges")
    return {(up, down): edges for up, down, edges in rows}


def neighbourhood(job_id: int, up: int, down: int) -> Neighbourhood:
    """One query for the edges of the job itself, one for each further hop and side, one for the jobs. Never more than
    BOXES jobs."""
    found = Neighbourhood()
    seen: set[int] = {job_id}
    direct = _edges(Q(downstream_id=job_id) | Q(upstream_id=job_id))
    for is_up, hops in ((True, up), (False, down)):
        own = [(a, b) for a, b in direct if (b if is_up else a) == job_id] if hops else []
        reached = _add(found, seen, own, is_up)
        for _ in range(hops - 1):
            side = Q(downstream_id__in=reached) if is_up else Q(upstream_id__in=reached)
            reached = _add(found, seen, _edges(side), is_up)
    found.jobs = Job.objects.select_related("group").defer("command").in_bulk(list(seen))
    return found


def _edges(condition: Q) -> list[tuple[int, int]]:
    edges = JobEdge.objects.filter(condition).order_by("upstream_id", "downstream_id")
    return list(edges.values_list("upstream_id", "downstream_id")[:EDGES_READ])


def _add(found: Neighbourhood, seen: set[int], edges: list[tuple[int, int]], is_up: bool) -> list[int]:
    """Take these edges in while there is room; answer the jobs that are new."""
    reached: list[int] = []
    for upstream, downstream in edges:
        new = upstream if is_up else downstream
        if new not in seen and len(seen) >= BOXES:
            found.left_out += 1
            continue
        if new not in seen:
            reached.append(new)
        seen.add(new)
        found.edges.add((upstream, downstream))
    return reached
