"""The list of workflows, and one workflow."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from workflows import bottlenecks, words
from workflows.directions import fenced
from workflows.filters import WorkflowFilter
from workflows.models import RunForecast, Workflow, WorkflowRun
from workflows.permissions import may_operate, may_stop
from workflows.queries import workflows as queries
from workflows.queries.counting import Total
from workflows.queries.counts import shown_counts
from workflows.queries.frame import Frame
from workflows.queries.keyset import CursorError, walk
from workflows.queries.pace import read_facts
from workflows.views.base import (
    Crumb,
    Terminal,
    found,
    frame_of,
    is_unchanged,
    nothing_new,
    page,
    per_page,
    poll,
    query_without,
    show,
    user_of,
)
from workflows.views.export import TYPES
from workflows.views.list_exports import export_workflows
from workflows.views.saved_filters import expand
from workflows.views.terminal import list_terminal

GROUPS_SHOWN = 25
POLL_LIVE, POLL_IDLE = 10, 60
POLL_SWEPT = 30  # of what the sweep sums up
TABS = (
    ("overview", "Overview", ""),
    ("jobs", "Jobs", "jobs/"),
    ("errors", "Errors", "errors/"),
    ("graph", "Graph", "graph/"),
    ("timeline", "Timeline", "timeline/"),
    ("resources", "Resources", "resources/"),
    ("runs", "Runs", "runs/"),
    ("activity", "Activity", "activity/"),
)


def poll_seconds(workflow: Workflow) -> int:
    """How soon to ask again about a workflow: what is done changes no more."""
    if workflow.status == "R":
        return POLL_LIVE
    return 0 if workflow.status == "D" else POLL_IDLE


def home(_request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/workflows/?mine=1")


@page
@require_safe
def workflow_list(request: HttpRequest) -> HttpResponseBase:
    user = user_of(request)
    if (saved := expand(request, "workflows")) is not None:
        return saved
    filters = WorkflowFilter(request.GET, queries.listed(user), user)
    number, digest = queries.count_and_digest(filters.rows)
    if is_unchanged(request, digest):
        return nothing_new()
    if (kind := request.GET.get("export")) in TYPES:
        return export_workflows(request, map(queries.rows_of, walk(filters.rows, queries.LIST_ORDER)), kind)
    wrong_cursor = ""
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    try:
        rows, this_page = queries.workflow_page(filters.rows, after, before, per_page(request.GET, 25))
    except CursorError as error:
        wrong_cursor = str(error)
        rows, this_page = queries.workflow_page(filters.rows, "", "", per_page(request.GET, 25))
    is_mine = request.GET.get("mine") in ("1", "true", "True")
    strip = queries.strip(user, is_mine)
    is_any_live = any(row.is_live for row in rows)
    context = {
        "rows": rows,
        "page": this_page,
        "total": Total(number),
        "filters": filters,
        "wrong_cursor": wrong_cursor,
        "strip": strip,
        "is_mine": is_mine,
        "live": poll(request, digest, POLL_LIVE if is_any_live else POLL_IDLE),
        "without_mine": query_without(request.GET, "mine"),
        "crumbs": [Crumb("Workflows")],
        "section": "workflows",
        "terminal": list_terminal(
            filters, "/api/v1/workflows/", "jobmon workflow list", options="mine status user name workflow_args"
        ),
    }
    return show(request, "workflows/list.html", context, fragment="workflows/list_live.html")


def crumbs_of(workflow: Workflow, *more: Crumb) -> list[Crumb]:
    return [
        Crumb("Workflows", "/workflows/"),
        Crumb(f"{fenced(workflow)} ({workflow.pk})", f"/workflows/{workflow.pk}/"),
        *more,
    ]


def _with_failed_first(view: queries.WorkflowView) -> list[tuple[object, dict[str, int]]]:
    """Groups with failed jobs first, then in the order of the graph."""
    ordered = sorted(view.groups, key=lambda group: (group.count_f == 0, group.rank, group.name))
    return [(group, shown_counts(group)) for group in ordered]


def _forecast_words(run: WorkflowRun | None, now: datetime) -> str:
    """The expected end of a live run; '' where it is not known."""
    found: RunForecast | None = getattr(run, "forecast", None)
    if found is None or found.earliest is None or found.latest is None or found.latest < now:
        return ""
    earliest, latest, made = (timezone.localtime(moment) for moment in (found.earliest, found.latest, found.made_at))
    return words.forecast_sentence(earliest, latest, found.bound_by, made, now)


def _bottlenecks(view: queries.WorkflowView, now: datetime, frame: Frame) -> list[str]:
    run = view.live_run
    if run is None:
        return []
    return bottlenecks.explain_pace(run, view.groups, view.counts, now, read_facts(run, view.groups, frame))


@page
@require_safe
def workflow_detail(request: HttpRequest, workflow_id: int) -> HttpResponse:
    user = user_of(request)
    if "v" in request.GET and is_unchanged(request, found(queries.change_number(user, workflow_id))):
        return nothing_new()
    workflow = found(queries.find_workflow(user, workflow_id))
    view = queries.view_workflow(workflow)
    run = view.live_run
    now = timezone.now()
    frame = frame_of(request)
    groups = _with_failed_first(view)
    shows_all = request.GET.get("groups") == "all"
    seconds = POLL_LIVE if run else (0 if workflow.status == "D" else POLL_IDLE)
    context = {
        "workflow": workflow,
        "view": view,
        "run": run,
        "sentence": words.workflow_sentence(
            workflow.status, view.counts, run.stopping if run else "", run.hold_reason if run else "", view.kinds
        ),
        "stall": getattr(run, "stall", None) if run else None,
        "forecast": _forecast_words(run, now),
        "total": sum(view.counts.values()),
        "groups": groups if shows_all else groups[:GROUPS_SHOWN],
        "groups_hidden": 0 if shows_all else max(0, len(groups) - GROUPS_SHOWN),
        "bottlenecks": _bottlenecks(view, now, frame),
        "may_operate": may_operate(user, workflow),
        "may_stop": may_stop(user, workflow),
        "live": poll(request, workflow.change_no, seconds),
        "tab": "overview",
        "tabs": TABS,
        "crumbs": [Crumb("Workflows", "/workflows/"), Crumb(f"{fenced(workflow)} ({workflow.pk})")],
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow show {workflow.pk}", f"/api/v1/workflows/{workflow.pk}/"),
    }
    return show(request, "workflows/detail.html", context, fragment="workflows/detail_live.html")
