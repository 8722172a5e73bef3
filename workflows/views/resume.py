"""Start and resume: the planner's preview, then one call. The form carries the plan's digest: when the jobs have
changed since, the page comes again and says so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods

from workflows import bell, lifecycle, planning
from workflows.digits import read_digits
from workflows.lifecycle.asking import GROWTH
from workflows.models import Workflow
from workflows.permissions import is_owner, may_operate
from workflows.queries import workflows as queries
from workflows.scope import Scope
from workflows.views.base import Crumb, Terminal, actor_of, found, page, show, user_of
from workflows.views.confirm import do_once, number_to_type, only_operators, only_owner, typed_wrong
from workflows.views.workflows import crumbs_of

MOST_JOBS_NAMED = 1_000
MOST_AT_ONCE, MOST_ATTEMPTS = 10**6, 100
WHATS = (planning.KEPT, planning.AGAIN, planning.FIRST, planning.OPEN, planning.ADOPTED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form or the link asks for; `problem` says what was not understood."""

    scope: Scope
    resume: str
    problem: str = ""
    limit: int | None = None
    more: lifecycle.MoreAsked = field(default_factory=lifecycle.MoreAsked)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, workflow_id: int) -> HttpResponse:
    user = user_of(request)
    workflow = found(queries.find_workflow(user, workflow_id))
    if request.method != "POST":
        return _show(request, workflow, read_asked(request.GET))
    if not may_operate(user, workflow):
        raise PermissionDenied(only_operators(workflow))
    asked = read_asked(request.POST)
    if asked.more.as_json() and not is_owner(user, workflow):
        raise PermissionDenied(only_owner(workflow))
    if asked.problem:
        return _show(request, workflow, asked, status=409)
    plan = planning.plan_start(workflow, asked.scope, asked.resume, asked.more)
    if request.POST.get("seen") != plan.digest:
        messages.warning(request, "Meanwhile some jobs changed. Look at the numbers again, then confirm.")
        return _show(request, workflow, asked, before=request.POST.get("numbers", ""))
    if wrong := typed_wrong(request, number_to_type(user, workflow, _to_do(plan))):
        return _show(request, workflow, replace(asked, problem=wrong), status=409)
    return do_once(request, lambda: _start(request, workflow, asked))


def read_asked(data: QueryDict) -> Asked:
    """Tags, an error group or single jobs; nothing of them means everything that is not done. And the options."""
    asked = _read_scope(data)
    limit, wrong_limit = _read_number(data.get("limit", ""), "At most at once", MOST_AT_ONCE)
    attempts, wrong_attempts = _read_number(data.get("max_attempts", ""), "Attempts", MOST_ATTEMPTS)
    more = lifecycle.MoreAsked(attempts, data.get("more_memory") == "1", data.get("more_runtime") == "1")
    return replace(asked, limit=limit, more=more, problem=asked.problem or wrong_limit or wrong_attempts)


def _read_number(text: str, label: str, most: int) -> tuple[int | None, str]:
    """The number (None: as it is) and what is wrong with it."""
    text = text.replace(",", "").strip()
    if not text:
        return None, ""
    number = read_digits(text)
    if number is None or not 1 <= number <= most:
        return None, f"{label}: write a whole number from 1 to {most:,}, or leave it empty."
    return number, ""


def _read_scope(data: QueryDict) -> Asked:
    tags = tuple(dict.fromkeys(tag for tag in data.getlist("tag") if tag))
    jobs = [number for text in data.getlist("job") for number in text.split(",") if number]
    group = data.get("error_group", "")
    mode = "hot" if data.get("resume") == "hot" else "cold"
    if any(read_digits(number) is None for number in [*jobs, *([group] if group else [])]):
        return Asked(Scope(), mode, "A number in the address is not one.")
    if len(jobs) > MOST_JOBS_NAMED:
        return Asked(Scope(), mode, f"At most {MOST_JOBS_NAMED:,} jobs can be named; choose tags instead.")
    return Asked(Scope(tags, tuple(sorted(map(int, jobs))), int(group) if group else None), mode)


def _start(request: HttpRequest, workflow: Workflow, asked: Asked) -> HttpResponse:
    options = lifecycle.RunOptions(
        resume=asked.resume, scope=asked.scope, more=asked.more, max_concurrently_running=asked.limit
    )
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


def _to_do(plan: planning.Plan) -> int:
    return sum(row.jobs for row in plan.rows if row.what in WHATS and row.what != planning.KEPT)


def _differences(before: str, now: dict[str, int]) -> list[str]:
    """`tried again: 37 before, 36 now`, where the form of before showed other numbers."""
    old = dict(zip(WHATS, before.split("-"), strict=False))
    return [
        f"{what}: {old[what]} before, {count} now"
        for what, count in now.items()
        if read_digits(old.get(what, "")) not in (None, count)
    ]


def _show(
    request: HttpRequest, workflow: Workflow, asked: Asked, *, before: str = "", status: int = 200
) -> HttpResponse:
    plan = planning.plan_start(workflow, asked.scope, asked.resume, asked.more)
    numbers = _numbers(plan)
    to_do = _to_do(plan)
    scope = asked.scope
    verb = "Start" if workflow.status == "C" else "Resume"
    context = {
        "workflow": workflow,
        "asked": asked,
        "plan": plan,
        "numbers": "-".join(map(str, numbers.values())),
        "differences": _differences(before, numbers),
        "to_do": to_do,
        "must_type": number_to_type(user_of(request), workflow, to_do),
        "kept": numbers[planning.KEPT],
        "tags": sorted({row.tag for row in plan.rows}) if scope.tags or scope.is_everything else [],
        "jobs": ",".join(map(str, scope.job_ids)),
        "verb": verb,
        "is_live": bool(plan.obstacle),
        "growth": GROWTH,
        "is_owner": is_owner(user_of(request), workflow),
        "may_operate": may_operate(user_of(request), workflow),
        "crumbs": crumbs_of(workflow, Crumb(verb)),
        "section": "workflows",
        "terminal": Terminal(f"jobmon workflow resume {workflow.pk} --dry-run", f"/api/v1/workflows/{workflow.pk}/"),
    }
    return show(request, "workflows/resume.html", context, status=status)
