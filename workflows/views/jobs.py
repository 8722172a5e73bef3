"""The job table with its export, and one job."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from workflows import explain, log_text, logs, looks
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.job_filters import JobFilter
from workflows.markup import with_elapsed
from workflows.models import JobInstance, Workflow
from workflows.operations import ACTIONS
from workflows.permissions import is_owner, may_operate, may_stop, visible_workflows
from workflows.queries import job_detail, offers
from workflows.queries import jobs as queries
from workflows.queries.counting import Total
from workflows.queries.counts import groups_of
from workflows.queries.keyset import CursorError
from workflows.queries.workflows import find_workflow
from workflows.tables import JobTable
from workflows.views.base import (
    Crumb,
    Terminal,
    found,
    frame_of,
    is_fragment,
    is_unchanged,
    nothing_new,
    page,
    per_page,
    poll,
    query_without,
    show,
    user_of,
)
from workflows.views.export import TYPES, export_jobs
from workflows.views.saved_filters import expand
from workflows.views.terminal import list_terminal
from workflows.views.workflows import TABS, crumbs_of, poll_seconds

TAIL_BYTES, TAIL_LINES = 8 * 1024, 20


@page
@require_safe
def jobs_of_dag(request: HttpRequest) -> HttpResponse:
    """`/jobs/?dag_id=191`: the job table by the id that SQL users know."""
    dag_id = read_digits(request.GET.get("dag_id", ""))
    if dag_id is None:
        raise Http404
    workflows = visible_workflows(user_of(request)).filter(dag_id=dag_id)
    workflow_id = found(workflows.values_list("pk", flat=True).first())
    query = request.GET.copy()
    del query["dag_id"]
    return HttpResponseRedirect(f"/workflows/{workflow_id}/jobs/" + (f"?{query.urlencode()}" if query else ""))


@page
@require_safe
def job_list(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    workflow = found(find_workflow(user_of(request), workflow_id))
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    if (saved := expand(request, "jobs")) is not None:
        return saved
    groups = groups_of(workflow.dag_id)
    filters = JobFilter(request.GET, queries.jobs_of(workflow.dag_id), workflow.dag_id, groups)
    sort = request.GET.get("sort", queries.DEFAULT_ORDER)
    sort = sort if sort in queries.ORDERS else queries.DEFAULT_ORDER
    rows, keys = filters.listed(sort)
    if request.GET.get("export") in TYPES:
        return export_jobs(
            request,
            queries.export_rows(rows, sort, groups, keys),
            request.GET["export"],
            f"jobs-of-workflow-{workflow.pk}",
        )
    columns = JobTable.choose_columns(request.GET.get("cols", "") or frame_of(request).job_columns)
    rows = queries.with_error_groups(rows) if "error" in columns else rows
    rows = queries.with_total(rows, keys) if keys is not None else rows
    wrong_cursor, after, before = "", request.GET.get("after", ""), request.GET.get("before", "")
    try:
        this_page = queries.job_page(rows, sort, after, before, per_page(request.GET, 50), keys)
    except CursorError as error:
        wrong_cursor = str(error)
        this_page = queries.job_page(rows, sort, "", "", per_page(request.GET, 50), keys)
    is_empty = not (this_page.rows or after or before)
    rows_shown = queries.rows_with_attempts(this_page.rows, groups)
    table = JobTable(rows_shown, request, sort, columns)
    context = {
        "workflow": workflow,
        "filters": filters,
        "groups": groups,
        "hosts": lambda: _hosts_offered(workflow.pk, filters, rows_shown),
        "table": table,
        "page": this_page,
        "total": queries.read_total(this_page.rows) or (Total(0) if is_empty else filters.total()),
        "wrong_cursor": wrong_cursor or _wrong_sort(request),
        "actions": _actions(request, workflow) if not filters.unknown else [],
        "list_query": query_without(request.GET),
        "once": uuid.uuid4().hex,
        "live": poll(request, workflow.change_no, poll_seconds(workflow)),
        "tab": "jobs",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Jobs")),
        "section": "workflows",
        "terminal": list_terminal(
            filters,
            f"/api/v1/workflows/{workflow.pk}/jobs/",
            f"jobmon workflow jobs {workflow.pk}",
            options="status tag name",
        ),
    }
    return show(request, "jobs/list.html", context, fragment="jobs/list_live.html")


def _wrong_sort(request: HttpRequest) -> str:
    asked = request.GET.get("sort") or queries.DEFAULT_ORDER
    return "" if asked in queries.ORDERS else f"not understood: sort={fenced(asked[:60])}"


def _hosts_offered(workflow_id: int, filters: JobFilter, shown: list[queries.JobRow]) -> list[str]:
    """Hosts of the jobs shown, and of the newest attempts where the total cost no query. Polls do not ask."""
    hosts = Counter(row.last.nodename for row in shown if row.last)
    return offers.most_used(hosts + offers.hosts_of_latest_run(workflow_id) if filters.is_counted else hosts)


def _actions(request: HttpRequest, workflow: Workflow) -> list[tuple[str, str]]:
    """What this person may do to many jobs of the workflow."""
    return [(name, action.word) for name, action in ACTIONS.items() if action.may_act(user_of(request), workflow)]


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines of one stream of an attempt; `problem` says why there are none."""

    stream: str
    lines: list[log_text.LogLine]
    problem: str = ""


