"""A run's way: started, leased, held, stopped, over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, DateTimeField, ExpressionWrapper, F, Q
from django.db.models.functions import Now
from django.utils import timezone

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.bulk import chunked
from workflows.lifecycle.asking import MoreAsked, ask_for_more
from workflows.lifecycle.counts import sum_counts, sum_counts_at_end
from workflows.lifecycle.moves import Ledger, lock_run, lock_workflow
from workflows.lifecycle.start_record import describe_start
from workflows.models import Job, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.models.definition import COUNT_FIELDS
from workflows.models.execution import LIVE_LETTERS
from workflows.quotas import refuse_run
from workflows.scope import Scope
from workflows.state_machine import JobStatus, RunStatus, WorkflowStatus
from workflows.transactions import write_transaction
from workflows.unix_accounts import hand_on

SUBMIT_TRIES = 20
LONGEST_BACKOFF = timedelta(seconds=60)
UNFINISHED = (JobStatus.QUEUED.value, JobStatus.ERROR_RECOVERABLE.value, JobStatus.ERROR_FATAL.value)


class Refused(Exception):
    """The action cannot be done now. `code` is stable; the message says what happened and what to do next."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts = facts


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run; None takes the workflow's own value. `resume` is "cold" or "hot"."""

    resume: str = "cold"
    executor: str | None = None
    project: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    working_dir: str | None = None
    home: str | None = None
    path: str | None = None
    max_concurrently_running: int | None = None
    fail_fast: bool | None = None
    seconds_until_timeout: int | None = None
    hostname: str = ""
    pid: int | None = None
    scope: Scope = field(default_factory=Scope)
    more: MoreAsked = field(default_factory=MoreAsked)


def _live_instances(workflow_id: int) -> Any:
    return JobInstance.objects.filter(workflow_run__workflow_id=workflow_id, status__in=LIVE_LETTERS)


@write_transaction
def start_run(workflow_id: int, actor: Actor, options: RunOptions) -> WorkflowRun:
    """Open a new run: everything that is not done is tried (again). Raises Refused."""
    workflow = lock_workflow(workflow_id)
    if not workflow.owner.is_active:
        raise Refused("owner-disabled", f"{workflow.user}, the owner of workflow {workflow_id}, is disabled.")
    now = timezone.now()
    live_run = _lock_live_run(workflow_id)
    if live_run is not None:
        _check_can_be_replaced(live_run, options)
    elif too_many := refuse_run(workflow.owner):
        raise Refused("too-many-runs", too_many)
    counts = sum_counts(workflow.dag_id)
    if not options.scope.select(workflow.dag_id).exclude(status=JobStatus.DONE).exists():
        if not options.scope.is_everything:
            raise Refused("nothing-to-do", "Nothing in this scope is left to run.")
        raise Refused(
            "workflow-already-complete",
            f"All {counts[JobStatus.DONE]:,} jobs of workflow {workflow_id} are done; there is nothing to run.",
        )
    if live_run is not None:
        _close_run(live_run, RunStatus.STOPPED, now, workflow.dag_id)
    is_first = not WorkflowRun.objects.filter(workflow_id=workflow_id).exists()
    run = _create_run(workflow, actor, options, now)
    if live_run is not None:
        live_run.instances.filter(status__in=LIVE_LETTERS).update(
            workflow_run=run, kill_asked_at=None, kill_asked_by="", kill_then=""
        )
        hand_on(live_run, run)
    if not (is_first and options.scope.is_everything):  # nothing has been tried or left out: no need to read every job
        _set_scope(workflow.dag_id, options.scope)
    ask_for_more(workflow, options.more)
    if not (is_first and options.scope.is_everything):
        _reset_unfinished(workflow.dag_id, now)
    chosen = {"fail_fast": options.fail_fast, "seconds_until_timeout": options.seconds_until_timeout}
    Workflow.objects.filter(pk=workflow_id).update(
        status=WorkflowStatus.RUNNING.value,
        status_date=now,
        change_no=F("change_no") + 1,
        **{key: value for key, value in chosen.items() if value is not None},
    )
    before = {"status": workflow.status, **({"run": live_run.pk} if live_run is not None else {})}
    after = {**describe_start(run, options.scope, chosen), **options.more.as_json()}
    write_audit(actor, "start-run", f"run {run.pk}", workflow_id=workflow_id, before=before, after=after)
    return run


def _lock_live_run(workflow_id: int) -> WorkflowRun | None:
    """By its number: a search by status would lock the runs of other workflows on its way."""
    live = WorkflowRun.objects.filter(workflow_id=workflow_id, status=RunStatus.RUNNING.value)
    pk = live.values_list("pk", flat=True).first()
    return None if pk is None else WorkflowRun.objects.select_for_update().get(pk=pk)


