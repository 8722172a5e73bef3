"""Pictures: the graph by tag, the neighbourhood of a job, the time line of a run. Each has its table beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from workflows import dot, graph_folding, graph_layout, graph_thinning, looks, words
from workflows.directions import fenced
from workflows.graph_bundles import find_bundles
from workflows.graph_strokes import Strokes, find_joints, join_bundles, join_lines
from workflows.models import Job
from workflows.queries import graph as queries
from workflows.queries.counts import add_shown, groups_of
from workflows.queries.job_detail import find_job
from workflows.queries.pace import count_ready
from workflows.queries.workflows import find_workflow
from workflows.views.base import Crumb, Terminal, found, is_unchanged, nothing_new, page, poll, show, user_of
from workflows.views.graph_boxes import (
    Box,
    EdgeLabel,
    box_seconds,
    chain_words,
    dot_file,
    draw_bars,
    edge_labels,
    find_url,
    make_boxes,
    slice_rows,
    write_tags,
)
from workflows.views.workflows import TABS, crumbs_of, poll_seconds

MOST_GROUPS = 60
HOPS = ("0", "1", "2")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of a graph by tag: of `all_lines` lines `drawn`, some of them in bundles."""

    drawing: graph_layout.Drawing
    boxes: list[Box]
    strokes: Strokes
    labels: list[EdgeLabel]
    bars: list[tuple[str, str]]
    chain: str
    bundles: int
    drawn: int
    all_lines: int


def _draw_tags(
    workflow_id: int, folded: graph_folding.Folded, seconds: Mapping[int, float], ready: Mapping[int, int] | None
) -> Picture:
    nodes = [group.pk for group in folded.groups]
    drawing = graph_layout.draw(nodes, graph_thinning.thin(nodes, folded.edges), seconds=seconds)
    bundles, single = find_bundles(drawing)
    lines = graph_thinning.choose_lines(single, folded.edges, len(join_bundles(bundles)))
    joints = find_joints({pk: number for number, pk in enumerate(nodes)}, lines, bundles)
    boxes = make_boxes(workflow_id, folded, folded.groups, seconds, ready, drawing.places, joints)
    return Picture(
        drawing, boxes, join_lines(lines, bundles),
        edge_labels(lines, folded.edges) if graph_thinning.have_room_for_labels(single) else [],
        draw_bars(boxes), chain_words(drawing, boxes), len(bundles),
        len(lines) + sum(len(bundle.lines) for bundle in bundles), sum(up != down for up, down in folded.edges),
    )  # fmt: skip


@page
@require_safe
def workflow_graph(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    groups = groups_of(workflow.dag_id)
    if url := find_url(workflow.pk, groups, request.GET.get("to", "")):
        return redirect(url)
    edges = queries.group_edges(workflow.dag_id)
    total = sum(add_shown(groups).values())
    under = request.GET.get("under", "")
    whole = graph_folding.keep_under(groups, edges, under) if under else graph_folding.Folded(groups, edges)
    if request.GET.get("export") == "dot":
        return dot_file(f"workflow-{workflow.pk}", write_tags(whole.groups, whole.edges))
    folded = graph_folding.fold(whole.groups, whole.edges, MOST_GROUPS)
    seconds = box_seconds(folded, queries.run_times(workflow.pk, total))
    ready = count_ready(whole.groups)
    rows = slice_rows(len(folded.groups), MOST_GROUPS, request.GET.get("part", ""))
    picture = _draw_tags(workflow.pk, folded, seconds, ready) if rows.parts == 1 else None
    context = {
        "workflow": workflow,
        "boxes": picture.boxes if picture else make_boxes(workflow.pk, folded, rows.of(folded.groups), seconds, ready),
        "rows": rows,
        "picture": picture,
        "most_groups": MOST_GROUPS,
        "tags": len(whole.groups),
        "under": under,
        "is_folded": bool(folded.members),
        "counts": add_shown(whole.groups),
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
    return f"/workflows/{job.dag.workflow.pk}/jobs/?{urlencode({**near, 'tag': node.tag, **looks.filters_of(node.status)})}"


def _count_statuses(nodes: Iterable[queries.Node]) -> dict[str, int]:
    """In the order of the bars."""
    counts: Counter[str] = Counter()
    for node in nodes:
        counts[node.status] += node.jobs
    return {letter: counts[letter] for letter in looks.BAR_ORDER if counts[letter]}


def _text_of(node: queries.Node) -> str:
    alike = f" ({words.plural(node.jobs, 'job')})" if node.jobs > 1 else ""
    return f"{node.name}{alike}\n{looks.SHOWN[node.status].word}"


def _write_jobs(near: queries.Neighbourhood) -> str:
    """The jobs of the picture, those alike as one box, in the DOT language."""
    texts = {pk: _text_of(node) for pk, node in near.nodes.items()}
    return dot.write_dot(texts, [(up, down, "") for up, down in sorted(near.edges)])


def _read_hops(query: QueryDict) -> tuple[int, int, list[str]]:
    """How far to go up and down, and what of the address was not understood."""
    asked = {name: query.get(name) or "1" for name in ("up", "down")}
    wrong = [
        f"not understood: {name}={fenced(text[:20])}; 0, 1 or 2 can be shown"
        for name, text in asked.items()
        if text not in HOPS
    ]
    up, down = (int(text) if text in HOPS else 1 for text in asked.values())
    return up, down, wrong


@page
@require_safe
def job_graph(request: HttpRequest, job_id: int) -> HttpResponse:
    job = found(find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    up, down, wrong = _read_hops(request.GET)
    near = queries.neighbourhood(job.pk, up, down)
    if request.GET.get("export") == "dot":
        return dot_file(f"jobs-around-{job.pk}", _write_jobs(near))
    drawing = graph_layout.draw(
        sorted(near.nodes), near.edges, graph_layout.Sizes(box_width=210, box_height=44, gap_y=12)
    )
    joints = find_joints({pk: number for number, pk in enumerate(drawing.places)}, drawing.lines)
    context = {
        "job": job,
        "near": near,
        "letter": looks.shown_letter(job.status, job.blocked_by),
        "boxes": [
            (near.nodes[pk], place, _url_of(job, near.nodes[pk], up, down), joints[pk])
            for pk, place in drawing.places.items()
        ],
        "drawing": drawing,
        "strokes": join_lines(drawing.lines, has_chain=False),
        "statuses": _count_statuses(near.nodes.values()),
        "up": up,
        "down": down,
        "wrong": wrong,
        "live": poll(request, workflow.change_no, poll_seconds(workflow)),
        "crumbs": crumbs_of(workflow, Crumb(job.name, f"/jobs/{job.pk}/"), Crumb("Graph")),
        "section": "workflows",
        "terminal": Terminal(
            f"jobmon job tree {job.pk} --up {up} --down {down}", f"/api/v1/jobs/{job.pk}/tree/?up={up}&down={down}"
        ),
    }
    return show(request, "pictures/job_graph.html", context)
