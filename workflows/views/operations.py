"""Actions on many jobs: the collecting of many, a draft with frozen ids, its confirm page, and its progress."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from workflows import bell, collecting, operations, words
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.filters import OperationFilter
from workflows.models import Job, Operation, Workflow
from workflows.queries import operations as queries
from workflows.queries.counting import count_list
from workflows.queries.keyset import Order, walk
from workflows.queries.versions import digest
from workflows.queries.workflows import find_workflow
from workflows.views.base import (
    Crumb,
    Terminal,
    actor_of,
    found,
    is_fragment,
    is_unchanged,
    nothing_new,
    page,
    poll,
    show,
    user_of,
)
from workflows.views.confirm import Confirm, do_once, number_to_type, only_those, show_confirm, typed_wrong
from workflows.views.export import TYPES
from workflows.views.list_exports import export_operations
from workflows.views.steering import read_requests
from workflows.views.system import page_of
from workflows.views.terminal import list_terminal
from workflows.views.workflows import POLL_IDLE, POLL_LIVE, crumbs_of

NEWEST = Order("id", is_descending=True)
BY_JOB = Order("job_id")
MOST_TICKED = 1_000
POLL_SECONDS = 2
SUGGESTED = ("mem_free", "max_runtime")
"""Fields that whoever makes a draft may fill in for the confirm page"""
ASKED = ("then", "note", "slots", *SUGGESTED, "max_attempts")


@page
@require_safe
def operation_list(request: HttpRequest) -> HttpResponseBase:
    filters = OperationFilter(request.GET, queries.listed(user_of(request)))
    if (kind := request.GET.get("export")) in TYPES:
        return export_operations(request, walk(filters.rows, NEWEST), kind)
    this_page, wrong_cursor = page_of(request, filters.rows, NEWEST, 50)
    rows = [(row, operations.action_of(row), operations.is_expired(row)) for row in this_page.rows]
    version = digest((row.pk, row.state, row.jobs, row.changed, row.skipped, expired) for row, _, expired in rows)
    if is_unchanged(request, version):
        return nothing_new()
    is_any_live = any(row.state in ("collecting", "working") for row in this_page.rows)
    context = {
        "filters": filters,
        "page": this_page,
        "total": count_list(filters.rows, this_page),
        "rows": rows,
        "live": poll(request, version, POLL_LIVE if is_any_live else POLL_IDLE),
        "wrong_cursor": wrong_cursor,
        "crumbs": [Crumb("Operations")],
        "section": "operations",
        "terminal": list_terminal(filters, "/api/v1/operations/", "jobmon operation list", options="state workflow"),
    }
    return show(request, "operations/list.html", context)


@page
@require_POST
def make_draft(request: HttpRequest, workflow_id: int) -> HttpResponse:
    """Freeze what is meant: the ticked rows, or all that match the filter of the page."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    action = operations.ACTIONS.get(request.POST.get("action", ""))
    back = f"/workflows/{workflow.pk}/jobs/?{request.POST.get('query', '')}"
    if action is None:
        messages.error(request, "Choose what to do with the jobs.")
        return HttpResponseRedirect(back)
    if not action.may_act(user_of(request), workflow):
        raise PermissionDenied(only_those(action.may_act, workflow))
    return do_once(request, lambda: _freeze(request, workflow, back))


def _freeze(request: HttpRequest, workflow: Workflow, back: str) -> HttpResponse:
    chosen = _chosen(request, workflow)
    if isinstance(chosen, str):
        messages.error(request, chosen)
        return HttpResponseRedirect(back)
    operation = collecting.make_draft(workflow, actor_of(request), request.POST["action"], chosen)
    if operation is None:
        messages.error(request, "No job is chosen; nothing was done.")
        return HttpResponseRedirect(back)
    given = urlencode({name: request.POST[name] for name in SUGGESTED if request.POST.get(name)})
    return HttpResponseRedirect(f"/operations/{operation.uuid}/" + (f"?{given}" if given else ""))


def _chosen(request: HttpRequest, workflow: Workflow) -> collecting.Selection | str:
    """The jobs and the selection in words, or what is wrong with it."""
    if request.POST.get("which") != "all":
        ids = [number for text in request.POST.getlist("job") if (number := read_digits(text)) is not None]
        if not ids:
            return "No job is ticked; nothing was done. Tick some, or use the button for all that match."
        jobs = Job.objects.filter(dag_id=workflow.dag_id, pk__in=ids[:MOST_TICKED])
        return collecting.Selection(jobs, f"{words.plural(len(ids), 'job')} ticked in the job table")
    selection = collecting.select(workflow, QueryDict(request.POST.get("query", "")))
    unknown = selection.filters.unknown if selection.filters else []
    if unknown:
        return f"A filter was not understood ({fenced(', '.join(unknown)[:200])}); nothing was done."
    return selection


