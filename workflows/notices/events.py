"""Finds the events that somebody wants to be told of, in what is stored, and puts each into the outbox once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from workflows.directions import fenced
from workflows.models import ErrorGroup, MailSettings, Notice, RunStall, WorkflowRun
from workflows.permissions import visible_workflows
from workflows.state_machine import Reason, RunStatus
from workflows.transactions import write_transaction

# Older events are not told: nobody wants yesterday's news when a mail server comes back.
HORIZON = timedelta(hours=24)
KEPT = timedelta(days=30)
AT_ONCE = 500
TOLD_WHEN = {
    "failures": (RunStatus.ERROR.value,),
    "all": (RunStatus.DONE.value, RunStatus.STOPPED.value, RunStatus.ERROR.value),
}
ENDINGS = {
    RunStatus.DONE.value: "is done",
    RunStatus.STOPPED.value: "was stopped",
    RunStatus.ERROR.value: "ended with errors",
}


@dataclass(frozen=True, slots=True)
class Event:
    """`key` names it for ever."""

    key: str
    kind: str
    workflow_id: int
    words: str
    path: str


def is_mail_set_up() -> bool:
    return bool(settings.EMAIL_HOST)


def gather_notices() -> int:
    """Once per sweep: how many new notices there are."""
    if not is_mail_set_up():
        return 0
    remove_old_notices()
    people = MailSettings.objects.exclude(verified_at=None).filter(user__is_active=True).select_related("user")
    return sum(_note(wishes) for wishes in people.iterator(chunk_size=200))


def _note(wishes: MailSettings) -> int:
    events = list(find_events(wishes, timezone.now()))
    return _store(wishes.user, events) if events else 0


def find_events(wishes: MailSettings, now: datetime) -> Iterator[Event]:
    """What happened lately to this person's workflows, as far as they want to know; without what they know."""
    since = max(wishes.since, now - HORIZON)
    found = [*_run_ends(wishes, since)]
    if wishes.tells_new_errors:
        found += _new_errors(wishes.user, since)
    if wishes.tells_stalls:
        found += _stalls(wishes.user, since)
    known = Notice.objects.filter(user_id=wishes.user_id, created_at__gte=since - HORIZON)
    told = set(known.values_list("event", flat=True)) if found else set()
    visible = set(_visible(wishes.user, {event.workflow_id for event in found}))
    yield from (event for event in found if event.key not in told and event.workflow_id in visible)


def _visible(user: User, workflow_ids: Iterable[int]) -> Iterable[int]:
    """Whoever started a run for somebody else may have lost the right to see it since."""
    ids = sorted(workflow_ids)
    return visible_workflows(user).filter(pk__in=ids).values_list("pk", flat=True) if ids else ()


def _concerns(user: User, prefix: str = "") -> Q:
    return Q(**{f"{prefix}workflow__owner": user}) | Q(**{f"{prefix}started_by": user})


def _run_ends(wishes: MailSettings, since: datetime) -> Iterator[Event]:
    statuses = TOLD_WHEN.get(wishes.run_ends)
    if statuses is None:
        return
    runs = WorkflowRun.objects.filter(_concerns(wishes.user), ended_at__gte=since, status__in=statuses)
    for run in runs.select_related("workflow").order_by("pk")[:AT_ONCE]:
        failed = (run.final_counts or {}).get("F", 0)
        more = f", {failed:,} jobs failed" if failed else ""
        words = f"{_name(run.workflow_id, str(run.workflow))} {ENDINGS[run.status]} (run {run.pk}{more})."
        yield Event(f"run-ended:{run.pk}", "run-ended", run.workflow_id, words, f"/workflow-runs/{run.pk}/")


def _new_errors(user: User, since: datetime) -> Iterator[Event]:
    """The first failure of its kind in a workflow; whoever kills something knows of it. Not its text: that may hold what a mail should not."""
    mine = Q(workflow__owner=user) | Q(workflow__runs__started_by=user, workflow__runs__status=RunStatus.RUNNING.value)
    groups = ErrorGroup.objects.filter(mine, first_seen_at__gte=since).exclude(reason=Reason.KILLED.value)
    groups = groups.select_related("workflow").distinct()
    for group in groups.order_by("pk")[:AT_ONCE]:
        words = f"{_name(group.workflow_id, str(group.workflow))} has a new kind of error (group {group.pk})."
        yield Event(f"error-group:{group.pk}", "error-group", group.workflow_id, words, f"/error-groups/{group.pk}/")


def _stalls(user: User, since: datetime) -> Iterator[Event]:
    stalls = RunStall.objects.filter(_concerns(user, "run__"), noted_at__gte=since)
    for stall in stalls.select_related("run__workflow").order_by("pk")[:AT_ONCE]:
        run = stall.run
        words = f"{_name(run.workflow_id, str(run.workflow))} stands still (run {run.pk})."
        key = f"stall:{run.pk}:{int(stall.since.timestamp())}"
        yield Event(key, "stall", run.workflow_id, words, f"/workflow-runs/{run.pk}/")


def _name(workflow_id: int, name: str) -> str:
    return f"Workflow {workflow_id} “{fenced(name[:120])}”"


@write_transaction
def _store(user: User, events: list[Event]) -> int:
    """The unique key decides, when two sweeps find the same."""
    now = timezone.now()
    before = Notice.objects.filter(user=user).count()
    Notice.objects.bulk_create(
        [
            Notice(
                user=user, event=event.key, kind=event.kind, workflow_id=event.workflow_id, words=event.words[:400],
                path=event.path, created_at=now, state_at=now,
            )
            for event in events
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    return Notice.objects.filter(user=user).count() - before


def remove_old_notices() -> None:
    old = timezone.now() - KEPT
    if Notice.objects.filter(created_at__lt=old).exists():
        _remove_before(old)


@write_transaction
def _remove_before(old: datetime) -> None:
    Notice.objects.filter(created_at__lt=old).delete()
