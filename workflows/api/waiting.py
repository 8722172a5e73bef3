"""Long polls: a request waits until a workflow has changed. Few may wait at a time, so that the server stays free."""

from __future__ import annotations

import threading
import time

from workflows.models import Workflow

LONGEST = 25.0
STEP = 0.25
MOST_WAITING = 3
_places = threading.BoundedSemaphore(MOST_WAITING)
_pause = threading.Event()


def wait_for_change(workflow_id: int, known: int, seconds: float) -> None:
    """Return when the change number differs from the known one, when the time is over, or at once when too many
    wait already: the caller then answers what is."""
    if not _places.acquire(blocking=False):
        return
    try:
        deadline = time.monotonic() + min(seconds, LONGEST)
        while time.monotonic() < deadline:
            if Workflow.objects.filter(pk=workflow_id).exclude(change_no=known).exists():
                return
            _pause.wait(STEP)
    finally:
        _places.release()
