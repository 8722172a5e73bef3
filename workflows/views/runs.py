"""All runs of one workflow."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_safe

from workflows.filters import RunFilter
from workflows.queries import runs as queries
from workflows.queries.counting import count_list
from workflows.queries.counts import counts_of_dags
from workflows.queries.keyset import Order, walk
from workflows.queries.workflows import find_workflow
from workflows.views.base import (
    Crumb,
    found,
    is_unchanged,
    nothing_new,
    page,
    poll,
    show,
    user_of,
)
from workflows.views.export import TYPES
from workflows.views.list_exports import export_runs
from workflows.views.system import page_of
from workflows.views.terminal import list_terminal
from workflows.views.workflows import POLL_IDLE, POLL_LIVE, TABS, crumbs_of

NEWEST_RUN = Order("id", is_descending=True)


@page
@require_safe
def run_list(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    workflow = found(find_workflow(user_of(request), workflow_id))
    if is_unchanged(request, workflow.change_no):
        return nothing_new()
    filters = RunFilter(request.GET, queries.runs_of(workflow.pk))
    counts = counts_of_dags([workflow.dag_id]).get(workflow.dag_id, {})
    if (kind := request.GET.get("export")) in TYPES:
        return export_runs(request, walk(filters.rows, NEWEST_RUN), counts, kind, f"runs-of-workflow-{workflow.pk}")
    this_page, wrong_cursor = page_of(request, filters.rows, NEWEST_RUN, 50)
    context = {
        "workflow": workflow,
        "filters": filters,
        "page": this_page,
        "total": count_list(filters.rows, this_page),
        "rows": [(run, *queries.jobs_at_end(run, counts)) for run in this_page.rows],
        "wrong_cursor": wrong_cursor,
        "live": poll(request, workflow.change_no, POLL_LIVE if workflow.status == "R" else POLL_IDLE),
        "tab": "runs",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Runs")),
        "section": "workflows",
        "terminal": list_terminal(
            filters,
            f"/api/v1/workflows/{workflow.pk}/runs/",
            f"jobmon workflow runs {workflow.pk}",
            options="status user",
        ),
    }
    return show(request, "runs/list.html", context, fragment="runs/list_live.html")