def _find(request: HttpRequest, key: uuid.UUID) -> Operation:
    return found(queries.find_operation(user_of(request), key))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def operation_page(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """A draft's confirm page, or the progress of what was confirmed."""
    operation = _find(request, key)
    action = operations.action_of(operation)
    if request.method == "POST":
        if not action.may_act(user_of(request), operation.workflow):
            raise PermissionDenied(only_those(action.may_act, operation.workflow))
        if request.POST.get("do") == "stop":
            return _stop(request, operation)
    if operation.state == "draft" and not operations.is_expired(operation):
        return _draft(request, operation, action)
    if request.method == "POST":
        return HttpResponseRedirect(request.path)
    if operation.state == "collecting":
        return _collecting(request, operation, action)
    return _progress(request, operation, action)


def _collecting(request: HttpRequest, operation: Operation, action: operations.Action) -> HttpResponse:
    seen, whole = collecting.looked_at(operation)
    if is_unchanged(request, seen):
        return nothing_new()
    context = {
        "operation": operation,
        "action": action,
        "seen": seen,
        "whole": whole,
        "live": poll(request, seen, POLL_SECONDS),
        "crumbs": crumbs_of(operation.workflow, Crumb(action.word)),
        "section": "operations",
        "terminal": Terminal(f"jobmon operation show {operation.uuid}", f"/api/v1/operations/{operation.uuid}/"),
    }
    return show(request, "operations/collecting.html", context, fragment="operations/collecting_live.html")


def _draft(request: HttpRequest, operation: Operation, action: operations.Action) -> HttpResponse:
    if is_fragment(request):  # the page still says "collecting"
        return HttpResponse(headers={"HX-Refresh": "true"})
    is_post = request.method == "POST"
    options, problem = _read_options(request.POST, operation.action) if is_post else ({}, "")
    acted, _ = operations.planned(operation)
    must_type = number_to_type(user_of(request), operation.workflow, acted)
    problem = problem or (typed_wrong(request, must_type) if is_post else "")
    if is_post and not problem:
        return _confirm(request, operation, options)
    return _draft_page(request, operation, action, problem, must_type)


def _draft_page(
    request: HttpRequest, operation: Operation, action: operations.Action, problem: str, must_type: int | None
) -> HttpResponse:
    acted, _ = operations.planned(operation)
    plan = operations.plan_of(operation)
    workflow = operation.workflow
    confirm = Confirm(
        f"{action.word}: {words.plural(acted, 'job')}", plan.sentence, f"{action.verb} {words.plural(acted, 'job')}",
        f"/workflows/{workflow.pk}/jobs/", rows=plan.rows, problem=problem,
        refusal="" if acted else f"None of them: {action.otherwise}.", is_dangerous=action.is_dangerous,
        must_type=must_type, form=action.form,
        warnings=plan.warnings, note=_expiry(operation),
        values={name: (request.POST if request.method == "POST" else request.GET).get(name, "") for name in ASKED},
    )  # fmt: skip
    terminal = Terminal(f"jobmon operation show {operation.uuid}", f"/api/v1/operations/{operation.uuid}/")
    return show_confirm(request, confirm, crumbs_of(workflow, Crumb(action.word)), terminal)


def _expiry(operation: Operation) -> str:
    return f"Nothing is done before you confirm. It expires {words.since(operations.expires_at(operation), timezone.now())}."


def _read_options(data: QueryDict, action: str) -> tuple[dict[str, Any], str]:
    """What the action needs beside its jobs, and what is wrong with it."""
    if action == "kill":
        then = data.get("then", "")
        return {"then": then}, "" if then in ("retry", "fail") else "Choose what becomes of the jobs."
    if action == "done":
        return {"note": data.get("note", "")[:500]}, ""
    if action == "requests":
        values, problem = read_requests(data)
        return {"values": values}, problem or ("" if values else "Fill in at least one number.")
    return {}, ""


def _confirm(request: HttpRequest, operation: Operation, options: dict[str, Any]) -> HttpResponse:
    if operations.confirm(operation, options, actor_of(request)):
        bell.send(operations.TASK, operation_id=operation.pk)
    return HttpResponseRedirect(request.path)


def _stop(request: HttpRequest, operation: Operation) -> HttpResponse:
    if operations.ask_stop(operation, actor_of(request)):
        messages.success(request, "The rest is left as it is.")
    return HttpResponseRedirect(request.path)


def _outcomes(request: HttpRequest, operation: Operation) -> dict[str, object]:
    """A page of the jobs of which one thing became; first the skipped ones, where there are any."""
    over = operation.changed + operation.skipped
    counts = {"skipped": operation.skipped, "changed": operation.changed, "waiting": operation.jobs - over}
    # While it works every list grows; once it is over, the first that has anything is shown
    usual = "skipped" if operation.state == "working" else next((name for name, n in counts.items() if n), "skipped")
    asked = request.GET.get("outcome", usual)
    shown = asked if asked in counts else usual
    if not counts[shown]:
        return {"counts": counts, "shown": shown, "items": []}
    this_page, wrong_cursor = page_of(request, queries.items_with(operation, shown), BY_JOB, 50)
    names = queries.job_names(item.job_id for item in this_page.rows)
    items = [(item.job_id, names.get(item.job_id, ""), item.why) for item in this_page.rows]
    return {"counts": counts, "shown": shown, "items": items, "page": this_page, "wrong_cursor": wrong_cursor}


def _progress(request: HttpRequest, operation: Operation, action: operations.Action) -> HttpResponse:
    over = operation.changed + operation.skipped
    version = over * 10 + (operation.state == "working")
    if is_unchanged(request, version):
        return nothing_new()
    context = {
        "operation": operation,
        "action": action,
        "is_expired": operations.is_expired(operation),
        "over": over,
        "left": operation.jobs - over,
        **_outcomes(request, operation),
        "may_act": action.may_act(user_of(request), operation.workflow),
        "live": poll(request, version, POLL_SECONDS if operation.state == "working" else 0),
        "crumbs": [Crumb("Operations", "/operations/"), Crumb(f"{action.word}: {words.plural(operation.jobs, 'job')}")],
        "section": "operations",
        "terminal": Terminal(f"jobmon operation show {operation.uuid}", f"/api/v1/operations/{operation.uuid}/"),
    }
    return show(request, "operations/detail.html", context, fragment="operations/detail_live.html")
