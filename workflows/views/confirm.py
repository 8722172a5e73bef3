"""Confirm pages: what an action would do, in the planner's words, and one effect for any number of clicks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from workflows.directions import fenced
from workflows.models import IdempotencyRecord, Workflow
from workflows.permissions import is_owner, may_operate, who_may_operate
from workflows.planning import Plan, PlanRow
from workflows.transactions import write_transaction
from workflows.views.base import Crumb, Terminal, show, user_of

MOST_WITHOUT_TYPING = 1_000


@dataclass(frozen=True, slots=True)
class Confirm:
    """What a confirm page says. `refusal`: why this person cannot do it now. `must_type`: the number to be typed.
    `form`: a template with the fields of this action, filled from `values`. `note`: until when it may be confirmed."""

    title: str
    sentence: str
    verb: str
    back: str
    rows: Sequence[PlanRow] = ()
    warnings: Sequence[str] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    refusal: str = ""
    is_dangerous: bool = False
    must_type: int | None = None
    form: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    note: str = ""


def of_plan(plan: Plan, **values: object) -> dict[str, object]:
    """The planner's part of a confirm page."""
    return {"sentence": plan.sentence, "rows": plan.rows, "warnings": plan.warnings, **values}


def show_confirm(
    request: HttpRequest, confirm: Confirm, crumbs: Sequence[Crumb], terminal: Terminal | None = None
) -> HttpResponse:
    once = request.POST.get("once", "") or uuid.uuid4().hex
    context = {"confirm": confirm, "once": once, "crumbs": crumbs, "section": "workflows", "terminal": terminal}
    return show(request, "actions/confirm.html", context, status=409 if confirm.problem else 200)


def number_to_type(user: User, workflow: Workflow, jobs: int) -> int | None:
    """Many jobs, or somebody else's workflow: the number is typed, so that nobody acts by habit."""
    return jobs if jobs > MOST_WITHOUT_TYPING or (jobs and workflow.owner_id != user.pk) else None


def typed_wrong(request: HttpRequest, number: int | None) -> str:
    """What is wrong with the typed number; '' if nothing."""
    typed = request.POST.get("typed", "").replace(",", "").strip()
    return "" if number is None or typed == str(number) else f"Type the number of jobs ({number:,}) to confirm."


def only_owner(workflow: Workflow) -> str:
    return f"Only the owner ({fenced(workflow.user)}) may do this."


def only_operators(workflow: Workflow) -> str:
    return f"Only {who_may_operate(workflow)} may do this."


def only_operators_and_staff(workflow: Workflow) -> str:
    return f"Only {who_may_operate(workflow)} and staff may do this."


def only_those(may_act: Callable[..., bool], workflow: Workflow) -> str:
    """Who passes this check of permissions, in words."""
    if may_act is is_owner:
        return only_owner(workflow)
    return only_operators(workflow) if may_act is may_operate else only_operators_and_staff(workflow)


def do_once(request: HttpRequest, act: Callable[[], HttpResponse]) -> HttpResponse:
    """Carry out the first post of a form; the same form posted again leads to where the first one led."""
    key = request.POST.get("once", "")
    if not key or len(key) > 60 or not key.isalnum():
        return act()
    user, path = user_of(request), request.path
    record = _claim(user, f"page-{key}", path)
    if record is not None:
        if record.fingerprint != path[:64] or not record.answer:
            messages.info(request, "This form was sent before and is being carried out.")
            return HttpResponseRedirect(path)
        return HttpResponseRedirect(record.answer["location"])
    try:
        response = act()
    except BaseException:
        _forget(user, f"page-{key}")
        raise
    if response.status_code == 302:
        _remember(user, f"page-{key}", response["Location"])
    else:
        _forget(user, f"page-{key}")
    return response


def is_first(request: HttpRequest) -> bool:
    """Whether this form was not sent before: for acts whose answer cannot be given twice."""
    key = request.POST.get("once", "")
    return (
        bool(key) and len(key) <= 60 and key.isalnum() and _claim(user_of(request), f"page-{key}", request.path) is None
    )


@write_transaction
def _claim(user: User, key: str, path: str) -> IdempotencyRecord | None:
    """None if the key is now ours, else the record of who was first."""
    values = {"fingerprint": path[:64], "created_at": timezone.now()}
    record, is_ours = IdempotencyRecord.objects.get_or_create(user=user, key=key, defaults=values)
    return None if is_ours else record


@write_transaction
def _remember(user: User, key: str, location: str) -> None:
    IdempotencyRecord.objects.filter(user=user, key=key).update(answer={"location": location})


@write_transaction
def _forget(user: User, key: str) -> None:
    IdempotencyRecord.objects.filter(user=user, key=key, answer=None).delete()
