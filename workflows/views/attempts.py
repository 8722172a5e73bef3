"""One attempt (job instance), its log, and one run of a workflow."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from workflows import explain, log_text, logs
from workflows.digits import read_digits
from workflows.models import JobInstance
from workflows.permissions import may_operate, may_stop
from workflows.queries import attempts as queries
from workflows.views.base import Crumb, Terminal, found, is_unchanged, nothing_new, page, poll, show, user_of
from workflows.views.workflows import POLL_LIVE, crumbs_of

LIVE = ("I", "B", "R")


def _crumbs(attempt: JobInstance, *more: Crumb) -> list[Crumb]:
    job = attempt.job
    return crumbs_of(
        attempt.workflow_run.workflow, Crumb(job.name, f"/jobs/{job.pk}/"),
        Crumb(f"Attempt {attempt.attempt}", f"/job-instances/{attempt.pk}/"), *more,
    )  # fmt: skip


@page
@require_safe
def attempt_page(request: HttpRequest, instance_id: int) -> HttpResponse:
    attempt = found(queries.find_attempt(user_of(request), instance_id))
    workflow = attempt.workflow_run.workflow
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    view = queries.view_attempt(attempt)
    context = {
        "attempt": attempt,
        "job": attempt.job,
        "run": attempt.workflow_run,
        "view": view,
        "reason": explain.ended_because(attempt),
        "waited": _seconds(attempt.submitted_date, attempt.started_at),
        "ran": attempt.wallclock if attempt.wallclock is not None else _seconds(attempt.started_at, attempt.ended_at),
        "folder": logs.folder_of(attempt),
        "paths": [(stream, logs.locate(attempt, stream).path) for stream in logs.STREAMS],
        "live": poll(request, workflow.change_no, POLL_LIVE if attempt.status in LIVE else 0),
        "crumbs": [*_crumbs(attempt)[:-1], Crumb(f"Attempt {attempt.attempt}")],
        "section": "workflows",
        "terminal": Terminal(
            f"jobmon job log {attempt.job_id} --attempt {attempt.attempt}", f"/api/v1/job-instances/{attempt.pk}/"
        ),
    }
    return show(request, "attempts/detail.html", context, fragment="attempts/detail_live.html")


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


@page
@require_safe
def log_page(request: HttpRequest, instance_id: int, stream: str) -> HttpResponseBase:
    attempt = found(queries.find_attempt(user_of(request), instance_id))
    file = logs.locate(attempt, stream)
    offset = read_digits(request.GET.get("offset", ""))
    if request.GET.get("raw") == "1":
        return _raw(file, offset)
    piece, problem = _read(attempt, file, offset)
    text = request.GET.get("find", "")[:200]
    found_lines = _find(file, text, read_digits(request.GET.get("from", "")) or 0) if text and piece else None
    context = {
        "attempt": attempt,
        "stream": stream,
        "other": "stderr" if stream == "stdout" else "stdout",
        "file": file,
        "piece": piece,
        "problem": problem,
        "kept": queries.kept_text(attempt) if problem and stream == "stderr" else "",
        "lines": log_text.to_lines(piece.data, is_cut=piece.offset > 0) if piece and not piece.is_binary else [],
        "find": text,
        "found": found_lines,
        "is_wrapped": request.GET.get("wrap") == "1",
        "is_last": offset is None,
        "live": poll(request, piece.size if piece else 0, _log_seconds(attempt, offset, problem)),
        "crumbs": _crumbs(attempt, Crumb(stream)),
        "section": "workflows",
        "terminal": _log_terminal(attempt, stream, offset),
    }
    if is_unchanged(request, piece.size if piece else 0):
        return nothing_new()
    return show(request, "attempts/log.html", context, fragment="attempts/log_live.html")


def _log_terminal(attempt: JobInstance, stream: str, offset: int | None) -> Terminal:
    """What prints the same piece of the log."""
    command = f"jobmon job log {attempt.job_id} --attempt {attempt.attempt} --{stream}"
    path = f"/api/v1/job-instances/{attempt.pk}/log/{stream}/"
    return (
        Terminal(command, path)
        if offset is None
        else Terminal(f"{command} --offset {offset}", f"{path}?offset={offset}")
    )


def _log_seconds(attempt: JobInstance, offset: int | None, problem: logs.LogUnavailable | None) -> int:
    """How soon to look again; 0: never."""
    if problem is not None and problem.state == "fetching":
        return 1
    return 3 if attempt.status == "R" and offset is None else 0


def _read(
    attempt: JobInstance, file: logs.LogFile, offset: int | None
) -> tuple[logs.Piece | None, logs.LogUnavailable | None]:
    try:
        return logs.read_piece(file, offset), None
    except logs.LogUnavailable as problem:
        if problem.state in ("missing", "removed") and attempt.status in ("I", "B"):
            return None, logs.LogUnavailable("not-started", "The attempt has not started; there is no output yet.")
        return None, problem


def _find(file: logs.LogFile, text: str, start: int) -> logs.Found | None:
    try:
        result = logs.find(file, text, start)
    except logs.LogUnavailable:
        return None
    return logs.Found(tuple((at, log_text.plain(line)) for at, line in result.hits), result.go_on)


def _raw(file: logs.LogFile, offset: int | None) -> HttpResponseBase:
    """Text and nothing else: a browser must never run what a job wrote."""
    response: HttpResponseBase
    try:
        if settings.IS_EMBEDDED and offset is None and file.owned is None:
            response = StreamingHttpResponse(logs.stream_whole(file), content_type="text/plain; charset=utf-8")
        else:
            response = HttpResponse(logs.read_piece(file, offset).data, content_type="text/plain; charset=utf-8")
    except logs.LogUnavailable as problem:
        response = HttpResponse(str(problem), status=404, content_type="text/plain; charset=utf-8")
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@page
@require_safe
def run_page(request: HttpRequest, run_id: int) -> HttpResponse:
    user = user_of(request)
    run = found(queries.find_run(user, run_id))
    workflow = run.workflow
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    view = queries.view_run(run)
    context = {
        "run": run,
        "workflow": workflow,
        "view": view,
        "stall": getattr(run, "stall", None) if run.status == "R" else None,
        "total": sum(view.counts.values()),
        "may_operate": may_operate(user, workflow),
        "may_stop": may_stop(user, workflow),
        "live": poll(request, workflow.change_no, POLL_LIVE if run.status == "R" else 0),
        "crumbs": crumbs_of(workflow, Crumb(f"Run {run.pk}")),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow show {workflow.pk} --run {run.pk}", f"/api/v1/workflow-runs/{run.pk}/"),
    }
    return show(request, "runs/detail.html", context, fragment="runs/detail_live.html")
