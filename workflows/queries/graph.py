"""Reads for the pictures: edges between groups, the neighbourhood of a job, the attempts of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Count, F

from workflows.models import Job, JobEdge, JobInstance

EDGES_SUMMED = 50_000
BOXES = 200
ATTEMPTS_DRAWN = 300


@dataclass(slots=True)
class Neighbourhood:
    """Jobs around one job: `jobs` by id, edges between them, and how many were left out."""

    jobs: dict[int, Job] = field(default_factory=dict)
    edges: set[tuple[int, int]] = field(default_factory=set)
    left_out: int = 0


def group_edges(dag_id: int, edge_count: int) -> dict[tuple[int, int], int] | None:
    """How many edges lead from group to group; None when there are too many edges to sum for a page."""
    if edge_count > EDGES_SUMMED:
        return None
    rows = (
        JobEdge.objects.filter(upstream__dag_id=dag_id)
        .values_list(F("upstream__group_id"), F("downstream__group_id"))
        .annotate(n=Count("downstream_id"))
        .order_by()
    )
    return {(up, down): n for up, down, n in rows}


def neighbourhood(job_id: int, up: int, down: int) -> Neighbourhood:
    """One query for each hop and side, one for the jobs. Never more than BOXES jobs."""
    found = Neighbourhood()
    seen: set[int] = {job_id}
    for side, other, hops in (("upstream_id", "downstream_id", up), ("downstream_id", "upstream_id", down)):
        edge_ids = {job_id}
        for _ in range(hops):
            edge_ids = _hop(found, seen, edge_ids, side, other)
    found.jobs = Job.objects.select_related("group").defer("command").in_bulk(list(seen))
    return found


def _hop(found: Neighbourhood, seen: set[int], from_ids: set[int], side: str, other: str) -> set[int]:
    edges = JobEdge.objects.filter(**{f"{other}__in": list(from_ids)}).order_by(side, other)
    rows = list(edges.values_list("upstream_id", "downstream_id")[: 10 * BOXES + 1])
    reached: set[int] = set()
    for upstream, downstream in rows:
        new = upstream if side == "upstream_id" else downstream
        if new not in seen and len(seen) >= BOXES:
            found.left_out += 1
            continue
        if new not in seen:
            reached.add(new)
        seen.add(new)
        found.edges.add((upstream, downstream))
    return reached


def drawn_attempts(run_id: int) -> list[JobInstance]:
    """The newest attempts of a run, in the order in which they were submitted."""
    rows = JobInstance.objects.filter(workflow_run_id=run_id).select_related("job__group")
    return list(rows.order_by("-job_instance_id")[: ATTEMPTS_DRAWN + 1])[::-1]
