"""Ringing: "look at this run". A bell may be lost, doubled or late without harm; the sweep rings for all."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from celery import current_app

from executors import processes

logger = logging.getLogger(__name__)
lost_bells = 0
LOOK_AGAIN = 0.25
_soon: dict[int, float] = {}
_hand_over: Callable[[int, float], None] | None = None


def ring(run_id: int) -> None:
    """Ask a worker to look at the run. Never raises, never blocks for long."""
    send("workflows.tasks.advance", run_id=run_id)


def answer_here(hand_over: Callable[[int, float], None] | None) -> None:
    """This process is a worker: `hand_over` has one of its threads look at a run that was rung for at that moment of the
    monotonic clock, and raises RuntimeError when there are none any more."""
    global _hand_over
    _hand_over = hand_over


def ring_here(run_id: int) -> None:
    """For what a worker has seen itself: it need not tell itself through the broker, at many times the cost of a look.
    Elsewhere the same as `ring`."""
    if _hand_over is not None:
        try:
            _hand_over(run_id, time.monotonic())
        except RuntimeError:
            pass
        else:
            return
    ring(run_id)


def ring_soon(run_id: int) -> None:
    """Ring a little later; once, however often it is asked for until then."""
    now = time.monotonic()
    for other in [other for other, due in _soon.copy().items() if due <= now]:
        _soon.pop(other, None)
    if run_id not in _soon:
        _soon[run_id] = now + LOOK_AGAIN
        send("workflows.tasks.advance", countdown=LOOK_AGAIN, run_id=run_id)


def rung_at(request: Any) -> float:
    """When the bell was rung that a task's request carries, by this machine's monotonic clock. A bell of another machine,
    and one that says nothing, counts as rung now: nothing that was done before answers it."""
    headers = request.get("headers") or {}
    machine, moment = request.get("rung") or headers.get("rung") or ("", 0.0)
    return float(moment) if machine == _machine() else time.monotonic()


_machine = functools.cache(processes.boot_id)


def headers_at(moment: float) -> dict[str, Any]:
    """What a bell says of itself."""
    return {"rung": [_machine(), moment]}


def send(task: str, countdown: float | None = None, **kwargs: object) -> None:
    global lost_bells
    rung = headers_at(time.monotonic())
    try:
        current_app.send_task(
            task, kwargs=kwargs, headers=rung, ignore_result=True, retry=False, countdown=countdown, expires=60
        )
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises: the sweep makes good
        lost_bells += 1
        logger.warning("bell lost: %s: %s", task, error)
