"""Actions on many jobs: frozen first, confirmed by a person, then carried out in chunks by a worker. Every chunk is one
transaction and checks the person's rights anew, so a lost, doubled or late message does no harm."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Count, F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from workflows import bell, lifecycle
from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.bulk import chunked
from workflows.directions import fenced
from workflows.models import Job, Operation, OperationItem, Workflow, WorkflowRun
from workflows.models.operations import UNCONFIRMED
from workflows.permissions import Person, is_owner, may_operate, may_stop
from workflows.planning import Plan, PlanRow, make_plan, plural
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
CHUNK = 1_000
LONGEST_PASS = 2.0  # then other tasks have their turn
DRAFT_LIFE = timedelta(minutes=30)
REMOVED_AT_ONCE = 5_000
KEPT_DRAFTS = timedelta(days=1)
SAMPLES, SAMPLED = 3, 1_000
TASK = "workflows.tasks.carry_out"
WRITTEN_OVER = "What they wrote is written over."


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of action. `letters`: jobs in these statuses are acted on; `otherwise`: why the others are skipped."""

    word: str
    verb: str
    letters: str
    otherwise: str
    may_act: Callable[[Person, Workflow], bool]
    is_dangerous: bool = False
    form: str = ""


ACTIONS: dict[str, Action] = {
    "retry": Action("Retry", "Retry", "FE", "it has not failed", may_operate),
    "kill": Action("Kill attempts", "Kill", "IR", "no attempt of it is live", may_stop, True, "actions/kill.html"),
    "done": Action("Mark done", "Mark done", "GQEF", "done already, or an attempt is live", is_owner, False, "actions/note_field.html"),
    "rerun": Action("Run again", "Run again", "GQEFD", "an attempt of it is live", may_operate, True),
    "requests": Action("Change requests", "Change", "GQIREF", "it is done", is_owner, False, "actions/requests.html"),
}  # fmt: skip


def action_of(operation: Operation) -> Action:
    """What it does to its jobs. One that only a newer version of this server knows is shown, and left alone."""
    said = fenced(operation.action)
    unknown = Action(f"Unknown action {said}", "Do", "", "this version of the server does not know the action", _nobody)
    return ACTIONS.get(operation.action, unknown)


def _nobody(_person: Person, _workflow: Workflow) -> bool:
    return False


OPTIONS: dict[str, tuple[str, ...]] = {
    "kill": ("then",),
    "done": ("note",),
    "requests": ("slots", "mem_free", "max_runtime", "max_attempts"),
}
"""What a confirmation of an action may say; a kill must say what follows, requests at least one number."""

Counted = Sequence[Sequence[Any]]
"""(tag, letter, number of jobs)"""


def count(jobs: QuerySet[Job]) -> Counted:
    return sorted(jobs.order_by().values_list("group__name", "status").annotate(n=Count("pk")))


def sample(jobs: QuerySet[Job]) -> list[list[str]]:
    """A few of each tag and status, as far as one bounded read finds them."""
    found: dict[tuple[str, str], list[str]] = {}
    for tag, letter, name in jobs.order_by("pk").values_list("group__name", "status", "name")[:SAMPLED]:
        found.setdefault((tag, letter), []).append(name)
    return [[tag, letter, name] for (tag, letter), names in found.items() for name in names[:SAMPLES]]


@write_transaction
def freeze(workflow: Workflow, actor: Actor, action: str, jobs: QuerySet[Job], said: str) -> Operation | None:
    """A draft of this action on exactly these jobs, whatever becomes of them later. None: there are none."""
    counted = count(jobs)
    total = sum(row[2] for row in counted)
    if not total:
        return None
    operation = Operation.objects.create(
        workflow=workflow, user=actor.user, action=action, said=said, via=actor.via, address=actor.address,
        request_id=actor.request_id, token_prefix=actor.token_prefix, jobs=total, created_at=timezone.now(),
        options={"counts": counted, "samples": sample(jobs)},
    )  # fmt: skip
    statement, values = jobs.order_by("pk").values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO operation_item (operation_id, job_id, outcome, why)"  # noqa: S608 - the ORM's own statement
            f" SELECT {int(operation.pk)}, chosen.*, '', '' FROM ({statement}) chosen",
            values,
        )
    return operation


def expires_at(operation: Operation) -> datetime:
    return (operation.frozen_at or operation.created_at) + DRAFT_LIFE


