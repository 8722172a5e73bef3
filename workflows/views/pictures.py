"""Pictures: the graph by tag, the neighbourhood of a job, the time line of a run. Each has its table beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from workflows import explain, graph_layout
from workflows.models import JobGroup, JobInstance
from workflows.queries import graph as queries
from workflows.queries import timeline as timeline_queries
from workflows.queries.counts import Counts, add_shown, groups_of, shown_counts
from workflows.queries.job_detail import find_job
from workflows.queries.workflows import find_workflow
from workflows.views.base import Crumb, Terminal, found, page, show, user_of
from workflows.views.workflows import TABS, crumbs_of

MOST_GROUPS = 60
TICKS = 6
ROOM, TOP, COLUMN_ROOM = 900, 20, 200


@dataclass(frozen=True, slots=True)
class Box:
    """One group in the drawing and in the table beside it."""

    group: JobGroup
    counts: Counts
    place: graph_layout.Place | None
    upstreams: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Strand:
    """One attempt in the time line: waiting from x to x + wait, running for `run` more. Parts of 1,000."""

    attempt: JobInstance
    label: str
    x: float
    wait: float
    run: float
    reason: str
    y: float = 0
    height: float = 12


@dataclass(frozen=True, slots=True)
class Column:
    """One bin of the time line: jobs running and queued, and how tall they are drawn. None: no data."""

    at: datetime
    x: float
    width: float
    running: int | None
    queued: int | None
    running_height: float
    queued_height: float

    @property
    def running_y(self) -> float:
        return round(TOP + COLUMN_ROOM - self.running_height, 1)

    @property
    def queued_y(self) -> float:
        return round(self.running_y - self.queued_height, 1)


@page
@require_safe
def workflow_graph(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    groups = groups_of(workflow.dag_id)
    edges = queries.group_edges(workflow.dag_id)
    is_drawn = len(groups) <= MOST_GROUPS
    drawing = graph_layout.draw([group.pk for group in groups], edges) if is_drawn else None
    names = {group.pk: group.name for group in groups}
    boxes = [
        Box(
            group,
            shown_counts(group),
            drawing.places[group.pk] if drawing else None,
            [(names[up], n) for (up, down), n in edges.items() if down == group.pk],
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


def _hops(text: str) -> int:
    return int(text) if text in ("0", "1", "2") else 1


@page
@require_safe
def job_graph(request: HttpRequest, job_id: int) -> HttpResponse:
    job = found(find_job(user_of(request), job_id))
    up, down = _hops(request.GET.get("up", "1")), _hops(request.GET.get("down", "1"))
    near = queries.neighbourhood(job.pk, up, down)
    drawing = graph_layout.draw(
        sorted(near.jobs), near.edges, graph_layout.Sizes(box_width=210, box_height=44, gap_y=12)
    )
    context = {
        "job": job,
        "near": near,
        "boxes": [(near.jobs[pk], place) for pk, place in drawing.places.items()],
        "drawing": drawing,
        "statuses": Counter(other.status for other in near.jobs.values()),
        "up": up,
        "down": down,
        "crumbs": crumbs_of(job.dag.workflow, Crumb(job.name, f"/jobs/{job.pk}/"), Crumb("Graph")),
        "section": "workflows",
        "terminal": Terminal(f"jobmon job tree {job.pk}"),
    }
    return show(request, "pictures/job_graph.html", context)


@page
@require_safe
def timeline(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    runs = list(workflow.runs.order_by("-id")[:10])
    asked = request.GET.get("run", "")
    run = next((run for run in runs if str(run.pk) == asked), runs[0] if runs else None)
    attempts = queries.drawn_attempts(run.pk) if run else []
    is_cut = len(attempts) > queries.ATTEMPTS_DRAWN
    attempts = attempts[-queries.ATTEMPTS_DRAWN :]
    minutes = timeline_queries.read_minutes(run.pk) if run and is_cut else None
    begin, end = _window(attempts)
    context = {
        "workflow": workflow,
        "run": run,
        "runs": runs,
        "minutes": minutes,
        "columns": _columns(minutes) if minutes else [],
        "most": _most(minutes) if minutes else 0,
        "strands": [
            _strand(attempt, begin, end, row, _row_height(len(attempts))) for row, attempt in enumerate(attempts)
        ],
        "ticks": _ticks(begin, end) if attempts else [],
        "height": round(TOP + _row_height(len(attempts)) * len(attempts) + 4),
        "is_cut": is_cut,
        "drawn": queries.ATTEMPTS_DRAWN,
        "tab": "timeline",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Timeline")),
        "section": "workflows",
        "terminal": Terminal("", f"/api/v1/workflows/{workflow.pk}/runs/"),
    }
    return show(request, "pictures/timeline.html", context)


def _most(minutes: timeline_queries.Minutes) -> int:
    return max(((bin.queued or 0) + (bin.running or 0) for bin in minutes.bins), default=0)


def _columns(minutes: timeline_queries.Minutes) -> list[Column]:
    """Running jobs at the bottom, queued ones on them; what nobody looked at is a gap."""
    most, width = max(_most(minutes), 1), 1000 / max(len(minutes.bins), 1)
    return [
        Column(
            bin.at, round(width * index, 1), round(max(width - 0.5, 0.5), 1), bin.running, bin.queued,
            round((bin.running or 0) / most * COLUMN_ROOM, 1), round((bin.queued or 0) / most * COLUMN_ROOM, 1),
        )
        for index, bin in enumerate(minutes.bins)
    ]  # fmt: skip


def _window(attempts: list[JobInstance]) -> tuple[datetime, datetime]:
    now = timezone.now()
    begin = min((attempt.submitted_date for attempt in attempts), default=now)
    end = max((attempt.ended_at or now for attempt in attempts), default=now)
    return begin, max(end, begin + timedelta(seconds=1))


def _row_height(count: int) -> float:
    """Comfortable for few attempts, thin for many: the picture never grows beyond one screen or so."""
    return round(max(3.0, min(18.0, ROOM / max(count, 1))), 1)


def _strand(attempt: JobInstance, begin: datetime, end: datetime, row: int, height: float) -> Strand:
    span = (end - begin).total_seconds()
    last = attempt.ended_at or end

    def part(start: datetime, stop: datetime) -> float:
        return round(max(0.0, (stop - start).total_seconds()) / span * 1000, 1)

    started = attempt.started_at or last
    return Strand(
        attempt=attempt,
        label=f"{attempt.job.name}, attempt {attempt.attempt}",
        x=part(begin, attempt.submitted_date),
        wait=part(attempt.submitted_date, started),
        run=part(started, last),
        reason=explain.ended_because(attempt),
        y=round(TOP + height * row, 1),
        height=round(height * 0.72, 1),
    )


def _ticks(begin: datetime, end: datetime) -> list[tuple[float, datetime]]:
    return [(1000 / TICKS * index, begin + (end - begin) / TICKS * index) for index in range(TICKS + 1)]
