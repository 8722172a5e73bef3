"""Finds live runs in which nothing moves although something could, and says why; the sweep asks.

A run that only waits is no stall: for jobs that run, for the batch system's queue, for a limit, for a person who has
stopped or held it. A stall is what none of these explains: ready jobs that may start and do not, an executor that is
silent, submissions that fail, attempts that the batch system will never start, an owner who was disabled.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.db.models import Count, F, Max, Q
from django.utils import timezone

from workflows.directions import fenced
from workflows.lifecycle.moves import lock_run
from workflows.lifecycle.runs import SUBMIT_TRIES
from workflows.models import ExecutorState, Job, JobInstance, RunStall, Workflow, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.queries.frame import SILENT_AFTER
from workflows.scheduling.failing_runs import is_held_by_server
from workflows.scheduling.ready import find_limits, select_ready
from workflows.state_machine import RunStatus
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run stands still: a stable word, and a sentence."""

    kind: str
    words: str


def refresh_stalls() -> int:
    """How many live runs stand still now. One that cannot be judged keeps no other from it."""
    now = timezone.now()
    forget_over()
    found = 0
    for run in WorkflowRun.objects.filter(status=RunStatus.RUNNING.value).select_related("workflow__owner"):
        try:
            found += _refresh(run, now)
        except (DatabaseError, ObjectDoesNotExist):  # purged meanwhile
            logger.exception("whether run %d stands still", run.pk)
    return found


def _refresh(run: WorkflowRun, now: datetime) -> bool:
    since = last_moved_at(run)
    is_quiet = since <= now - timedelta(minutes=settings.STALL_MINUTES)
    cause = find_cause(run, now) if is_quiet else None
    if cause is None:
        if RunStall.objects.filter(pk=run.pk).exists():
            _forget(run.pk)
        return False
    _note(run.pk, cause, since, now)
    return True


def last_moved_at(run: WorkflowRun) -> datetime:
    """When a job last changed its status, or the run began or was released. The index on it makes this one look."""
    moved: datetime | None = Job.objects.filter(dag_id=run.workflow.dag_id).aggregate(at=Max("status_date"))["at"]
    return run.created_date if moved is None else max(moved, run.created_date)


def find_cause(run: WorkflowRun, now: datetime) -> Cause | None:
    """None: the run only waits for something, and the pages say for what."""
    if run.stopping:
        return _silent_executor(run, now)
    if not run.workflow.owner.is_active:
        goes_on = "nothing more is submitted; what is submitted or runs goes on."
        return Cause("owner-disabled", f"Its owner {fenced(run.workflow.user)} is disabled: {goes_on}")
    if run.hold_reason:
        is_own_doing = run.submit_failures >= SUBMIT_TRIES or is_held_by_server(run)
        return Cause("held", f"On hold: {fenced(run.hold_reason)}") if is_own_doing else None
    if run.submit_failures:
        return Cause("submission", f"Submission has failed {run.submit_failures} times in a row.")
    return _silent_executor(run, now) or _stuck_attempts(run) or _idle_ready(run)


def _live(run: WorkflowRun) -> dict[str, int]:
    """Executor → live attempts of the run."""
    rows = JobInstance.objects.filter(workflow_run=run, status__in=LIVE_LETTERS)
    return dict(rows.values_list("executor_type").annotate(n=Count("pk")).order_by())


def _silent_executor(run: WorkflowRun, now: datetime) -> Cause | None:
    """It has not answered for minutes while attempts of this run are with it."""
    for name, live in sorted(_live(run).items()):
        state = ExecutorState.objects.filter(name=name).first()
        if state is None or (state.polled_at or state.poll_started_at or now) > now - SILENT_AFTER:
            continue
        said = f" It said: {fenced(state.failure[:160])}" if state.failure else ""
        return Cause(
            "executor-silent", f"{fenced(name)} has not answered for a while and has {live:,} attempts of it.{said}"
        )
    return None


def _stuck_attempts(run: WorkflowRun) -> Cause | None:
    """All that is live will not start by itself, says the batch system."""
    live = JobInstance.objects.filter(workflow_run=run, status__in=LIVE_LETTERS)
    counts = live.aggregate(all=Count("pk"), stuck=Count("pk", filter=Q(phase="stuck")))
    if not counts["all"] or counts["stuck"] < counts["all"]:
        return None
    return Cause("stuck", f"All {counts['all']:,} attempts that are with the batch system are stuck there.")


def _idle_ready(run: WorkflowRun) -> Cause | None:
    jobs = select_ready(run, find_limits(run))
    if not jobs:
        return None
    return Cause(
        "not-started", f"{fenced(jobs[0].name)} and perhaps others could start, no limit is reached, and nothing does."
    )


@write_transaction
def _note(run_id: int, cause: Cause, since: datetime, now: datetime) -> None:
    """`noted_at` stays that of the first look, so that one stall is told once. Another sweep may note it now as well: one
    after the other."""
    _workflow, run = lock_run(run_id)
    if run.status != RunStatus.RUNNING:
        return
    values = {"kind": cause.kind, "words": cause.words[:400], "since": since}
    if RunStall.objects.filter(pk=run_id).update(**values) == 0:
        RunStall.objects.create(run_id=run_id, noted_at=now, **values)
        _tell_pages(run_id)


@write_transaction
def _forget(run_id: int) -> None:
    RunStall.objects.filter(pk=run_id).delete()
    _tell_pages(run_id)


def _tell_pages(run_id: int) -> None:
    """Pages that poll ask for the change number."""
    Workflow.objects.filter(runs=run_id).update(change_no=F("change_no") + 1)


def forget_over() -> None:
    """A run that is over stands still for good: that is no stall."""
    if RunStall.objects.exclude(run__status=RunStatus.RUNNING.value).exists():
        _forget_over()


@write_transaction
def _forget_over() -> None:
    RunStall.objects.exclude(run__status=RunStatus.RUNNING.value).delete()
