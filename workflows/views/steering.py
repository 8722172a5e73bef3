"""Hold, release, limits and the note of a workflow; and what all steering of jobs shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods

from workflows import bell, lifecycle, words
from workflows.bottlenecks import active
from workflows.directions import fenced
from workflows.models import JobGroup, Workflow, WorkflowRun
from workflows.permissions import may_operate, may_stop, may_write_notes
from workflows.queries.counts import add_counts, groups_of
from workflows.queries.workflows import find_workflow
from workflows.restarting import ring_live_run
from workflows.views.base import Crumb, Terminal, actor_of, found, page, user_of
from workflows.views.confirm import Confirm, do_once, only_operators, only_operators_and_staff, show_confirm
from workflows.views.workflows import crumbs_of

MOST = 10**6
NO_REASON = "no reason given"
LIMITS_OF = {"slots": (1, 10_000), "mem_free": (0.001, 100_000), "max_runtime": (1, 10**8), "max_attempts": (1, 100)}


def read_requests(data: QueryDict) -> tuple[dict[str, Any], str]:
    """The numbers of a form for slots, mem_free, max_runtime and max_attempts; empty fields change nothing."""
    values: dict[str, Any] = {}
    for name, (least, most) in LIMITS_OF.items():
        text = data.get(name, "").strip()
        if not text:
            continue
        try:
            number = float(text) if name == "mem_free" else int(text)
        except ValueError:
            return {}, f"“{text[:40]}” is not a number."
        if not least <= number <= most:
            return {}, f"{name} must be between {least:g} and {most:g}."
        values[name] = number
    return values, ""


def _live_run(workflow: Workflow) -> WorkflowRun | None:
    return workflow.runs.filter(status="R").first()


@page
@require_http_methods(["GET", "HEAD", "POST"])
def hold(request: HttpRequest, workflow_id: int) -> HttpResponse:
    """Nothing more is submitted until it is released; or, where it is held, release it."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    run = _live_run(workflow)
    may_act = may_stop(user_of(request), workflow)
    is_release = run is not None and bool(run.hold_reason)
    refusal = "" if may_act else only_operators_and_staff(workflow)
    refusal = refusal or ("" if run else "No run is live.")
    back = f"/workflows/{workflow.pk}/"
    wanted = "release" if is_release else "hold"
    if request.method == "POST":
        if not may_act:
            raise PermissionDenied(only_operators_and_staff(workflow))
        if run is not None and request.POST.get("wanted") == wanted:
            return _hold(request, run, wanted)
        messages.info(request, "That was done already." if run else "No run is live any more.")
        return HttpResponseRedirect(back)
    sentence = (
        f"Held: {fenced(run.hold_reason)}"
        if run and is_release
        else f"Nothing more is submitted until it is released. {_submitted_goes_on(workflow)}"
    )
    confirm = Confirm(
        f"{wanted.capitalize()} {fenced(workflow)}", sentence, f"{wanted.capitalize()} this run", back,
        hidden={"wanted": wanted}, refusal=refusal, form="" if is_release else "actions/hold.html",
    )  # fmt: skip
    terminal = Terminal("", f"/api/v1/workflow-runs/{run.pk}/" if run else "")
    return show_confirm(request, confirm, crumbs_of(workflow, Crumb(wanted.capitalize())), terminal)


def _submitted_goes_on(workflow: Workflow) -> str:
    """A hold does not take back what the executor has already."""
    count = add_counts(groups_of(workflow.dag_id))["I"]
    return (
        f"{words.plural(count, 'job')} submitted already may still start; what runs goes on."
        if count
        else "What runs goes on."
    )


def _hold(request: HttpRequest, run: WorkflowRun, wanted: str) -> HttpResponse:
    given = request.POST.get("reason", "").strip()[:500]
    reason = (given or NO_REASON) if wanted == "hold" else ""
    lifecycle.hold_run(run.pk, reason, actor_of(request))
    bell.ring(run.pk)
    held = f"Nothing more is submitted. {_submitted_goes_on(run.workflow)}"
    messages.success(request, held if reason else "Released; what may start, starts.")
    return HttpResponseRedirect(f"/workflows/{run.workflow_id}/")


def _read_limit(text: str) -> int | None:
    """A number of jobs at once, None for no limit. Raises ValueError."""
    text = text.replace(",", "").strip()
    if not text:
        return None
    number = int(text)
    if not 0 <= number <= MOST:
        raise ValueError(text)
    return number


def _changes(workflow: Workflow, tags: Sequence[JobGroup], data: QueryDict) -> dict[str, tuple[int | None, int | None]]:
    """Field → (old, new) where they differ. Raises ValueError."""
    fields = [
        ("run", workflow.max_concurrently_running),
        *((f"tag-{tag.pk}", tag.max_concurrently_running) for tag in tags),
    ]
    asked = {name: (old, _read_limit(data.get(name) or "")) for name, old in fields if name in data}
    return {name: (old, new) for name, (old, new) in asked.items() if old != new}


