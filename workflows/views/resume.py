"""Start and resume: the planner's preview, then one call. The form carries the plan's digest: when the jobs have
changed since, the page comes again and says so."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods

from workflows import bell, lifecycle, planning
from workflows.models import Workflow
from workflows.permissions import may_operate
from workflows.queries import workflows as queries
from workflows.scope import Scope
from workflows.views.base import Crumb, Terminal, actor_of, found, page, show, user_of
from workflows.views.confirm import do_once
from workflows.views.workflows import crumbs_of

MOST_JOBS_NAMED = 1_000
WHATS = (planning.KEPT, planning.AGAIN, planning.FIRST, planning.ADOPTED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form or the link asks for; `problem` says what was not understood."""

    scope: Scope
    resume: str
    problem: str = ""


@page
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, workflow_id: int) -> HttpResponse:
    user = user_of(request)
    workflow = found(queries.find_workflow(user, workflow_id))
    if request.method != "POST":
        return _show(request, workflow, read_asked(request.GET))
    if not may_operate(user, workflow):
        raise PermissionDenied
    asked = read_asked(request.POST)
    if asked.problem:
        return _show(request, workflow, asked, status=409)
    plan = planning.plan_start(workflow, asked.scope, asked.resume)
    if request.POST.get("seen") != plan.digest:
        messages.warning(request, "Meanwhile some jobs changed. Look at the numbers again, then confirm.")
        return _show(request, workflow, asked, before=request.POST.get("numbers", ""))
    return do_once(request, lambda: _start(request, workflow, asked))


def read_asked(data: QueryDict) -> Asked:
    """Tags, an error group or single jobs; nothing of them means everything that is not done."""
    tags = tuple(dict.fromkeys(tag for tag in data.getlist("tag") if tag))
    jobs = [number for text in data.getlist("job") for number in text.split(",") if number]
    group = data.get("error_group", "")
    mode = "hot" if data.get("resume") == "hot" else "cold"
    if any(not number.isdigit() or len(number) > 18 for number in [*jobs, *([group] if group else [])]):
        return Asked(Scope(), mode, "A number in the address is not one.")
    if len(jobs) > MOST_JOBS_NAMED:
        return Asked(Scope(), mode, f"At most {MOST_JOBS_NAMED:,} jobs can be named; choose tags instead.")
    return Asked(Scope(tags, tuple(sorted(map(int, jobs))), int(group) if group else None), mode)


def _start(request: HttpRequest, workflow: Workflow, asked: Asked) -> HttpResponse:
    options = lifecycle.RunOptions(resume=asked.resume, scope=asked.scope)
    try:
        run = lifecycle.start_run(workflow.pk, actor_of(request), options)
    except lifecycle.Refused as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(f"/workflows/{workflow.pk}/")
    bell.ring(run.pk)
    messages.success(request, f"Run {run.pk} is started.")
    return HttpResponseRedirect(f"/workflow-runs/{run.pk}/")


def _numbers(plan: planning.Plan) -> dict[str, int]:
    return {what: sum(row.jobs for row in plan.rows if row.what == what) for what in WHATS}


def _differences(before: str, now: dict[str, int]) -> list[str]:
    """`tried again: 37 before, 36 now`, where the form of before showed other numbers."""
    old = dict(zip(WHATS, before.split("-"), strict=False))
    return [
        f"{what}: {old[what]} before, {count} now"
        for what, count in now.items()
        if old.get(what, "").isdigit() and old[what] != str(count)
    ]


def _show(
    request: HttpRequest, workflow: Workflow, asked: Asked, *, before: str = "", status: int = 200
) -> HttpResponse:
    plan = planning.plan_start(workflow, asked.scope, asked.resume)
    numbers = _numbers(plan)
    to_do = sum(numbers.values()) - numbers[planning.KEPT]
    scope = asked.scope
    verb = "Start" if workflow.status == "C" else "Resume"
    context = {
        "workflow": workflow,
        "asked": asked,
        "plan": plan,
        "numbers": "-".join(map(str, numbers.values())),
        "differences": _differences(before, numbers),
        "to_do": to_do,
        "kept": numbers[planning.KEPT],
        "tags": list(dict.fromkeys(row.tag for row in plan.rows)) if scope.tags or scope.is_everything else [],
        "jobs": ",".join(map(str, scope.job_ids)),
        "verb": verb,
        "is_live": any(" is live; stop it first" in text for text in plan.warnings),
        "may_operate": may_operate(user_of(request), workflow),
        "crumbs": crumbs_of(workflow, Crumb(verb)),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow resume {workflow.pk} --dry-run", f"/api/v1/workflows/{workflow.pk}/"),
    }
    return show(request, "workflows/resume.html", context, status=status)
