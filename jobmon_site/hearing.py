"""Whether a worker hears what is rung for it.

A worker can be connected to the broker and deaf (celery #8030, #8091), stopped or stuck. A task that begins proves that
it hears; when none has begun for a while it calls itself, through a queue of its own. What it hears it tells its
supervisor, which ends a worker that stays silent, and a row of its own, for people. One that has been deaf from its start
has nothing in hand and ends itself much sooner.

A worker also ends itself when one of its tasks does not end: no thread can be ended from outside, Celery's time limits
do not count in a pool of threads, and what the task was about stands still until then.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.utils.nodenames import worker_direct
from django.db import close_old_connections
from django.db.utils import DatabaseError, InterfaceError

from jobmon_site.readiness import announce_life

logger = logging.getLogger(__name__)
CALL = "workflows.tasks.hear"
QUIET_SECONDS = 10.0
ROW_SECONDS = 10.0
LOOK_SECONDS = 5.0
UNHEARD_CALLS = 3
LONGEST_TASK = 600.0  # commands, the database and Redis have time-outs far below it


def _end_process() -> None:
    os._exit(1)


class Hearing:
    """One per worker process."""

    def __init__(self, app: Celery, leave: Callable[[], None] = _end_process) -> None:
        self._app = app
        self._leave = leave
        self._name = ""
        self._has_heard = False
        self._unheard = 0
        self._heard_at = 0.0
        self._written_at = 0.0
        self._begun: dict[str, tuple[float, str]] = {}
        self._stop = threading.Event()

    def start(self, name: str) -> None:
        self._name = name
        self._give_sign(time.monotonic())
        threading.Thread(target=self._watch, name="hearing", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def begin_task(self, task_id: str, name: str, *, is_heard: bool = True) -> None:
        """`is_heard`: it came from the broker. What the worker does by itself says nothing of its ears."""
        self._begun[task_id] = (time.monotonic(), name)
        if is_heard:
            self.note()

    def end_task(self, task_id: str) -> float:
        """How many seconds it took."""
        now = time.monotonic()
        return now - self._begun.pop(task_id, (now, ""))[0]

    def note(self) -> None:
        """A task has begun. At most once a second: there may be hundreds of them."""
        self._has_heard, self._unheard = True, 0
        now = time.monotonic()
        if now - self._heard_at >= 1.0:
            self._give_sign(now)

    def _give_sign(self, now: float) -> None:
        self._heard_at = now
        announce_life()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.step(time.monotonic())

    def step(self, now: float) -> None:
        """Call, if nothing was heard for a while. Without a broker there is nothing to hear: that is no deafness."""
        self._end_if_hung(now)
        if now - self._heard_at >= QUIET_SECONDS:
            self._call_itself(now)
        if now - self._written_at >= ROW_SECONDS and now - self._heard_at < QUIET_SECONDS + LOOK_SECONDS:
            self._written_at = now
            self._write_row()

    def _end_if_hung(self, now: float) -> None:
        hung = [name for begun, name in list(self._begun.values()) if now - begun > LONGEST_TASK]
        if hung:
            minutes = LONGEST_TASK / 60
            words = "worker %s: %s has not ended for %.0f minutes; the worker ends, to be started again"
            logger.error(words, self._name, hung[0], minutes)
            self._leave()

    def _call_itself(self, now: float) -> None:
        if not self._has_heard and self._unheard >= UNHEARD_CALLS:
            logger.error("worker %s has heard nothing since it started; it ends, to be started again", self._name)
            self._leave()
        elif self._call():
            self._unheard += 1
        else:
            self._give_sign(now)

    def _call(self) -> bool:
        """Whether the broker took the call."""
        options: dict[str, Any] = {"ignore_result": True, "retry": False, "expires": QUIET_SECONDS}
        options["queue"] = worker_direct(self._name)
        try:
            self._app.send_task(CALL, **options)
        except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
            logger.warning("worker %s cannot call itself: %s", self._name, error)
            return False
        return True

    def _write_row(self) -> None:
        from workflows.scheduling.workers import note_worker  # noqa: PLC0415 - models need the settings first

        try:
            note_worker(self._name)
        except (DatabaseError, InterfaceError, OSError) as error:
            logger.warning("worker %s cannot write its row: %s", self._name, error)
        finally:
            close_old_connections()