@page
@require_http_methods(["GET", "HEAD", "POST"])
def limits(request: HttpRequest, workflow_id: int) -> HttpResponse:
    """How many jobs may run at once, in all and per tag: fields first, then old → new to confirm."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    groups = groups_of(workflow.dag_id)
    tags = [group for group in groups if group.is_from_tag]
    may_act = may_operate(user_of(request), workflow)
    changes, problem = {}, ""
    if request.method == "POST":
        if not may_act:
            raise PermissionDenied(only_operators(workflow))
        try:
            changes = _changes(workflow, tags, request.POST)
            problem = "" if changes else "Nothing is different from now."
        except ValueError as error:
            problem = f"Limits are whole numbers, or empty for none ({str(error)[:60]})."
        if changes and request.POST.get("confirmed") == "1":
            return do_once(request, lambda: _set_limits(request, workflow, tags, changes))
    confirm = _limits_page(request, workflow, groups, changes, problem, "" if may_act else only_operators(workflow))
    return show_confirm(
        request, confirm, crumbs_of(workflow, Crumb("Limits")), Terminal("", f"/api/v1/workflows/{workflow.pk}/")
    )


def _limits_page(
    request: HttpRequest, workflow: Workflow, groups: Sequence[JobGroup], changes: dict[str, tuple[int | None, int | None]],
    problem: str, refusal: str,
) -> Confirm:  # fmt: skip
    names = {"run": "in all", **{f"tag-{group.pk}": group.name for group in groups}}
    told = ", ".join(f"{fenced(names[name])}: {_limit(old)} → {_limit(new)}" for name, (old, new) in changes.items())
    fields = [("run", "In all", workflow.max_concurrently_running, sum(map(active, groups)))]
    fields += [
        (f"tag-{tag.pk}", tag.name, tag.max_concurrently_running, active(tag)) for tag in groups if tag.is_from_tag
    ]
    return Confirm(
        f"Limits of {fenced(workflow)}",
        f"{told}. What runs goes on." if changes else "How many jobs may be submitted or running at once. Empty: no limit of its own.",
        f"Change {words.plural(len(changes), 'limit')}" if changes else "Show old and new", f"/workflows/{workflow.pk}/",
        problem=problem, refusal=refusal, form="" if changes else "actions/limits.html",
        hidden={**{name: "" if new is None else str(new) for name, (_, new) in changes.items()}, "confirmed": "1"} if changes else {},
        values={"fields": [(name, label, request.POST.get(name, "" if limit is None else limit), live) for name, label, limit, live in fields]},
    )  # fmt: skip


def _limit(value: int | None) -> str:
    return "none" if value is None else words.number(value)


def _set_limits(
    request: HttpRequest,
    workflow: Workflow,
    tags: Sequence[JobGroup],
    changes: dict[str, tuple[int | None, int | None]],
) -> HttpResponse:
    names = {f"tag-{tag.pk}": tag.name for tag in tags}
    run_limit = changes["run"][1] if "run" in changes else workflow.max_concurrently_running
    tag_limits = {names[name]: new for name, (_, new) in changes.items() if name != "run"}
    lifecycle.set_limits(workflow.pk, actor_of(request), run_limit, tag_limits)
    ring_live_run(workflow.pk)
    messages.success(request, f"{words.plural(len(changes), 'limit')} changed.")
    return HttpResponseRedirect(f"/workflows/{workflow.pk}/")


@page
@require_http_methods(["GET", "HEAD", "POST"])
def note(request: HttpRequest, workflow_id: int) -> HttpResponse:
    """A note for whoever looks at the workflow."""
    workflow = found(find_workflow(user_of(request), workflow_id))
    may_act = may_write_notes(user_of(request), workflow)
    if request.method == "POST":
        if not may_act:
            raise PermissionDenied(only_operators_and_staff(workflow))
        text = request.POST.get("note", "").strip()[:5000]
        if text != workflow.note:
            lifecycle.set_note(workflow.pk, text, actor_of(request))
            messages.success(request, "The note is saved.")
        return HttpResponseRedirect(f"/workflows/{workflow.pk}/")
    confirm = Confirm(
        f"Note on {fenced(workflow)}", "For everybody who may see this workflow.", "Save", f"/workflows/{workflow.pk}/",
        form="actions/note.html", values={"note": workflow.note}, refusal="" if may_act else only_operators_and_staff(workflow),
    )  # fmt: skip
    terminal = Terminal("", f"/api/v1/workflows/{workflow.pk}/")
    return show_confirm(request, confirm, crumbs_of(workflow, Crumb("Note")), terminal)