def _check_can_be_replaced(run: WorkflowRun, options: RunOptions) -> None:
    if not run.stopping:
        raise Refused("workflow-running", f"Run {run.pk} of workflow {run.workflow_id} is live.", run_id=run.pk)
    left = run.instances.filter(status__in=LIVE_LETTERS).count()
    if options.resume != "hot":
        raise Refused(
            "leftovers",
            f"{left} attempts of run {run.pk} are not yet confirmed gone. Try again when the run has stopped, or resume "
            "hot to adopt what still runs.",
            run_id=run.pk,
            left=left,
        )
    if run.stopping == "kill" and left:
        raise Refused(
            "leftovers",
            f"Run {run.pk} is being killed: {left} attempts are not yet confirmed gone.",
            run_id=run.pk,
            left=left,
        )


def _create_run(workflow: Workflow, actor: Actor, options: RunOptions, now: datetime) -> WorkflowRun:
    def chosen(key: str) -> Any:
        value = getattr(options, key)
        return getattr(workflow, key) if value is None else value

    own = ("executor", "project", "stdout", "stderr", "working_dir", "home", "path", "max_concurrently_running")
    return WorkflowRun.objects.create(
        workflow=workflow,
        user=actor.name,
        started_by=actor.user,
        hostname=options.hostname,
        pid=options.pid,
        status=RunStatus.RUNNING.value,
        created_date=now,
        status_date=now,
        resume=options.resume,
        scope=options.scope.as_json(),
        **{key: chosen(key) for key in own},
    )


def _set_scope(dag_id: int, scope: Scope) -> None:
    """Jobs outside the scope stay as they are and do not start."""
    if scope.is_everything:
        Job.objects.filter(dag_id=dag_id, is_in_scope=False).update(is_in_scope=True)
        return
    Job.objects.filter(dag_id=dag_id).update(is_in_scope=False)
    chosen = list(scope.select(dag_id).values_list("pk", flat=True))
    for chunk in chunked(sorted(chosen)):
        Job.objects.filter(pk__in=chunk).update(is_in_scope=True)


def _reset_unfinished(dag_id: int, now: datetime) -> None:
    """Everything in scope that is not done and not live goes back to G with all its attempts."""
    Job.objects.filter(dag_id=dag_id, blocked_by__isnull=False).update(blocked_by=None)
    JobGroup.objects.filter(dag_id=dag_id, count_blocked__gt=0).update(count_blocked=0)
    jobs = Job.objects.filter(dag_id=dag_id, is_in_scope=True)
    back = {"num_attempts": 0, "not_before": None}
    for status in UNFINISHED:
        moving = jobs.filter(status=status)
        moved = dict(moving.values_list("group_id").annotate(n=Count("pk")).order_by())
        moving.update(status=JobStatus.REGISTERED.value, status_date=now, **back)
        column = COUNT_FIELDS[JobStatus(status)]
        for group_id, count in sorted(moved.items()):
            JobGroup.objects.filter(pk=group_id).update(count_g=F("count_g") + count, **{column: F(column) - count})
    jobs.filter(status=JobStatus.REGISTERED.value, num_attempts__gt=0).update(**back)


def _close_run(run: WorkflowRun, status: RunStatus, now: datetime, dag_id: int) -> None:
    counts = sum_counts_at_end(dag_id)
    WorkflowRun.objects.filter(pk=run.pk, status=RunStatus.RUNNING.value).update(
        status=status.value, status_date=now, ended_at=now, final_counts=counts, lease_owner="", lease_expires_at=None
    )


@write_transaction
def ask_stop(run_id: int, mode: str, actor: Actor) -> WorkflowRun:
    """Let running jobs finish ("drain") or end them ("kill"). Asking again is the same stop; a kill after a drain is
    a kill. Raises Refused when the run is over."""
    workflow, run = lock_run(run_id)
    if run.status != RunStatus.RUNNING:
        raise Refused(
            "run-over", f"Run {run_id} is over since {run.ended_at:%Y-%m-%d %H:%M} UTC; there is nothing to stop."
        )
    if run.stopping == mode or run.stopping == "kill":
        return run
    before = run.stopping
    run.stopping, run.stop_asked_at, run.stop_asked_by = mode, timezone.now(), actor.name
    WorkflowRun.objects.filter(pk=run_id, status=RunStatus.RUNNING.value).update(
        stopping=mode, stop_asked_at=run.stop_asked_at, stop_asked_by=actor.name
    )
    asked = None
    if mode == "kill":
        asked = run.instances.filter(status__in=LIVE_LETTERS).count()
        run.instances.filter(status__in=LIVE_LETTERS, kill_asked_at=None).update(
            kill_asked_at=run.stop_asked_at, kill_asked_by=actor.name
        )
    Ledger(workflow, has_changed=True).close()
    write_audit(
        actor,
        f"stop-{mode}",
        f"run {run_id}",
        workflow_id=workflow.pk,
        before={"stopping": before},
        after={"stopping": mode},
        job_count=asked,
    )
    return run


