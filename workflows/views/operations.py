"""Actions on many jobs: the collecting of many, a draft with frozen ids, its confirm page, and its progress."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from workflows import bell, collecting, operations, words
from workflows.filters import OperationFilter
from workflows.models import Job, Operation, Workflow
from workflows.queries import operations as queries
from workflows.queries.keyset import Order
from workflows.queries.workflows import find_workflow
from workflows.views.base import (
    Crumb,
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
from workflows.views.confirm import Confirm, do_once, number_to_type, show_confirm, typed_wrong
from workflows.views.steering import read_requests
from workflows.views.system import page_of
from workflows.views.workflows import crumbs_of

NEWEST = Order("id", is_descending=True)
MOST_TICKED = 1_000
POLL_SECONDS = 2
SUGGESTED = ("mem_free", "max_runtime")
"""Fields that whoever makes a draft may fill in for the confirm page"""
ASKED = ("then", "note", "slots", *SUGGESTED, "max_attempts")


@page
@require_safe
def operation_list(request: HttpRequest) -> HttpResponse:
    filters = OperationFilter(request.GET, queries.listed(user_of(request)))
    this_page, wrong_cursor = page_of(request, filters.rows, NEWEST, 50)
    context = {
        "filters": filters,
        "page": this_page,
        "rows": [(row, operations.ACTIONS[row.action], operations.is_expired(row)) for row in this_page.rows],
        "wrong_cursor": wrong_cursor,
        "crumbs": [Crumb("Operations")],
        "section": "operations",
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
        raise PermissionDenied
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
        ids = [int(text) for text in request.POST.getlist("job") if text.isdigit() and len(text) < 19]
        if not ids:
            return "No job is ticked; nothing was done. Tick some, or use the button for all that match."
        jobs = Job.objects.filter(dag_id=workflow.dag_id, pk__in=ids[:MOST_TICKED])
        return collecting.Selection(jobs, f"{words.plural(len(ids), 'job')} ticked in the job table")
    selection = collecting.select(workflow, QueryDict(request.POST.get("query", "")))
    unknown = selection.filters.unknown if selection.filters else []
    if unknown:
        return f"A filter was not understood ({', '.join(unknown)[:200]}); nothing was done."
    return selection


def _find(request: HttpRequest, key: uuid.UUID) -> Operation:
    return found(queries.find_operation(user_of(request), key))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def operation_page(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """A draft's confirm page, or the progress of what was confirmed."""
    operation = _find(request, key)
    action = operations.ACTIONS[operation.action]
    if request.method == "POST":
        if not action.may_act(user_of(request), operation.workflow):
            raise PermissionDenied
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
        warnings=plan.warnings,
        values={name: (request.POST if request.method == "POST" else request.GET).get(name, "") for name in ASKED},
    )  # fmt: skip
    return show_confirm(request, confirm, crumbs_of(workflow, Crumb(action.word)))


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
    if operations.confirm(operation, options):
        bell.send(operations.TASK, operation_id=operation.pk)
    return HttpResponseRedirect(request.path)


def _stop(request: HttpRequest, operation: Operation) -> HttpResponse:
    if operations.ask_stop(operation, actor_of(request)):
        messages.success(request, "The rest is left as it is.")
    return HttpResponseRedirect(request.path)


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
        "skipped": queries.skipped_items(operation),
        "may_act": action.may_act(user_of(request), operation.workflow),
        "live": poll(request, version, POLL_SECONDS if operation.state == "working" else 0),
        "crumbs": [Crumb("Operations", "/operations/"), Crumb(f"{action.word}: {words.plural(operation.jobs, 'job')}")],
        "section": "operations",
    }
    return show(request, "operations/detail.html", context, fragment="operations/detail_live.html")