def is_expired(operation: Operation) -> bool:
    return operation.state == "draft" and expires_at(operation) < timezone.now()


def planned(operation: Operation) -> tuple[int, int]:
    """How many jobs a draft would act on and skip, as they were when they were frozen."""
    letters = action_of(operation).letters
    acted = sum(count for _, letter, count in operation.options["counts"] if letter in letters)
    return acted, operation.jobs - acted


def plan(action: Action, counted: Counted, samples: Sequence[Sequence[str]], said: str) -> Plan:
    """What this action would do to the jobs that were counted."""
    merged: dict[tuple[str, bool], int] = {}
    names: dict[tuple[str, bool], list[str]] = {}
    for tag, letter, number in counted:
        key = (tag, letter in action.letters)
        merged[key] = merged.get(key, 0) + number
    for tag, letter, job in samples:
        names.setdefault((tag, letter in action.letters), []).append(job)
    rows = [
        PlanRow(tag, action.word.lower() if is_acted else "skipped", number, "" if is_acted else action.otherwise,
                tuple(names.get((tag, is_acted), ())[:SAMPLES]))
        for (tag, is_acted), number in sorted(merged.items())
    ]  # fmt: skip
    acted = sum(number for (_, is_acted), number in merged.items() if is_acted)
    skipped = sum(merged.values()) - acted
    sentence = f"{acted:,} of {plural(acted + skipped, 'chosen job')}" if skipped else plural(acted)
    sentence += f" ({fenced(said)})." + (f" {plural(skipped)} skipped: {action.otherwise}." if skipped else "")
    return make_plan(sentence, rows, [WRITTEN_OVER] if action is ACTIONS["rerun"] and acted else [])


def plan_of(operation: Operation) -> Plan:
    """What a draft would do, as its jobs were when they were frozen."""
    options = operation.options
    return plan(action_of(operation), options["counts"], options["samples"], operation.said)


@write_transaction
def confirm(operation: Operation, options: Mapping[str, Any], actor: Actor) -> bool:
    """Let the workers begin; what they do is then done by this request. False: it is no draft any more, or too old."""
    drafts = Operation.objects.alias(since=Coalesce("frozen_at", "created_at")).filter(
        pk=operation.pk, state="draft", since__gte=timezone.now() - DRAFT_LIFE
    )
    values = {"state": "working", "confirmed_at": timezone.now(), "options": {**operation.options, **options}}
    by = {name: getattr(actor, name) for name in ("via", "address", "request_id", "token_prefix")}
    if drafts.update(**values, **by) != 1:
        return False
    after = {"action": operation.action, "jobs": operation.said, **options}
    _audit(operation, actor, "confirm-operation", after)
    return True


@write_transaction
def ask_stop(operation: Operation, actor: Actor) -> bool:
    """Leave the rest as it is, or collect no more of it. What is done stays done."""
    rows = Operation.objects.filter(pk=operation.pk, state__in=("collecting", "working"))
    if rows.update(state="stopped", stop_asked_by=actor.name, ended_at=timezone.now()) != 1:
        return False
    _audit(operation, actor, "stop-operation", {"action": operation.action})
    return True


def _audit(operation: Operation, actor: Actor, action: str, after: dict[str, Any]) -> None:
    target, workflow_id = f"operation {operation.uuid}", operation.workflow_id
    write_audit(actor, action, target, workflow_id=workflow_id, after=after, job_count=operation.jobs)


def carry_out(operation_id: int) -> bool:
    """Work on an operation for a while; whether something is left."""
    is_left = work_on(operation_id, _take_chunk)
    run = WorkflowRun.objects.filter(workflow__operations=operation_id, status="R").first()
    if run is not None:
        bell.ring(run.pk)
    return is_left


def work_on(operation_id: int, take: Callable[[int], bool]) -> bool:
    """Take chunk by chunk for a while; whether something is left. A chunk that fails is tried again by the sweep."""
    until = time.monotonic() + LONGEST_PASS
    is_left = True
    try:
        while is_left and time.monotonic() < until:
            is_left = take(operation_id)
    except DatabaseError as error:
        logger.exception("operation %d", operation_id)
        _note_problem(operation_id, f"A chunk failed and is tried again: {error}"[:500])
        return False
    return is_left


@write_transaction
def _note_problem(operation_id: int, problem: str) -> None:
    Operation.objects.filter(pk=operation_id).update(problem=problem)


