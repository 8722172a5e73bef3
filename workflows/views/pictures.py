"""Pictures: the graph by tag, the neighbourhood of a job, the time line of a run. Each has its table beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from workflows import explain, graph_layout
from workflows.models import Job, JobGroup
from workflows.queries import graph as queries
from workflows.queries.counts import Counts, add_shown, groups_of, shown_counts
from workflows.queries.job_detail import find_job
from workflows.queries.workflows import find_workflow
from workflows.views.base import Crumb, Terminal, found, page, show, user_of
from workflows.views.workflows import TABS, crumbs_of

MOST_GROUPS = 60


@dataclass(frozen=True, slots=True)
class Box:
    """One group in the drawing and in the table beside it."""

    group: JobGroup
    counts: Counts
    place: graph_layout.Place | None
    upstreams: list[tuple[str, int]]
    why: list[str]


@page
@require_safe
def workflow_graph(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    groups = groups_of(workflow.dag_id)
    edges = queries.group_edges(workflow.dag_id)
    is_drawn = len(groups) <= MOST_GROUPS
    drawing = graph_layout.draw([group.pk for group in groups], edges) if is_drawn else None
    names, by_id = {group.pk: group.name for group in groups}, {group.pk: group for group in groups}
    boxes = [
        Box(
            group,
            shown_counts(group),
            drawing.places[group.pk] if drawing else None,
            [(names[up], n) for (up, down), n in edges.items() if down == group.pk],
            explain.why_tag(group, [by_id[up] for up, down in edges if down == group.pk and up != down]),
        )
        for group in groups
    ]
    context = {
        "workflow": workflow,
        "boxes": boxes,
        "drawing": drawing,
        "inner": {up: n for (up, down), n in edges.items() if up == down},
        "chain": [names[pk] for pk in drawing.chain] if drawing else [],
        "most_groups": MOST_GROUPS,
        "total": sum(add_shown(groups).values()),
        "tab": "graph",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Graph")),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow graph {workflow.pk} --dot"),
    }
    return show(request, "pictures/workflow_graph.html", context)


def _url_of(job: Job, node: queries.Node, up: int, down: int) -> str:
    """A job leads to its own neighbourhood, jobs alike to the table of them."""
    if node.jobs == 1:
        return f"/jobs/{node.pk}/graph/?{urlencode({'up': up, 'down': down})}"
    near = {-1: {"upstream_of": job.pk}, 1: {"downstream_of": job.pk}}.get(node.hop, {})
    return f"/workflows/{job.dag.workflow.pk}/jobs/?{urlencode({**near, 'tag': node.tag, 'status': node.status})}"


def _count_statuses(nodes: Iterable[queries.Node]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for node in nodes:
        counts[node.status] += node.jobs
    return counts


def _hops(text: str) -> int:
    return int(text) if text in ("0", "1", "2") else 1


@page
@require_safe
def job_graph(request: HttpRequest, job_id: int) -> HttpResponse:
    job = found(find_job(user_of(request), job_id))
    up, down = _hops(request.GET.get("up", "1")), _hops(request.GET.get("down", "1"))
    near = queries.neighbourhood(job.pk, up, down)
    drawing = graph_layout.draw(
        sorted(near.nodes), near.edges, graph_layout.Sizes(box_width=210, box_height=44, gap_y=12)
    )
    context = {
        "job": job,
        "near": near,
        "boxes": [
            (near.nodes[pk], place, _url_of(job, near.nodes[pk], up, down)) for pk, place in drawing.places.items()
        ],
        "drawing": drawing,
        "statuses": _count_statuses(near.nodes.values()),
        "up": up,
        "down": down,
        "crumbs": crumbs_of(job.dag.workflow, Crumb(job.name, f"/jobs/{job.pk}/"), Crumb("Graph")),
        "section": "workflows",
        "terminal": Terminal(f"jobmon job tree {job.pk}"),
    }
    return show(request, "pictures/job_graph.html", context)
