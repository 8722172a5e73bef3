"""What pages show and would be too dear to work out at every view: written by the sweep, in sets, with its age. One
workflow whose facts cannot be worked out keeps no other from its own."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.utils import timezone

from workflows.lifecycle.moves import lock_workflow
from workflows.models import JobGroup, RunMinute, SystemState, Workflow, WorkflowRun
from workflows.scheduling import server_facts
from workflows.scheduling.bad_hosts import exclude_bad_hosts
from workflows.scheduling.blocked import forget_others, refresh_blocked
from workflows.scheduling.executor_minutes import forget_minutes
from workflows.scheduling.failing_runs import hold_failing_runs
from workflows.scheduling.forecast import refresh_forecast
from workflows.scheduling.stalls import refresh_stalls
from workflows.scheduling.usage_facts import refresh_usage
from workflows.state_machine import RunStatus, WorkflowStatus
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
JUST_ENDED = timedelta(minutes=10)


def refresh_facts() -> None:
    """Once per sweep, after it has rung: blocked jobs, minutes and forecasts of live runs, and when that was."""
    active = dict(_active_workflows().values_list("pk", "dag_id"))
    for workflow_id, dag_id in active.items():
        try:
            refresh_blocked(workflow_id, dag_id)
        except DatabaseError:
            logger.exception("blocked jobs of workflow %d", workflow_id)
    forget_others(list(active))
    for run in WorkflowRun.objects.filter(status=RunStatus.RUNNING.value).select_related("workflow"):
        try:
            write_minute(run, timezone.now())
            refresh_forecast(run)
        except (DatabaseError, ObjectDoesNotExist):  # purged meanwhile
            logger.exception("facts of run %d", run.pk)
    try:
        exclude_bad_hosts()
    except DatabaseError:
        logger.exception("hosts that fail")
    try:
        hold_failing_runs()
    except DatabaseError:
        logger.exception("runs that fail")
    refresh_stalls()
    try:
        refresh_usage()
    except DatabaseError:
        logger.exception("what runs used")
    forget_minutes(timezone.now())
    note_sweep(server_facts.measure())


def _active_workflows() -> QuerySet[Workflow]:
    """Running ones, and those just over: their last failures block jobs as well."""
    over = Q(
        status__in=[WorkflowStatus.STOPPED.value, WorkflowStatus.ERROR.value],
        status_date__gte=timezone.now() - JUST_ENDED,
    )
    return Workflow.objects.filter(Q(status=WorkflowStatus.RUNNING.value) | over)


@write_transaction
def write_minute(run: WorkflowRun, now: datetime) -> None:
    """How many jobs of each group wait in the batch queue and run, from the stored counts. With nothing live, the
    first group stands for all: that minute was looked at."""
    minute = now.replace(second=0, microsecond=0)
    lock_workflow(run.workflow_id)  # rows that name the run and its groups lock these: the same order as everybody
    groups = list(JobGroup.objects.filter(dag_id=run.workflow.dag_id).order_by("rank", "name"))
    live = [group for group in groups if group.count_i or group.count_r] or groups[:1]
    RunMinute.objects.filter(run=run, minute=minute).delete()
    RunMinute.objects.bulk_create(
        RunMinute(
            run=run, group=group, minute=minute, queued=max(0, group.count_i), running=max(0, group.count_r),
            ended=max(0, group.count_d + group.count_f),
        )
        for group in live
    )  # fmt: skip


@write_transaction
def note_sweep(facts: dict[str, object] | None = None) -> None:
    now = timezone.now()
    if SystemState.objects.filter(name="sweep").update(at=now, facts=facts) == 0:
        # Another sweep may have ended this moment.
        SystemState.objects.bulk_create([SystemState(name="sweep", at=now, facts=facts)], ignore_conflicts=True)