@write_transaction
def _take_chunk(operation_id: int) -> bool:
    """The next jobs of an operation, in one transaction with their outcomes; whether there may be more."""
    locked = Operation.objects.select_for_update().get(pk=operation_id)
    if locked.state != "working":
        return False
    operation = Operation.objects.select_related("workflow", "user").get(pk=operation_id)
    action = action_of(operation)
    if not (operation.user.is_active and action.may_act(operation.user, operation.workflow)):
        problem = f"{operation.user.get_username()} may not do this any more; the rest was left as it is."
        end(operation, "failed", problem=problem)
        return False
    items = OperationItem.objects.filter(operation=operation, outcome="").order_by("job_id")
    job_ids = list(items.values_list("job_id", flat=True)[:CHUNK])
    if not job_ids:
        end(operation, "finished", problem="")
        return False
    skipped = _act(operation, action, job_ids)
    _store_outcomes(operation, job_ids, skipped)
    return True


def end(operation: Operation, state: str, problem: str) -> None:
    Operation.objects.filter(pk=operation.pk).update(state=state, ended_at=timezone.now(), problem=problem)


def _act(operation: Operation, action: Action, job_ids: Sequence[int]) -> dict[int, str]:
    """Job → why it was skipped."""
    statuses = dict(Job.objects.filter(dag_id=operation.workflow.dag_id, pk__in=job_ids).values_list("pk", "status"))
    chosen = [job_id for job_id in job_ids if statuses.get(job_id, "") in tuple(action.letters)]
    skipped = dict.fromkeys(set(job_ids) - set(chosen), action.otherwise)
    if chosen:
        by = (operation.token_prefix, operation.address, operation.request_id)
        actor = Actor(operation.user, operation.via, *by)
        skipped |= _call(operation, chosen, actor).skipped
    return skipped


def _call(operation: Operation, job_ids: Sequence[int], actor: Actor) -> lifecycle.Steered:
    workflow_id, options = operation.workflow_id, operation.options
    if operation.action in ("retry", "rerun"):
        return lifecycle.reset_jobs(workflow_id, job_ids, actor)
    if operation.action == "done":
        return lifecycle.mark_done(workflow_id, job_ids, actor, options.get("note", ""))
    if operation.action == "kill":
        return lifecycle.ask_kill(workflow_id, job_ids, options["then"], actor)
    return lifecycle.change_requests(workflow_id, job_ids, actor, **options["values"])


def _store_outcomes(operation: Operation, job_ids: Sequence[int], skipped: Mapping[int, str]) -> None:
    items = OperationItem.objects.filter(operation=operation)
    changed = [job_id for job_id in job_ids if job_id not in skipped]
    for start in range(0, len(changed), 900):
        items.filter(job_id__in=changed[start : start + 900]).update(outcome="changed")
    for why in Counter(skipped.values()):
        left = [job_id for job_id, said in skipped.items() if said == why]
        for start in range(0, len(left), 900):
            items.filter(job_id__in=left[start : start + 900]).update(outcome="skipped", why=why[:100])
    Operation.objects.filter(pk=operation.pk).update(
        changed=F("changed") + len(changed), skipped=F("skipped") + len(skipped), problem=""
    )


def unfinished() -> list[int]:
    """What a worker should look at, for the sweep."""
    return list(Operation.objects.filter(state__in=("collecting", "working")).values_list("pk", flat=True))


def remove_old_drafts() -> None:
    """Drafts that nobody confirmed. What was frozen goes batch by batch, so that nobody waits long for his turn."""
    old = Operation.objects.filter(state__in=UNCONFIRMED, created_at__lt=timezone.now() - KEPT_DRAFTS)
    for operation_id in list(old.values_list("pk", flat=True)):
        while _remove_items(operation_id):
            pass
        _remove(operation_id)


@write_transaction
def _remove_items(operation_id: int) -> bool:
    """Some of them; whether there were any."""
    rows = OperationItem.objects.filter(operation_id=operation_id).order_by("outcome", "job_id")
    some = list(rows.values_list("pk", flat=True)[:REMOVED_AT_ONCE])
    for chunk in chunked(some):
        OperationItem.objects.filter(pk__in=chunk).delete()
    return bool(some)


@write_transaction
def _remove(operation_id: int) -> None:
    Operation.objects.filter(pk=operation_id, state__in=UNCONFIRMED).delete()
