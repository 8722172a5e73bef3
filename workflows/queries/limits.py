"""A limit of time for reads: a page that asks for too much must not hold the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection

READ_SECONDS = 2.0
_STEPS = 20_000


class TooSlow(Exception):
    """A statement was still running when the time was over."""


@contextmanager
def read_limit(seconds: float) -> Iterator[None]:
    """Give up statements that still run when the time is over (on SQLite; other databases keep their own limits)."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    raw = connection.connection
    deadline = time.monotonic() + seconds
    raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except OperationalError as error:
        if "interrupted" in str(error):
            raise TooSlow from error
        raise
    finally:
        raw.set_progress_handler(None, 0)