def tails_of(attempt: JobInstance | None) -> list[Tail]:
    """The end of stderr and stdout of an attempt that has begun: two bounded reads."""
    if attempt is None or attempt.status in ("I", "B"):
        return []
    return [_tail(attempt, stream) for stream in ("stderr", "stdout")]


def _none_yet(attempt: JobInstance | None) -> list[Tail] | None:
    """The page asks for them once it stands: a file system that hangs must not hold it up. None where nothing is written."""
    return [] if attempt is None or attempt.status in ("I", "B") else None


def _tail(attempt: JobInstance, stream: str) -> Tail:
    try:
        piece = logs.read_piece(logs.locate(attempt, stream), limit=TAIL_BYTES)
    except logs.LogUnavailable as problem:
        return Tail(stream, [], str(problem))
    if piece.is_binary:
        return Tail(stream, [], "This is not text.")
    return Tail(stream, log_text.to_lines(piece.data, is_cut=piece.offset > 0)[-TAIL_LINES:])


@page
@require_safe
def job_page(request: HttpRequest, job_id: int) -> HttpResponse:
    job = found(job_detail.find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    view = job_detail.view_job(job, job_detail.neighbours_in_box)
    failed = [neighbour.name for neighbour in view.upstreams.jobs if neighbour.status == "F"]
    upstreams = explain.Upstreams(None if view.upstreams.is_late else view.upstreams.total, job.upstreams_left, failed)
    asks_for_tails = request.GET.get("tails") == "1"
    if asks_for_tails and is_fragment(request) and "v" not in request.GET:
        return show(request, "jobs/tails.html", {"view": view, "tails": tails_of(view.last)})
    frame, now = frame_of(request), timezone.now()
    why = explain.why(job, view.last, view.run, upstreams, now, frame.holds, frame.full)
    context = {
        "job": job,
        "workflow": workflow,
        "view": view,
        "why": with_elapsed(why, explain.counted_from(view.last), now),
        "attempts": [(attempt, explain.ended_because(attempt)) for attempt in view.attempts],
        "look": looks.BLOCKED
        if job.status == "G" and (failed or getattr(job, "blocked_by_name", None))
        else looks.JOB[job.status],
        "is_owner": is_owner(user_of(request), workflow),
        "may_operate": may_operate(user_of(request), workflow),
        "may_stop": may_stop(user_of(request), workflow),
        "tails": tails_of(view.last) if is_fragment(request) or asks_for_tails else _none_yet(view.last),
        "last_failed": next((attempt for attempt in view.attempts if attempt.status == "E"), None),
        "neighbours": [
            ("Upstreams", "upstream_of", view.upstreams),
            ("Downstreams", "downstream_of", view.downstreams),
        ],
        "live": poll(request, workflow.change_no, 0 if job.status == "D" else poll_seconds(workflow)),
        "crumbs": crumbs_of(workflow, Crumb("Jobs", f"/workflows/{workflow.pk}/jobs/"), Crumb(job.name)),
        "section": "workflows",
        "terminal": Terminal(f"jobmon job show {job.pk}", f"/api/v1/jobs/{job.pk}/"),
    }
    return show(request, "jobs/detail.html", context, fragment="jobs/detail_live.html")
