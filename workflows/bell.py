"""Ringing: "look at this run". A bell may be lost, doubled or late without harm; the sweep rings for all."""

from __future__ import annotations

import logging
import time

from celery import current_app

logger = logging.getLogger(__name__)
lost_bells = 0
LOOK_AGAIN = 0.25
_soon: dict[int, float] = {}


def ring(run_id: int) -> None:
    """Ask a worker to look at the run. Never raises, never blocks for long."""
    send("workflows.tasks.advance", run_id=run_id)


def ring_soon(run_id: int) -> None:
    """Ring a little later; once, however often it is asked for until then."""
    now = time.monotonic()
    for other in [other for other, due in _soon.copy().items() if due <= now]:
        _soon.pop(other, None)
    if run_id not in _soon:
        _soon[run_id] = now + LOOK_AGAIN
        send("workflows.tasks.advance", countdown=LOOK_AGAIN, run_id=run_id)


def send(task: str, countdown: float | None = None, **kwargs: object) -> None:
    global lost_bells
    try:
        current_app.send_task(task, kwargs=kwargs, ignore_result=True, retry=False, countdown=countdown, expires=60)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises: the sweep makes good
        lost_bells += 1
        logger.warning("bell lost: %s: %s", task, error)
