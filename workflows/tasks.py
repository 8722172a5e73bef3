"""Celery tasks of three lines. Any of them may be lost, doubled or late without harm."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown

from workflows import bell, operations
from workflows.scheduling import back_ends, housekeeping, reconcile, stored_facts, tick
from workflows.scheduling.watcher import Watcher

watcher = Watcher()


@shared_task(name="workflows.tasks.advance")
def advance(*, run_id: int) -> None:
    """Move one run on. While somebody else is at it, look again soon: what rang may have come after their look."""
    if tick.advance(run_id) is None and (live := tick.find_live(run_id)) is not None:
        bell.send("workflows.tasks.advance", countdown=0.25, run_id=live)


@shared_task(name="workflows.tasks.poll")
def poll(*, executor: str) -> None:
    """Ask one executor for its listing and apply it."""
    for run_id in reconcile.reconcile(executor):
        bell.ring(run_id)


@shared_task(name="workflows.tasks.sweep")
def sweep() -> None:
    """Ring for every active run and every executor, and tidy up: makes good whatever was lost."""
    tick.release_dead_leases()
    for run_id in housekeeping.sweep():
        bell.ring(run_id)
    for name in back_ends.executor_names():
        bell.send("workflows.tasks.poll", executor=name)
    for operation_id in operations.unfinished():
        bell.send(operations.TASK, operation_id=operation_id)
    operations.remove_old_drafts()
    stored_facts.refresh_facts()


@shared_task(name=operations.TASK)
def carry_out(*, operation_id: int) -> None:
    """Work on an action on many jobs, and ring again while something is left."""
    if operations.carry_out(operation_id):
        bell.send(operations.TASK, operation_id=operation_id)


@worker_ready.connect
def start_watching(**_: Any) -> None:
    watcher.start()


@worker_shutdown.connect
def stop_watching(**_: Any) -> None:
    watcher.stop()