@write_transaction
def finish_if_over(run_id: int) -> RunStatus | None:
    """Close the run if nothing in it is live and nothing can move any more; answers how it ended."""
    workflow, run = lock_run(run_id)
    if run.status != RunStatus.RUNNING:
        return None
    counts = sum_counts(workflow.dag_id)
    if counts[JobStatus.INSTANTIATED] or counts[JobStatus.RUNNING] or _live_instances(workflow.pk).exists():
        return None
    outcome = _decide_outcome(workflow, run, counts)
    if outcome is None:
        return None
    now = timezone.now()
    if outcome is not RunStatus.DONE:
        _unqueue(workflow.dag_id, now)
    _close_run(run, outcome, now, workflow.dag_id)
    Workflow.objects.filter(pk=workflow.pk).update(
        status=WorkflowStatus(outcome.value).value, status_date=now, change_no=F("change_no") + 1
    )
    return outcome


def _decide_outcome(workflow: Workflow, run: WorkflowRun, counts: dict[str, int]) -> RunStatus | None:
    if counts[JobStatus.DONE] == sum(counts.values()):
        return RunStatus.DONE
    if run.stopping:
        return RunStatus.STOPPED
    if workflow.fail_fast and counts[JobStatus.ERROR_FATAL]:
        return RunStatus.ERROR
    if run.hold_reason:
        return None
    waiting = (JobStatus.REGISTERED.value, JobStatus.QUEUED.value, JobStatus.ERROR_RECOVERABLE.value)
    may_move = Job.objects.filter(dag_id=workflow.dag_id, status__in=waiting, upstreams_left=0, is_in_scope=True)
    if may_move.exists():
        return None
    return RunStatus.ERROR if run.scope is None or counts[JobStatus.ERROR_FATAL] else RunStatus.STOPPED


def _unqueue(dag_id: int, now: datetime) -> None:
    """In a stopped run nothing waits for its next attempt."""
    waiting = (JobStatus.QUEUED.value, JobStatus.ERROR_RECOVERABLE.value)
    Job.objects.filter(dag_id=dag_id, status__in=waiting).update(
        status=JobStatus.REGISTERED.value, status_date=now, not_before=None
    )
    JobGroup.objects.filter(dag_id=dag_id).update(
        count_g=F("count_g") + F("count_q") + F("count_e"), count_q=0, count_e=0
    )


@write_transaction
def acquire_lease(run_id: int, owner: str, seconds: int) -> int | None:
    """The fence number if this owner may now advance the run, else None. It saves double work; safety does not rest
    on it. Time is the database's."""
    # By its number first: MariaDB may look for `status` in an index, and would lock in another order than a stop does.
    fence = WorkflowRun.objects.select_for_update().filter(pk=run_id).values_list("fence", flat=True).first()
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=Now()) | Q(lease_owner=owner)
    rows = WorkflowRun.objects.filter(free, pk=run_id, status=RunStatus.RUNNING.value)
    until = ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())
    if fence is None or rows.update(lease_owner=owner, lease_expires_at=until, fence=F("fence") + 1) != 1:
        return None
    return fence + 1


@write_transaction
def release_lease(run_id: int, owner: str) -> None:
    WorkflowRun.objects.filter(pk=run_id, lease_owner=owner).update(lease_owner="", lease_expires_at=None)


@write_transaction
def note_submit_failure(run_id: int, words: str) -> None:
    """The executor could not be asked: wait longer each time, and after many tries hold the run and say why."""
    workflow, run = lock_run(run_id)
    failures = run.submit_failures + 1
    pause = min(timedelta(seconds=2 ** min(failures, 10)), LONGEST_BACKOFF)
    values: dict[str, Any] = {"submit_failures": failures, "backoff_until": timezone.now() + pause}
    if failures >= SUBMIT_TRIES:
        values.update(hold_reason=f"Submission failed {failures} times in a row: {words}", held_at=timezone.now())
    WorkflowRun.objects.filter(pk=run_id, status=RunStatus.RUNNING.value).update(**values)
    Ledger(workflow, has_changed=True).close()


@write_transaction
def note_submit_success(run_id: int) -> None:
    WorkflowRun.objects.filter(pk=run_id, submit_failures__gt=0).update(submit_failures=0, backoff_until=None)


@write_transaction
def hold_run(run_id: int, reason: str, actor: Actor) -> None:
    """Nothing more is submitted until the hold is taken away; an empty reason takes it away."""
    workflow, run = lock_run(run_id)
    WorkflowRun.objects.filter(pk=run_id, status=RunStatus.RUNNING.value).update(
        hold_reason=reason, held_at=timezone.now() if reason else None, submit_failures=0, backoff_until=None
    )
    Ledger(workflow, has_changed=True).close()
    action = "hold" if reason else "release"
    write_audit(
        actor,
        action,
        f"run {run_id}",
        workflow_id=workflow.pk,
        before={"hold": run.hold_reason},
        after={"hold": reason},
    )
