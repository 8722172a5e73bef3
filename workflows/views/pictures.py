"""Pictures: the graph by tag, the neighbourhood of a job, the time line of a run. Each has its table beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from workflows import dot, graph_folding, graph_layout, graph_thinning, looks, words
from workflows.models import Job
from workflows.queries import graph as queries
from workflows.queries.counts import add_shown, groups_of
from workflows.queries.job_detail import find_job
from workflows.queries.workflows import find_workflow
from workflows.views.base import Crumb, Terminal, found, is_unchanged, nothing_new, page, poll, show, user_of
from workflows.views.graph_boxes import box_seconds, chain_words, dot_file, edge_labels, make_boxes, write_tags
from workflows.views.workflows import TABS, crumbs_of, poll_seconds

MOST_GROUPS = 60


@page
@require_safe
def workflow_graph(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    groups = groups_of(workflow.dag_id)
    edges = queries.group_edges(workflow.dag_id)
    total = sum(add_shown(groups).values())
    under = request.GET.get("under", "")
    whole = graph_folding.keep_under(groups, edges, under) if under else graph_folding.Folded(groups, edges)
    if request.GET.get("export") == "dot":
        return dot_file(f"workflow-{workflow.pk}", write_tags(whole.groups, whole.edges))
    folded = graph_folding.fold(whole.groups, whole.edges, MOST_GROUPS)
    seconds = box_seconds(folded, queries.run_times(workflow.pk, total))
    is_drawn = len(folded.groups) <= MOST_GROUPS
    nodes = [group.pk for group in folded.groups]
    drawing = graph_layout.draw(nodes, graph_thinning.thin(nodes, folded.edges), seconds=seconds) if is_drawn else None
    lines = graph_thinning.choose_lines(drawing, folded.edges) if drawing else []
    boxes = make_boxes(workflow.pk, folded, drawing.places if drawing else {}, seconds)
    context = {
        "workflow": workflow,
        "boxes": boxes,
        "drawing": drawing,
        "lines": lines,
        "all_lines": sum(up != down for up, down in folded.edges),
        "labels": edge_labels(lines, folded.edges),
        "chain": chain_words(drawing, boxes) if drawing else "",
        "most_groups": MOST_GROUPS,
        "tags": len(whole.groups),
        "under": under,
        "is_folded": bool(folded.members),
        "total": total,
        "live": poll(request, workflow.change_no, poll_seconds(workflow)),
        "tab": "graph",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Graph")),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow graph {workflow.pk} --dot", f"/api/v1/workflows/{workflow.pk}/graph/"),
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


def _text_of(node: queries.Node) -> str:
    alike = f" ({words.plural(node.jobs, 'job')})" if node.jobs > 1 else ""
    return f"{node.name}{alike}\n{looks.JOB[node.status].word}"


def _write_jobs(near: queries.Neighbourhood) -> str:
    """The jobs of the picture, those alike as one box, in the DOT language."""
    texts = {pk: _text_of(node) for pk, node in near.nodes.items()}
    return dot.write_dot(texts, [(up, down, "") for up, down in sorted(near.edges)])


def _hops(text: str) -> int:
    return int(text) if text in ("0", "1", "2") else 1


@page
@require_safe
def job_graph(request: HttpRequest, job_id: int) -> HttpResponse:
    job = found(find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    up, down = _hops(request.GET.get("up", "1")), _hops(request.GET.get("down", "1"))
    near = queries.neighbourhood(job.pk, up, down)
    if request.GET.get("export") == "dot":
        return dot_file(f"jobs-around-{job.pk}", _write_jobs(near))
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
        "live": poll(request, workflow.change_no, poll_seconds(workflow)),
        "crumbs": crumbs_of(workflow, Crumb(job.name, f"/jobs/{job.pk}/"), Crumb("Graph")),
        "section": "workflows",
        "terminal": Terminal(
            f"jobmon job tree {job.pk} --up {up} --down {down}", f"/api/v1/jobs/{job.pk}/tree/?up={up}&down={down}"
        ),
    }
    return show(request, "pictures/job_graph.html", context)
