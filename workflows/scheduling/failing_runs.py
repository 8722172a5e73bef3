"""Runs of which at least half of the newest attempts failed: nothing more is submitted there until a person has looked. What
is wrong with all jobs alike is found out once, not half a million times."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from workflows import lifecycle
from workflows.executor_control import server
from workflows.models import AuditEntry, JobInstance, WorkflowRun
from workflows.state_machine import Reason, RunStatus

logger = logging.getLogger(__name__)
OWN_FAILURES = (Reason.EXIT.value, Reason.SIGNAL.value, Reason.MEMORY.value, Reason.RUNTIME.value, Reason.LOST.value)
Ended = tuple[datetime, bool]
"""When an attempt ended, and whether it failed by itself"""
_change_seen: dict[int, int] = {}


def count_failures(ended: Sequence[Ended], wanted: int) -> int:
    """How many of the newest `wanted` attempts failed; 0 while fewer have ended."""
    newest = sorted(ended, reverse=True)[:wanted]
    return sum(is_failure for _, is_failure in newest) if wanted and len(newest) == wanted else 0


def hold_failing_runs() -> list[int]:
    """Once per sweep: three small reads for each live run in which something has changed since."""
    wanted = settings.FAILING_ATTEMPTS
    if not wanted:
        return []
    live = WorkflowRun.objects.filter(status=RunStatus.RUNNING.value, stopping="", hold_reason="")
    runs = list(live.select_related("workflow"))
    for run_id in set(_change_seen) - {run.pk for run in runs}:
        del _change_seen[run_id]
    return [run.pk for run in runs if _hold_if_failing(run, wanted)]


def _hold_if_failing(run: WorkflowRun, wanted: int) -> bool:
    if _change_seen.get(run.pk) == run.workflow.change_no:
        return False
    _change_seen[run.pk] = run.workflow.change_no
    failed = count_failures(_read_ended(run, wanted), wanted)
    if failed * 2 < wanted:
        return False
    reason = (
        f"{failed:,} of the newest {wanted:,} attempts failed. See on the page of errors what they have in common, cure "
        "it, then release the run; it is looked at anew from then on."
    )
    logger.warning("run %d: %s", run.pk, reason)
    lifecycle.hold_run(run.pk, reason, server())
    return True


def _failed(run: WorkflowRun) -> QuerySet[JobInstance]:
    rows = JobInstance.objects.filter(workflow_run=run, status="E", reason__in=OWN_FAILURES)
    return rows.order_by("-job_instance_id")


def _read_ended(run: WorkflowRun, wanted: int) -> list[Ended]:
    """The newest of both kinds, by their numbers; since the last release, if there was one."""
    done = JobInstance.objects.filter(workflow_run=run, status="D").order_by("-job_instance_id")
    kinds = ((_failed(run), True), (done, False))
    since = _released_at(run)
    return [
        (ended_at, is_failure)
        for rows, is_failure in kinds
        for ended_at in rows.values_list("ended_at", flat=True)[:wanted]
        if ended_at is not None and (since is None or ended_at > since)
    ]


def is_held_by_server(run: WorkflowRun) -> bool:
    """Whether the hold is ours, not a person's."""
    holds = AuditEntry.objects.filter(workflow_id=run.workflow_id, action="hold", target=f"run {run.pk}")
    return bool(run.hold_reason) and holds.order_by("-pk").values_list("via", flat=True).first() == server().via


def _released_at(run: WorkflowRun) -> datetime | None:
    released = AuditEntry.objects.filter(workflow_id=run.workflow_id, action="release", target=f"run {run.pk}")
    return released.order_by("-pk").values_list("at", flat=True).first()
