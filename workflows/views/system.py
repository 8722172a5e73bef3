"""Search, and what was done by whom."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_safe

from workflows.filters import AuditFilter
from workflows.models import AuditEntry
from workflows.permissions import may_read_audit
from workflows.queries import search as search_queries
from workflows.queries import system as queries
from workflows.queries.counting import count_list
from workflows.queries.keyset import CursorError, Order, Page, paginate, walk
from workflows.queries.offers import most_used
from workflows.queries.versions import digest
from workflows.queries.workflows import find_workflow
from workflows.views.base import Crumb, found, is_unchanged, nothing_new, page, per_page, poll, show, user_of
from workflows.views.export import ACTIVITY_COLUMNS, AUDIT_COLUMNS, TYPES, export_audit
from workflows.views.terminal import list_terminal, page_terminal
from workflows.views.workflows import POLL_IDLE, TABS, crumbs_of, poll_seconds

M = TypeVar("M", bound=Model)
NEWEST_ENTRY = Order("id", is_descending=True)


@page
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "")[:200]
    context = {
        "q": text,
        "hits": search_queries.search(user_of(request), text),
        "most": search_queries.HITS,
        "searched": search_queries.WORKFLOWS_SEARCHED,
        "crumbs": [Crumb("Search")],
        "section": "search",
        "terminal": page_terminal(request.GET, "q", "/api/v1/search/") if text else None,
    }
    return show(request, "search.html", context)


def page_of(request: HttpRequest, rows: QuerySet[M], order: Order, size: int) -> tuple[Page[M], str]:
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    try:
        return paginate(rows, order, after, before, per_page(request.GET, size)), ""
    except CursorError as error:
        return paginate(rows, order, "", "", size), str(error)


def _people_in(entries: Page[AuditEntry]) -> list[str]:
    """Who did what is listed: offered for the next filter, and no news to the reader."""
    return most_used(Counter(entry.actor for entry in entries.rows))


@page
@require_safe
def activity(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    """What people did to one workflow."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    filters = AuditFilter(request.GET, queries.audit_entries(workflow.pk))
    if (kind := request.GET.get("export")) in TYPES:
        name = f"activity-of-workflow-{workflow.pk}"
        return export_audit(request, walk(filters.rows, NEWEST_ENTRY), kind, name, ACTIVITY_COLUMNS)
    this_page, wrong_cursor = page_of(request, filters.rows, NEWEST_ENTRY, 50)
    version = digest(entry.pk for entry in this_page.rows)
    if is_unchanged(request, version):
        return nothing_new()
    context = {
        "workflow": workflow,
        "filters": filters,
        "page": this_page,
        "total": count_list(filters.rows, this_page),
        "people": _people_in(this_page),
        "wrong_cursor": wrong_cursor,
        "live": poll(request, version, poll_seconds(workflow) or POLL_IDLE),
        "tab": "activity",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Activity")),
        "section": "workflows",
        "terminal": list_terminal(filters, f"/api/v1/workflows/{workflow.pk}/activity/"),
    }
    return show(request, "workflows/activity.html", context)


@page
@require_safe
def audit(request: HttpRequest) -> HttpResponseBase:
    """All that anybody changed: for administrators."""
    if not may_read_audit(user_of(request)):
        raise PermissionDenied("Only administrators may read what everybody did.")
    filters = AuditFilter(request.GET, queries.audit_entries())
    if (kind := request.GET.get("export")) in TYPES:
        return export_audit(request, walk(filters.rows, NEWEST_ENTRY), kind, "audit", AUDIT_COLUMNS)
    this_page, wrong_cursor = page_of(request, filters.rows, NEWEST_ENTRY, 50)
    version = digest(entry.pk for entry in this_page.rows)
    if is_unchanged(request, version):
        return nothing_new()
    context = {
        "filters": filters,
        "page": this_page,
        "total": count_list(filters.rows, this_page),
        "people": _people_in(this_page),
        "wrong_cursor": wrong_cursor,
        "live": poll(request, version, POLL_IDLE),
        "crumbs": [Crumb("Audit")],
        "section": "audit",
        "terminal": list_terminal(filters, "/api/v1/audit/"),
    }
    return show(request, "system/audit.html", context)
