"""A thread of each worker that listens for hints and rings, and rings for polls that are due.

A hint is a level, not an edge: it stays until its outcome is committed, so a lost bell is rung again."""

from __future__ import annotations

import logging
import threading
import time

from django.db import close_old_connections
from django.db.models import Exists, OuterRef, Q
from django.db.utils import DatabaseError
from django.utils import timezone

from workflows import bell
from workflows.models import JobInstance, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import back_ends, turns
from workflows.scheduling.set_clock import SweepWatch
from workflows.state_machine import RunStatus

logger = logging.getLogger(__name__)
BUSY_PAUSE = 0.01
SHARED_PAUSE = 0.025  # while a run is being advanced, which looks for itself
CALM_PAUSE = 0.05
IDLE_PAUSE = 0.5
LOOK_EVERY = 1.0
RING_GAP = 0.025
LONGEST_GAP = 1.0
STALL_SECONDS = 3.0
SWEEP_LOOK_EVERY = 15.0
MOST_STALLED = 100


def find_stalled() -> list[int]:
    """Runs in which nothing is live and that nobody advances: nothing in them will ring. Their bell may have been lost
    with the broker or a worker; they need not wait for the sweep."""
    now = timezone.now()
    waits = Q(backoff_until__gt=now) | ~Q(hold_reason="")
    live = JobInstance.objects.filter(workflow_run=OuterRef("pk"), status__in=LIVE_LETTERS)
    runs = WorkflowRun.objects.filter(~waits, ~Exists(live), status=RunStatus.RUNNING.value, lease_owner="")
    return list(runs.order_by("pk").values_list("pk", flat=True)[:MOST_STALLED])


class Watcher:
    """One instance per worker process."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._rung: dict[int, tuple[float, float, frozenset[int]]] = {}
        self._busy_until = 0.0
        self._has_live = False
        self._next_look = 0.0
        self._next_stall_look = 0.0
        self._sweeps = SweepWatch()
        self._next_sweep_look = 0.0
        self._next_poll: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self.step(time.monotonic())
            except (OSError, DatabaseError) as error:
                logger.warning("watcher: %s", error)
                close_old_connections()
                pause = LOOK_EVERY
            self._stop.wait(pause)

    def step(self, now: float) -> float:
        """Look once; how long to wait before the next look."""
        if now >= self._next_look:
            self._look_for_live(now)
        if now >= self._next_sweep_look:
            self._next_sweep_look = now + SWEEP_LOOK_EVERY
            self._sweeps.look(now)
        if not self._has_live and now >= self._busy_until:
            return IDLE_PAUSE
        if self._ring_for_hints(now):
            self._busy_until = now + 5.0
        if now >= self._busy_until:
            return CALM_PAUSE
        return SHARED_PAUSE if turns.in_hand else BUSY_PAUSE

    def _look_for_live(self, now: float) -> None:
        self._next_look = now + LOOK_EVERY
        live = [name for name in back_ends.executor_names() if self._has_attempts(name)]
        was_idle = not self._has_live
        self._has_live = bool(live) or WorkflowRun.objects.filter(status=RunStatus.RUNNING.value).exists()
        if self._has_live and was_idle:
            self._busy_until = now + 5.0
        if self._has_live and now >= self._next_stall_look:
            self._next_stall_look = now + STALL_SECONDS
            for run_id in find_stalled():
                bell.ring_here(run_id)
        for name in live:
            if now >= self._next_poll.get(name, 0.0):
                self._next_poll[name] = now + max(1.0, back_ends.get(name).poll_interval)
                bell.send("workflows.tasks.poll", executor=name)

    def _has_attempts(self, name: str) -> bool:
        return JobInstance.objects.filter(executor_type=name, status__in=LIVE_LETTERS).exists()

    def _ring_for_hints(self, now: float) -> bool:
        hinted: dict[int, set[int]] = {}
        for store in back_ends.stores():
            counts = store.count_hints()
            for run_id in counts:
                hinted.setdefault(run_id, set())
            if counts.keys() <= turns.in_hand:  # they look for themselves
                continue
            for hint in store.hints():
                hinted.setdefault(hint.run_id, set()).add(hint.instance_id)
        for run_id in [run_id for run_id in self._rung if run_id not in hinted]:
            del self._rung[run_id]
        for run_id, instance_ids in hinted.items():
            self._ring(run_id, frozenset(instance_ids), now)
        return bool(hinted)

    def _ring(self, run_id: int, instance_ids: frozenset[int], now: float) -> None:
        """At once for something new, then ever more seldom while nobody has looked or the same hints stay unanswered."""
        if run_id in turns.in_hand:
            return
        last, gap, seen = self._rung.get(run_id, (0.0, RING_GAP, frozenset()))
        is_new = not instance_ids <= seen and (not last or turns.has_looked_since(run_id, last))
        if now - last < (RING_GAP if is_new else gap):
            return
        self._rung[run_id] = (now, RING_GAP if is_new else min(gap * 2, LONGEST_GAP), instance_ids)
        bell.ring_here(run_id)
