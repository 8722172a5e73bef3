"""One pass over one run, and passes until there is nothing left to do for now."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from executors.base import AttemptRef
from workflows import executor_control, lifecycle
from workflows.models import JobGroup, JobInstance, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import back_ends, epoch, owners, turns
from workflows.scheduling.collect import collect
from workflows.scheduling.ready import find_limits, select_ready
from workflows.scheduling.reconcile import cancel
from workflows.scheduling.submit import start_jobs
from workflows.state_machine import RunStatus

# A pass costs much the same for one outcome as for a hundred. While the back end has enough to do we let outcomes
# gather, for as long as it stays busy even if it ends 2,000 attempts a second; a short job in a chain is waited for.
SHORTEST_GATHER, LONGEST_GATHER, GATHER_PER_LIVE = 0.02, 0.5, 0.0005
SHORTEST_STEP, LONGEST_STEP, STEP_PER_LIVE = 0.002, 0.02, 0.0001
HOST = socket.gethostname()
_pause = threading.Event()


@dataclass(frozen=True, slots=True)
class Progress:
    """What one pass did. `needs_another_look`: it was cut short, or somebody has rung since its last look."""

    ended: int = 0
    started: int = 0
    live: int = 0
    outcome: RunStatus | None = None
    needs_another_look: bool = False

    @property
    def has_moved(self) -> bool:
        return bool(self.ended or self.started) and self.outcome is None


def advance(run_id: int, rung: float | None = None) -> Progress | None:
    """Take the run under a lease and move it on until it has to wait. None: another process is at it, or it is over.

    `rung`: when it was asked for, by the monotonic clock; a look that began later has answered it."""
    rung = time.monotonic() if rung is None else rung
    if turns.has_looked_since(run_id, rung) or not turns.take(run_id, rung):
        return Progress()
    progress = None
    try:
        progress = _advance_under_lease(run_id)
    except BaseException:
        turns.forget(run_id)
        raise
    finally:
        is_asked_again = turns.put_down(run_id)
    if progress is None:
        return None
    return replace(progress, needs_another_look=progress.needs_another_look or is_asked_again)


def _advance_under_lease(run_id: int) -> Progress | None:
    owner = f"{HOST}:{os.getpid()}:{threading.get_ident()}"
    fence = lifecycle.acquire_lease(run_id, owner, settings.LEASE_SECONDS)
    if fence is None:
        if find_live(run_id) != run_id:
            collect(run_id)  # what a run that is over left behind: adopted by the next one, or late
        return None
    try:
        return _advance_for_a_while(run_id, fence)
    finally:
        lifecycle.release_lease(run_id, owner)


def release_dead_leases() -> int:
    """Leases of processes of this machine that are no more: their runs need not wait until the leases expire."""
    held = WorkflowRun.objects.filter(status=RunStatus.RUNNING.value, lease_owner__startswith=f"{HOST}:")
    released = 0
    for run_id, owner in held.values_list("pk", "lease_owner"):
        if not Path(f"/proc/{owner.split(':')[1]}").exists():
            lifecycle.release_lease(run_id, owner)
            released += 1
    return released


def find_live(run_id: int) -> int | None:
    """The live run of this run's workflow: itself, or the one that took its attempts over."""
    live = WorkflowRun.objects.filter(workflow__runs=run_id, status=RunStatus.RUNNING.value)
    return live.values_list("pk", flat=True).first()


def _advance_for_a_while(run_id: int, fence: int) -> Progress:
    begun = time.monotonic()
    ended = started = 0
    while True:
        turns.note_look(run_id)
        progress = tick(run_id, fence)
        ended, started = ended + progress.ended, started + progress.started
        longest = min(turns.longest_turn(), settings.LEASE_SECONDS / 3)
        is_late = progress.has_moved and time.monotonic() > begun + longest
        if is_late or not progress.has_moved or not gather(run_id, progress.live):
            return Progress(ended, started, progress.live, progress.outcome, is_late)


def gather(run_id: int, live: int) -> bool:
    """Wait until a good part of what is live has ended, or for as long as the back end has enough to do. False: nothing
    has ended meanwhile, the watcher takes over."""
    if not live:
        return True
    step = min(max(live * STEP_PER_LIVE, SHORTEST_STEP), LONGEST_STEP)
    until = time.monotonic() + min(max(live * GATHER_PER_LIVE, SHORTEST_GATHER), LONGEST_GATHER)
    while True:
        hinted = sum(store.count_hints()[run_id] for store in back_ends.stores())
        if hinted > live // 2 or time.monotonic() >= until:
            return hinted > 0
        _pause.wait(step)


def tick(run_id: int, fence: int | None = None) -> Progress:
    """Learn what has ended, start what may start, close the run if it is over. With a `fence` it starts nothing once
    somebody else has taken the lease."""
    ended = collect(run_id)
    run = WorkflowRun.objects.select_related("workflow", "workflow__owner").get(pk=run_id)
    if run.status != RunStatus.RUNNING:
        return Progress(ended)
    stop_if_out_of_time(run)
    if run.stopping == "kill":
        cancel_live(run)
    limits = find_limits(run)
    jobs = select_ready(run, limits) if _may_start(run) and epoch.may_start() else []
    started = start_jobs(run, jobs, fence, limits.most_live) if jobs else 0
    live = limits.live + started
    if live or (ended and started):
        return Progress(ended, started, live)
    return Progress(ended, started, live, lifecycle.finish_if_over(run_id))


def _may_start(run: WorkflowRun) -> bool:
    is_backing_off = run.backoff_until is not None and run.backoff_until > timezone.now()
    if run.stopping or run.hold_reason or is_backing_off or not run.workflow.owner.is_active:
        return False
    return not (run.workflow.fail_fast and has_failed_jobs(run)) and owners.may_start(run)


def has_failed_jobs(run: WorkflowRun) -> bool:
    return JobGroup.objects.filter(dag_id=run.workflow.dag_id, count_f__gt=0).exists()


def stop_if_out_of_time(run: WorkflowRun) -> None:
    """A run that outlives its time limit is killed."""
    limit = run.workflow.seconds_until_timeout
    if limit is None or run.stopping == "kill" or timezone.now() < run.created_date + timedelta(seconds=limit):
        return
    lifecycle.ask_stop(run.pk, "kill", replace(executor_control.server(), via="time-out"))
    run.stopping = "kill"


def cancel_live(run: WorkflowRun) -> None:
    """Ask the executors to end what is live; the poller repeats it until they are gone."""
    rows = JobInstance.objects.filter(workflow_run=run, status__in=LIVE_LETTERS).values_list(
        "executor_type", "job_instance_id", "name", "executor_id", "submitted_date"
    )
    by_executor: dict[str, list[AttemptRef]] = {}
    for name, instance_id, attempt_name, executor_id, submitted in rows:
        by_executor.setdefault(name, []).append(
            AttemptRef(instance_id, attempt_name, executor_id, submitted.timestamp())
        )
    for name, refs in by_executor.items():
        cancel(back_ends.get(name), refs)
