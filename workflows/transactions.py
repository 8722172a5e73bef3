"""Write transactions: the only place that opens one.

On SQLite writers queue behind two file locks, since its own busy handler starves: a writer may wait for seconds. Whoever
wants to write waits at the gate, keeps it until it is its turn, and only then lets the next one in. With the writer's lock alone
somebody who writes again and again would take it again before those who wait have woken. On MariaDB a deadlock or a lock
time-out runs the whole function again, a few times, counted.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction  # noqa: TID251

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)
RETRIES = 5
LONGEST_ABSENCE = 1.0
RETRYABLE_MYSQL = frozenset({1020, 1205, 1213, 2006, 2013})
retries_counted = 0
_lock = threading.local()


def is_retryable(error: DatabaseError | InterfaceError) -> bool:
    """Whether running the whole transaction again may help."""
    code = error.args[0] if error.args else None
    return code in RETRYABLE_MYSQL or "database is locked" in str(error)


def _lock_file() -> str | None:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or name.startswith("file:") or ":memory:" in name:
        return None
    return name + ".writer"


@contextmanager
def _writer_turn() -> Iterator[None]:
    """Wait for this process's turn to write; re-entrant, per thread."""
    path = _lock_file()
    depth = getattr(_lock, "depth", 0)
    if path is None or depth:
        yield
        return
    descriptor = _take_turn(path)
    begun = time.monotonic()
    try:
        _lock.depth = 1
        yield
    finally:
        _lock.depth = 0
        os.close(descriptor)
        _lock.held = time.monotonic() - begun


def _take_turn(path: str) -> int:
    """The descriptor of the writer's lock, held. The kernel lets go of both when a process dies."""
    gate = _open_lock(path + "-gate")
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        descriptor = _open_lock(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    finally:
        os.close(gate)


def last_turn_seconds() -> float:
    """How long this thread's last turn was; 0 where there are no turns."""
    return float(getattr(_lock, "held", 0.0))


def give_way() -> float:
    """For who writes in many transactions, between them: if others wait, stay away for as long as the last one took.
    Otherwise each of their short ones would wait for a long one. The answer is how long that was."""
    path = _lock_file()
    if path is None or connection.in_atomic_block or not _is_somebody_waiting(path):
        return 0.0
    absence = min(last_turn_seconds(), LONGEST_ABSENCE)
    threading.Event().wait(absence)
    return absence


def _is_somebody_waiting(path: str) -> bool:
    """At the gate, or beyond it already."""
    try:
        for name in (path + "-gate", path):
            descriptor = _open_lock(name)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
    except BlockingIOError:
        return True
    return False


def _open_lock(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def write_transaction(function: Callable[P, T]) -> Callable[P, T]:
    """Run the function in one write transaction, again from its start when the database asks for it. It must touch
    nothing but the database."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        global retries_counted
        if connection.in_atomic_block:
            return function(*args, **kwargs)
        for attempt in range(RETRIES):
            try:
                with _writer_turn(), transaction.atomic():
                    return function(*args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                if attempt + 1 == RETRIES or not is_retryable(error):
                    raise
                retries_counted += 1
                logger.warning("transaction %s runs again: %s", function.__name__, error)
                # There may be none: it was cut, and could not be made again before the next attempt.
                if connection.connection is not None and not connection.is_usable():
                    connection.close()
                threading.Event().wait(random.uniform(0.01, 0.1) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    return run


def on_commit(function: Callable[[], None]) -> None:
    transaction.on_commit(function)
