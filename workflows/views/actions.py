"""Stop: a confirm page with counts, then one lifecycle call."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from workflows import bell, lifecycle, planning, words
from workflows.digits import read_digits
from workflows.permissions import may_stop
from workflows.queries import attempts as attempt_queries
from workflows.queries import workflows as queries
from workflows.views.base import Crumb, Terminal, actor_of, found, page, show, user_of
from workflows.views.confirm import number_to_type, only_operators_and_staff
from workflows.views.workflows import crumbs_of


@page
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, workflow_id: int) -> HttpResponse:
    user = user_of(request)
    workflow = found(queries.find_workflow(user, workflow_id))
    run = workflow.runs.filter(status="R").first()
    view = attempt_queries.view_stop(run) if run else None
    must_type = view is not None and number_to_type(user, workflow, view.running + view.queued) is not None
    problem = ""
    if request.method == "POST":
        if not may_stop(user, workflow):
            raise PermissionDenied(only_operators_and_staff(workflow))
        if run is None:
            messages.warning(request, "No run is live any more; nothing was stopped.")
            return HttpResponseRedirect(f"/workflows/{workflow.pk}/")
        problem = _refuse_stop(request, must_type)
        if not problem:
            return _stop(request, run.pk)
    context = {
        "workflow": workflow,
        "run": run,
        "stop": view,
        "drain": planning.plan_stop(run, "drain", (view.running, view.queued)) if run and view else None,
        "kill": planning.plan_stop(run, "kill", (view.running, view.queued)) if run and view else None,
        "live_jobs": view.running + view.queued if view else 0,
        "must_type": must_type,
        "problem": problem,
        "chosen": request.POST.get("mode", ""),
        "may_stop": may_stop(user, workflow),
        "crumbs": crumbs_of(workflow, Crumb("Stop")),
        "section": "workflows",
        "terminal": Terminal(
            f"jobmon workflow stop {workflow.pk} --drain --dry-run", f"/api/v1/workflow-runs/{run.pk}/" if run else ""
        ),
    }
    return show(request, "workflows/stop.html", context, status=409 if problem else 200)


def _refuse_stop(request: HttpRequest, must_type: bool) -> str:
    """What is wrong with the form; '' if nothing."""
    mode = request.POST.get("mode")
    if mode not in ("drain", "kill"):
        return "Choose one of the two ways to stop."
    if must_type:
        asked = request.POST.get("live_jobs", "")
        typed = request.POST.get("typed", "").replace(",", "").strip()
        if not typed or typed != asked:
            count = read_digits(asked)
            shown = "shown below" if count is None else words.number(count)
            return f"Type the number of jobs ({shown}) to confirm."
    return ""


def _stop(request: HttpRequest, run_id: int) -> HttpResponse:
    mode = request.POST["mode"]
    try:
        lifecycle.ask_stop(run_id, mode, actor_of(request))
    except lifecycle.Refused as refusal:
        messages.error(request, str(refusal))
    else:
        bell.ring(run_id)
        what = (
            "Running jobs are being killed"
            if mode == "kill"
            else "Nothing more is submitted; what is submitted or runs may finish"
        )
        messages.success(request, f"{what}. This page follows it.")
    return HttpResponseRedirect(f"/workflow-runs/{run_id}/")
