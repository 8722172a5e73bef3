"""What a person may do to one job, each behind a page that says what would happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workflows import lifecycle, planning, words
from workflows.directions import fenced
from workflows.models import Job
from workflows.permissions import is_owner, may_operate, may_stop
from workflows.queries.job_detail import find_job, find_live_attempt
from workflows.restarting import restart, ring_live_run
from workflows.scope import Scope
from workflows.views.base import Crumb, Terminal, actor_of, found, page, user_of
from workflows.views.confirm import (
    Confirm,
    do_once,
    number_to_type,
    of_plan,
    only_operators,
    only_operators_and_staff,
    only_owner,
    show_confirm,
    typed_wrong,
)
from workflows.views.steering import read_requests
from workflows.views.workflows import crumbs_of

LIVE = ("I", "R")
IS_LIVE = "An attempt of it is live; kill that first."


def _answer(
    request: HttpRequest, job: Job, confirm: Confirm, act: Any, *, may_act: bool, word: str, jobs: int = 1
) -> HttpResponse:
    """The page for a GET, the act for a POST that nothing speaks against. `jobs`: how many it is about."""
    must_type = number_to_type(user_of(request), job.dag.workflow, jobs)
    wrong = typed_wrong(request, must_type) if request.method == "POST" else ""
    confirm = replace(confirm, must_type=must_type, problem=confirm.problem or wrong)
    if request.method == "POST":
        if not may_act:
            raise PermissionDenied(confirm.refusal)
        if not confirm.refusal and not confirm.problem:
            return do_once(request, act)
        if confirm.refusal:
            messages.error(request, confirm.refusal)
            return HttpResponseRedirect(confirm.back)
    crumbs = crumbs_of(job.dag.workflow, Crumb(job.name, confirm.back), Crumb(word))
    return show_confirm(request, confirm, crumbs, Terminal("", f"/api/v1/jobs/{job.pk}/"))


def _back(job: Job) -> str:
    return f"/jobs/{job.pk}/"


def _run_again(request: HttpRequest, job: Job, ids: Sequence[int]) -> HttpResponse:
    """In the live run, else in a new one for just these jobs."""
    workflow = job.dag.workflow
    try:
        run_id = restart(workflow, ids, actor_of(request))
    except lifecycle.Refused as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(_back(job))
    messages.success(request, f"{words.plural(len(ids), 'job')} will run again in run {run_id}.")
    return HttpResponseRedirect(_back(job))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def retry(request: HttpRequest, job_id: int) -> HttpResponse:
    """A failed job gets all its attempts anew."""
    job = found(find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    may_act = may_operate(user_of(request), workflow)
    plan = planning.plan_start(workflow, Scope(job_ids=(job.pk,)), "hot")
    refusal = "" if may_act else only_operators(workflow)
    if job.status not in ("F", "E"):
        refusal = refusal or (IS_LIVE if job.status in LIVE else "It has not failed.")
    confirm = Confirm(
        f"Retry {fenced(job.name)}", f"{fenced(job.name)} is tried again, with {words.plural(job.max_attempts, 'attempt')}.",
        "Retry 1 job", _back(job), rows=plan.rows, refusal=refusal,
    )  # fmt: skip
    return _answer(request, job, confirm, lambda: _run_again(request, job, [job.pk]), may_act=may_act, word="Retry")


@page
@require_http_methods(["GET", "HEAD", "POST"])
def rerun(request: HttpRequest, job_id: int) -> HttpResponse:
    """A job runs again, done or not; what is behind it too, if that is chosen."""
    job = found(find_job(user_of(request), job_id))
    data = request.POST if request.method == "POST" else request.GET
    with_downstream = data.get("downstream") == "1"
    plan = planning.plan_rerun(job, with_downstream)
    ids = planning.rerun_ids(job, with_downstream)
    may_act = may_operate(user_of(request), job.dag.workflow)
    refusal = "" if may_act else only_operators(job.dag.workflow)
    confirm = Confirm(
        f"Run {fenced(job.name)} again", verb=f"Run {words.plural(len(ids), 'job')} again", back=_back(job),
        hidden={"downstream": "1" if with_downstream else "0"}, form="actions/rerun.html",
        values={"downstream": with_downstream}, refusal=refusal or (IS_LIVE if job.status in LIVE else ""),
        is_dangerous=True, **of_plan(plan),  # type: ignore[arg-type]
    )  # fmt: skip
    return _answer(
        request, job, confirm, lambda: _run_again(request, job, ids), may_act=may_act, word="Run again", jobs=len(ids)
    )


@page
@require_http_methods(["GET", "HEAD", "POST"])
def mark_done(request: HttpRequest, job_id: int) -> HttpResponse:
    """A person's word that the job need not run."""
    job = found(find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    may_act = is_owner(user_of(request), workflow)
    refusal = "" if may_act else only_owner(workflow)
    if job.status == "D" or job.status in LIVE:
        refusal = refusal or ("It is done already." if job.status == "D" else IS_LIVE)
    plan = planning.plan_done(job)
    confirm = Confirm(
        f"Mark {fenced(job.name)} done", verb="Mark 1 job done", back=_back(job), form="actions/note_field.html",
        refusal=refusal, **of_plan(plan, warnings=()),  # type: ignore[arg-type]
    )  # fmt: skip

    def act() -> HttpResponse:
        steered = lifecycle.mark_done(workflow.pk, [job.pk], actor_of(request), request.POST.get("note", "")[:500])
        ring_live_run(workflow.pk)
        if steered.skipped:
            messages.error(request, f"Nothing was changed: {steered.skipped[job.pk]}.")
        else:
            messages.success(request, f"{fenced(job.name)} counts as done.")
        return HttpResponseRedirect(_back(job))

    return _answer(request, job, confirm, act, may_act=may_act, word="Mark done")


def _live_words(job: Job) -> str:
    """What would be lost: where the live attempt runs, and how long it has."""
    attempt = find_live_attempt(job.pk)
    if attempt is None:
        return ""
    which, where = f"Attempt {attempt.attempt:,}", f" on {fenced(attempt.nodename)}" if attempt.nodename else ""
    if attempt.started_at is None:
        return f"{which} is submitted and has not started."
    return f"{which} has run for {words.duration((timezone.now() - attempt.started_at).total_seconds())}{where}."


@page
@require_http_methods(["GET", "HEAD", "POST"])
def kill(request: HttpRequest, job_id: int) -> HttpResponse:
    """The live attempt ends; what follows is chosen, and nothing is chosen beforehand."""
    job = found(find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    may_act = may_stop(user_of(request), workflow)
    refusal = "" if may_act else only_operators_and_staff(workflow)
    if job.status not in LIVE:
        refusal = refusal or "No attempt of it is live."
    then = request.POST.get("then", "")
    problem = "Choose what becomes of the job." if request.method == "POST" and then not in ("retry", "fail") else ""
    confirm = Confirm(
        f"Kill the attempt of {fenced(job.name)}",
        "What it has computed is lost. “Killed” is shown only once it is confirmed to be gone; a result that gets in first stands.",
        "Kill 1 attempt", _back(job), problem=problem, refusal=refusal, is_dangerous=True, form="actions/kill.html",
        values={"then": then}, note=_live_words(job) if job.status in LIVE else "",
    )  # fmt: skip

    def act() -> HttpResponse:
        lifecycle.ask_kill(workflow.pk, [job.pk], then, actor_of(request))
        ring_live_run(workflow.pk)
        messages.success(request, f"The kill of {fenced(job.name)} is asked; it is repeated until it is confirmed.")
        return HttpResponseRedirect(_back(job))

    return _answer(request, job, confirm, act, may_act=may_act, word="Kill")


@page
@require_http_methods(["GET", "HEAD", "POST"])
def requests(request: HttpRequest, job_id: int) -> HttpResponse:
    """What the next attempt asks for: fields first, then old and new to confirm."""
    job = found(find_job(user_of(request), job_id))
    workflow = job.dag.workflow
    may_act = is_owner(user_of(request), workflow)
    values, problem = read_requests(request.POST)
    changed = {name: value for name, value in values.items() if value != getattr(job, name)}
    refusal = "" if may_act else only_owner(workflow)
    refusal = refusal or ("It is done; run it again instead." if job.status == "D" else "")
    is_asked = request.method == "POST"
    if is_asked and not problem and not changed:
        problem = "Nothing is different from now."
    told = ", ".join(
        f"{REQUEST_WORDS[name]} {getattr(job, name) or 'none'} → {value}" for name, value in changed.items()
    )
    is_ready = is_asked and not problem
    confirm = Confirm(
        f"Change what {fenced(job.name)} asks for",
        f"{told}. A live attempt keeps what it has." if is_ready else "For its next attempts. The job stays the same job.",
        "Change 1 job" if is_ready else "Show old and new", _back(job),
        problem=problem, refusal=refusal, form="" if is_ready else "actions/requests.html",
        hidden={**{name: str(value) for name, value in changed.items()}, "confirmed": "1"} if is_ready else {},
        values={name: request.POST.get(name, getattr(job, name) or "") for name in REQUEST_WORDS},
    )  # fmt: skip

    def act() -> HttpResponse:
        lifecycle.change_requests(workflow.pk, [job.pk], actor_of(request), **changed)
        messages.success(request, f"{fenced(job.name)}: {told}.")
        return HttpResponseRedirect(_back(job))

    if is_ready and may_act and request.POST.get("confirmed") != "1":
        crumbs = crumbs_of(workflow, Crumb(job.name, _back(job)), Crumb("Requests"))
        return show_confirm(request, confirm, crumbs)
    return _answer(request, job, confirm, act, may_act=may_act, word="Requests")


REQUEST_WORDS = {"slots": "slots", "mem_free": "memory (GB)", "max_runtime": "run time (s)", "max_attempts": "attempts"}
