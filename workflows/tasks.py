"""Celery tasks of three lines. Any of them may be lost, doubled or late without harm."""

from __future__ import annotations

import functools
from typing import Any

from celery import shared_task
from celery.concurrency.thread import TaskPool
from celery.signals import worker_ready, worker_shutdown
from django.db import close_old_connections

from workflows import bell, collecting, operations, owner_logs
from workflows.notices import delivery
from workflows.scheduling import back_ends, epoch, housekeeping, owners, reconcile, set_clock, stored_facts, tick
from workflows.scheduling.watcher import Watcher

watcher = Watcher()


@shared_task(name="workflows.tasks.advance", bind=True)
def advance(self: Any, *, run_id: int) -> None:
    """Move one run on. While another process is at it, look again soon: what rang may have come after their look."""
    progress = tick.advance(run_id, bell.rung_at(self.request))
    if progress is None and (live := tick.find_live(run_id)) is not None:
        bell.ring_soon(live)
    elif progress is not None and progress.needs_another_look:
        bell.ring_here(run_id)


@shared_task(name="workflows.tasks.poll")
def poll(*, executor: str) -> None:
    """Ask one executor for its listing and apply it."""
    for run_id in reconcile.reconcile(executor):
        bell.ring_here(run_id)


@shared_task(name="workflows.tasks.sweep")
def sweep() -> None:
    """Ring for every active run and every executor, and tidy up: makes good whatever was lost."""
    set_clock.take_back_future()
    tick.release_dead_leases()
    for run_id in housekeeping.sweep():
        bell.ring(run_id)
    for name in back_ends.executor_names():
        bell.send("workflows.tasks.poll", executor=name)
    for operation_id in operations.unfinished():
        bell.send(operations.TASK, operation_id=operation_id)
    operations.remove_old_drafts()
    owner_logs.remove_old()
    stored_facts.refresh_facts()
    for task, user_id in delivery.sweep_mail():
        bell.send(task, user_id=user_id)
    epoch.move_on()


@shared_task(name=operations.TASK)
def carry_out(*, operation_id: int) -> None:
    """Work on an action on many jobs, or collect them first, and ring again while something is left."""
    if collecting.collect(operation_id) or operations.carry_out(operation_id):
        bell.send(operations.TASK, operation_id=operation_id)


@shared_task(name=delivery.DELIVER_TASK)
def deliver(*, user_id: int) -> None:
    """Send one person the mail that waits for them."""
    delivery.deliver(user_id)


@shared_task(name=delivery.CONFIRM_TASK)
def send_code(*, user_id: int) -> None:
    """Send the link that proves an address."""
    delivery.send_code(user_id)


@shared_task(name="workflows.tasks.hear")
def hear() -> None:
    """A worker's call to itself: that it begins is all there is to it (see jobmon_site/hearing.py)."""


@shared_task(name=owner_logs.TASK)
def read_log(*, piece_id: int) -> None:
    """Read a piece of a log as its owner."""
    owners.read_log(piece_id)


def hand_over(pool: TaskPool, run_id: int, rung: float) -> None:
    """One of the worker's own threads looks, as soon as it can."""
    pool.apply_async(look, (run_id, rung), callback=lambda _: None)


def look(run_id: int, rung: float) -> None:
    """The task without a message. It keeps the thread's connection to the database, which a task of the broker closes."""
    close_old_connections()
    advance.apply(kwargs={"run_id": run_id}, headers=bell.headers_at(rung))


@worker_ready.connect
def start_watching(sender: Any, **_: Any) -> None:
    if isinstance(sender.pool, TaskPool):  # other pools have processes, in which nothing is known of this one's looks
        bell.answer_here(functools.partial(hand_over, sender.pool))
    watcher.start()


@worker_shutdown.connect
def stop_watching(**_: Any) -> None:
    watcher.stop()
    bell.answer_here(None)
