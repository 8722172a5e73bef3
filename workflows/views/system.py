"""Search, executors, errors of a workflow, and what was done by whom."""

from __future__ import annotations

from typing import TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from workflows import explain
from workflows.filters import AuditFilter, ErrorFilter
from workflows.queries import attempts as attempt_queries
from workflows.queries import errors as error_queries
from workflows.queries import search as search_queries
from workflows.queries import system as queries
from workflows.queries.counts import groups_of
from workflows.queries.keyset import CursorError, Order, Page, paginate
from workflows.queries.workflows import find_workflow, with_error_text
from workflows.views.base import Crumb, Terminal, found, page, per_page, show, user_of
from workflows.views.workflows import TABS, crumbs_of

M = TypeVar("M", bound=Model)
NEWEST_ATTEMPT = Order("job_instance_id", is_descending=True)
NEWEST_ENTRY = Order("id", is_descending=True)


@page
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "")[:200]
    context = {
        "q": text,
        "hits": search_queries.search(user_of(request), text),
        "searched": search_queries.WORKFLOWS_SEARCHED,
        "crumbs": [Crumb("Search")],
        "section": "search",
    }
    return show(request, "search.html", context)


@page
@require_safe
def executors(request: HttpRequest) -> HttpResponse:
    context = {
        "executors": queries.executors(),
        "is_staff": user_of(request).is_staff,
        "crumbs": [Crumb("Executors")],
        "section": "executors",
        "terminal": Terminal("", "/api/v1/"),
    }
    return show(request, "system/executors.html", context)


def _page_of(request: HttpRequest, rows: QuerySet[M], order: Order, size: int) -> tuple[Page[M], str]:
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    try:
        return paginate(rows, order, after, before, per_page(request.GET, size)), ""
    except CursorError as error:
        return paginate(rows, order, "", "", size), str(error)


@page
@require_safe
def errors(request: HttpRequest, workflow_id: int) -> HttpResponse:
    """The newest failed attempts of a workflow."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    filters = ErrorFilter(request.GET, attempt_queries.failed_attempts(workflow.dag_id, workflow.pk))
    this_page, wrong_cursor = _page_of(request, with_error_text(filters.rows), NEWEST_ATTEMPT, 25)
    groups = groups_of(workflow.dag_id)
    context = {
        "workflow": workflow,
        "filters": filters,
        "error_groups": error_queries.group_rows(workflow.pk) if not filters.chips else [],
        "groups": groups,
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


@page
@require_safe
def error_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """Failures that are alike: a sample, what they share, and where else they were seen."""
    user = user_of(request)
    group = found(error_queries.find_group(user, group_id))
    sample = request.GET.get("sample", "")
    view = error_queries.view_group(user, group, int(sample) if sample.isdigit() and len(sample) < 19 else None)
    workflow = group.workflow
    context = {
        "group": group,
        "workflow": workflow,
        "view": view,
        "reason": explain.ended_because(view.sample.job_instance) if view.sample else "",
        "crumbs": crumbs_of(workflow, Crumb("Errors", f"/workflows/{workflow.pk}/errors/"), Crumb(group.title)),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow errors {workflow.pk}", f"/api/v1/workflows/{workflow.pk}/errors/"),
    }
    return show(request, "workflows/error_group.html", context)


@page
@require_safe
def activity(request: HttpRequest, workflow_id: int) -> HttpResponse:
    """What people did to one workflow."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    filters = AuditFilter(request.GET, queries.audit_entries(workflow.pk))
    this_page, wrong_cursor = _page_of(request, filters.rows, NEWEST_ENTRY, 50)
    context = {
        "workflow": workflow,
        "filters": filters,
        "page": this_page,
        "wrong_cursor": wrong_cursor,
        "tab": "activity",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Activity")),
        "section": "workflows",
    }
    return show(request, "workflows/activity.html", context)


@page
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """All that anybody changed: for administrators."""
    if not user_of(request).is_superuser and not user_of(request).is_staff:
        raise PermissionDenied
    filters = AuditFilter(request.GET, queries.audit_entries())
    this_page, wrong_cursor = _page_of(request, filters.rows, NEWEST_ENTRY, 50)
    context = {
        "filters": filters,
        "page": this_page,
        "wrong_cursor": wrong_cursor,
        "crumbs": [Crumb("Audit")],
        "section": "audit",
    }
    return show(request, "system/audit.html", context)
