"""Reads of a graph's structure: by tag, and around one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workflows.models import GroupEdge, Job, JobEdge

MOST_NODES = 200
MOST_EDGES_READ = 20_000


@dataclass(frozen=True, slots=True)
class TreeNode:
    job_id: int
    name: str
    tag: str
    status: str
    distance: int


@dataclass(frozen=True, slots=True)
class Tree:
    """Jobs around one; `distance` is negative upstream. `is_cut` says that there are more than are shown."""

    nodes: list[TreeNode]
    edges: list[tuple[int, int]]
    is_cut: bool


def count_group_edges(dag_id: int) -> list[tuple[str, str, int]]:
    """(upstream tag, downstream tag, number of edges), edges inside one tag included."""
    edges = GroupEdge.objects.filter(dag_id=dag_id)
    return sorted(edges.values_list("upstream__name", "downstream__name", "edges"))


def read_tree(job: Job, up: int, down: int) -> Tree:
    """The neighbourhood of a job, `up` and `down` hops far, one query per hop and side."""
    distances = {job.pk: 0}
    edges: set[tuple[int, int]] = set()
    is_cut = False
    for hops, sign in ((up, -1), (down, 1)):
        level: Sequence[int] = [job.pk]
        for hop in range(1, hops + 1):
            found = _hop(level, sign)
            is_cut = is_cut or len(found) >= MOST_EDGES_READ
            edges.update(found)
            level = sorted({edge[0 if sign < 0 else 1] for edge in found} - distances.keys())
            room = MOST_NODES - len(distances)
            is_cut = is_cut or len(level) > room
            level = level[:room]
            distances.update(dict.fromkeys(level, sign * hop))
    rows = Job.objects.filter(pk__in=list(distances)).values_list("pk", "name", "tag", "status")
    nodes = [TreeNode(pk, name, tag, status, distances[pk]) for pk, name, tag, status in rows]
    kept = sorted(edge for edge in edges if edge[0] in distances and edge[1] in distances)
    return Tree(sorted(nodes, key=lambda node: (node.distance, node.job_id)), kept, is_cut)


def _hop(level: Sequence[int], sign: int) -> list[tuple[int, int]]:
    side = "downstream_id__in" if sign < 0 else "upstream_id__in"
    edges = JobEdge.objects.filter(**{side: list(level)}).values_list("upstream_id", "downstream_id")
    return [(up, down) for up, down in edges[:MOST_EDGES_READ]]
