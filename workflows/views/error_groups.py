"""Errors of a workflow: groups of alike failures as a work queue, and the failed attempts themselves."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.views.decorators.http import require_http_methods, require_safe

from workflows import explain, lifecycle
from workflows.filters import ErrorFilter
from workflows.models import ErrorGroup
from workflows.permissions import may_operate
from workflows.queries import attempts as attempt_queries
from workflows.queries import errors as queries
from workflows.queries import offers
from workflows.queries.counts import groups_of
from workflows.queries.keyset import Order, walk
from workflows.queries.workflows import find_workflow, with_error_text
from workflows.views.base import Crumb, Terminal, actor_of, found, page, show, user_of
from workflows.views.export import TYPES, export_errors
from workflows.views.system import page_of
from workflows.views.workflows import TABS, crumbs_of

NEWEST_ATTEMPT = Order("job_instance_id", is_descending=True)
STATES = ("open", "acknowledged", "fixed")


@page
@require_safe
def errors(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    """The newest failed attempts of a workflow."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    filters = ErrorFilter(request.GET, attempt_queries.failed_attempts(workflow.dag_id, workflow.pk))
    rows = with_error_text(filters.rows)
    if (kind := request.GET.get("export")) in TYPES:
        return export_errors(request, walk(rows, NEWEST_ATTEMPT), kind, f"errors-of-workflow-{workflow.pk}")
    this_page, wrong_cursor = page_of(request, rows, NEWEST_ATTEMPT, 25)
    groups = groups_of(workflow.dag_id)
    error_groups = queries.group_rows(workflow.pk) if not filters.chips else []
    context = {
        "workflow": workflow,
        "filters": filters,
        "error_groups": error_groups,
        "groups": groups,
        "hosts": _hosts_offered(workflow.pk, error_groups),
        "page": this_page,
        "wrong_cursor": wrong_cursor,
        "rows": [(attempt, explain.ended_because(attempt)) for attempt in this_page.rows],
        "failed": sum(group.count_f for group in groups),
        "retrying": sum(group.count_e for group in groups),
        "tab": "errors",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Errors")),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow errors {workflow.pk}", f"/api/v1/workflows/{workflow.pk}/errors/"),
    }
    return show(request, "workflows/errors.html", context)


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
            raise PermissionDenied
        return _change(request, group)
    sample = request.GET.get("sample", "")
    view = queries.view_group(user, group, int(sample) if sample.isdigit() and len(sample) < 19 else None)
    context = {
        "group": group,
        "workflow": workflow,
        "view": view,
        "states": STATES,
        "reason": explain.ended_because(view.sample.job_instance) if view.sample else "",
        "may_operate": may_operate(user, workflow),
        "crumbs": crumbs_of(workflow, Crumb("Errors", f"/workflows/{workflow.pk}/errors/"), Crumb(group.title)),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow errors {workflow.pk}", f"/api/v1/workflows/{workflow.pk}/errors/"),
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
