"""Errors of a workflow: groups of alike failures as a work queue, and the failed attempts themselves."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_http_methods, require_safe

from workflows import explain, lifecycle
from workflows.digits import read_digits
from workflows.filters import ErrorFilter
from workflows.models import ErrorGroup
from workflows.permissions import may_operate
from workflows.queries import attempts as attempt_queries
from workflows.queries import errors as queries
from workflows.queries import offers
from workflows.queries.counting import count_expression, count_up_to_limit, read_count
from workflows.queries.counts import groups_of
from workflows.queries.keyset import CursorError, Order, walk
from workflows.queries.workflows import find_workflow, with_error_text
from workflows.views.base import (
    Crumb,
    Terminal,
    actor_of,
    found,
    is_unchanged,
    nothing_new,
    page,
    poll,
    show,
    user_of,
)
from workflows.views.confirm import only_operators
from workflows.views.export import TYPES, export_errors
from workflows.views.system import page_of
from workflows.views.terminal import list_terminal
from workflows.views.workflows import TABS, crumbs_of, poll_seconds

NEWEST_ATTEMPT = Order("job_instance_id", is_descending=True)
STATES = ("open", "acknowledged", "fixed")


@page
@require_safe
def errors(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    """The newest failed attempts of a workflow."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    filters = ErrorFilter(request.GET, attempt_queries.failed_attempts(workflow.dag_id, workflow.pk))
    rows = with_error_text(filters.rows)
    if (kind := request.GET.get("export")) in TYPES:
        return export_errors(request, walk(rows, NEWEST_ATTEMPT), kind, f"errors-of-workflow-{workflow.pk}")
    counted = rows.annotate(matching=count_expression(filters.rows))
    this_page, wrong_cursor = page_of(request, counted, NEWEST_ATTEMPT, 25)
    groups = groups_of(workflow.dag_id)
    kinds, wrong_kinds = _kinds(request, workflow.pk) if not filters.chips else (None, "")
    context = {
        "workflow": workflow,
        "filters": filters,
        "kinds": kinds,
        "groups": groups,
        "hosts": _hosts_offered(workflow.pk, kinds.rows if kinds else []),
        "page": this_page,
        "total": read_count(getattr(this_page.rows[0], "matching", 0) if this_page.rows else 0),
        "wrong_cursor": wrong_cursor or wrong_kinds,
        "rows": [(attempt, explain.ended_because(attempt)) for attempt in this_page.rows],
        "failed": sum(group.count_f for group in groups),
        "retrying": sum(group.count_e for group in groups),
        "ended": lambda: count_up_to_limit(attempt_queries.ended_attempts(workflow.pk)),
        "live": poll(request, workflow.change_no, poll_seconds(workflow)),
        "tab": "errors",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Errors")),
        "section": "workflows",
        "terminal": list_terminal(
            filters,
            f"/api/v1/workflows/{workflow.pk}/errors/",
            f"jobmon workflow errors {workflow.pk}",
            options="reason tag",
        ),
    }
    return show(request, "workflows/errors.html", context)


def _kinds(request: HttpRequest, workflow_id: int) -> tuple[queries.GroupPage, str]:
    """The groups of alike failures, or those after the cursor of the address; and what is wrong with that."""
    try:
        return queries.group_page(workflow_id, request.GET.get("groups_after", "")), ""
    except CursorError as error:
        return queries.group_page(workflow_id), str(error)


def _hosts_offered(workflow_id: int, shown: list[queries.GroupRow]) -> list[str]:
    """Hosts of the groups that the page shows; where it shows none, they are read."""
    stored = offers.add_hosts(row.group.hosts for row in shown)
    return offers.most_used(stored if shown else offers.hosts_of_failures(workflow_id))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def error_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """Failures that are alike: a sample, what they share, where else they were seen, and what was done about them."""
    user = user_of(request)
    group = found(queries.find_group(user, group_id))
    workflow = group.workflow
    if request.method == "POST":
        if not may_operate(user, workflow):
            raise PermissionDenied(only_operators(workflow))
        return _change(request, group)
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    view = queries.view_group(user, group, read_digits(request.GET.get("sample", "")))
    context = {
        "group": group,
        "workflow": workflow,
        "view": view,
        "states": STATES,
        "reason": explain.ended_because(view.sample.job_instance) if view.sample else "",
        "may_operate": may_operate(user, workflow),
        "live": poll(request, workflow.change_no, poll_seconds(workflow), reloads=False),
        "crumbs": crumbs_of(workflow, Crumb("Errors", f"/workflows/{workflow.pk}/errors/"), Crumb(group.title)),
        "section": "workflows",
        "terminal": Terminal("", f"/api/v1/error-groups/{group.pk}/"),
    }
    return show(request, "workflows/error_group.html", context)


def _change(request: HttpRequest, group: ErrorGroup) -> HttpResponse:
    """State and note, as far as they differ: the same form twice is one change."""
    asked = {
        "state": request.POST.get("state", group.state),
        "note": request.POST.get("note", group.note).strip()[:5000],
    }
    if asked["state"] not in STATES:
        messages.error(request, "Nothing was changed: choose open, acknowledged or fixed.")
        return HttpResponseRedirect(f"/error-groups/{group.pk}/")
    changed = {name: value for name, value in asked.items() if value != getattr(group, name)}
    if changed:
        lifecycle.change_error_group(group.pk, actor_of(request), **changed)
        messages.success(request, "Saved.")
    return HttpResponseRedirect(f"/error-groups/{group.pk}/")
