"""A limit of time for reads: whoever asks for too much must not hold the server. It costs no statement: on SQLite a
callback of the connection, on MariaDB and MySQL a few words in the statement itself."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import OperationalError, connection

T = TypeVar("T")
READ_SECONDS = 2.0
EXPORT_SECONDS = 30.0  # for each piece of it
BOX_SECONDS = 0.8  # for each statement of one part of a page: two of them leave time for the rest
_STEPS = 20_000
_OVER_TIME = frozenset({1969, 3024})  # MariaDB, MySQL
_READ = re.compile(r"[\s(]*(SELECT|WITH)\b", re.IGNORECASE)
_SELECT = re.compile(r"\bSELECT\b", re.IGNORECASE)
_open = threading.local()  # `clock`: the innermost limit of this thread


class TooSlow(Exception):
    """A statement was still running when the time was over."""


def is_over_time(error: BaseException) -> bool:
    """Whether this is what the database says of a statement that it gave up for the limit, or what is made of it."""
    if isinstance(error, TooSlow):
        return True
    code = error.args[0] if error.args else None
    return isinstance(error, OperationalError) and (code in _OVER_TIME or "interrupted" in str(error))


@dataclass(slots=True)
class _Clock:
    """The time that is left: of all statements together, or of each; inside another limit never more than that has."""

    seconds: float
    is_for_each: bool
    deadline: float
    outer: _Clock | None
    is_mariadb: bool = False

    def is_over(self) -> bool:
        return self.left() < 0

    def left(self) -> float:
        left = self.deadline - time.monotonic()
        return left if self.outer is None else min(left, self.outer.left())

    def begin_statement(self) -> None:
        if self.is_for_each:
            self.deadline = time.monotonic() + self.seconds
        if self.outer is not None:
            self.outer.begin_statement()


def _run(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """As Django's execute wrappers do it."""
    clock: _Clock = _open.clock
    clock.begin_statement()
    if _READ.match(sql):
        if clock.seconds <= 0:
            raise TooSlow
        if connection.vendor == "mysql":
            left = clock.left()
            if left <= 0:
                raise TooSlow
            sql = limit_statement(sql, left, clock.is_mariadb)
    return execute(sql, params, many, context)


def limit_statement(sql: str, seconds: float, is_mariadb: bool) -> str:
    """The same statement, which gives up by itself."""
    if is_mariadb:
        return f"SET STATEMENT max_statement_time={max(seconds, 0.001):.3f} FOR {sql}"
    return _SELECT.sub(f"SELECT /*+ MAX_EXECUTION_TIME({max(1, int(seconds * 1000))}) */", sql, count=1)


@contextmanager
def read_limit(seconds: float, *, is_for_each: bool = False) -> Iterator[None]:
    """Give up statements that still run when the time is over, of all together or of each. Raises TooSlow."""
    outer: _Clock | None = getattr(_open, "clock", None)
    clock = _Clock(seconds, is_for_each, time.monotonic() + seconds, outer)
    try:
        # Asked before the wrapper is there: a new connection finds it out by a statement, which would ask again.
        clock.is_mariadb = connection.vendor == "mysql" and connection.mysql_is_mariadb  # type: ignore[attr-defined]
        wrapped = connection.execute_wrapper(_run) if outer is None else nullcontext()
        with _progress_watched(clock), wrapped:
            _open.clock = clock
            yield
    except OperationalError as error:
        if is_over_time(error):
            raise TooSlow from error
        raise
    finally:
        _open.clock = outer


def read_box(read: Callable[[], T]) -> T | None:
    """What one part of a page shows; None where reading it took too long: then it alone is left out."""
    try:
        with read_limit(BOX_SECONDS, is_for_each=True):
            return read()
    except TooSlow:
        return None


@contextmanager
def _progress_watched(clock: _Clock) -> Iterator[None]:
    """SQLite asks now and then whether to go on."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    raw = connection.connection
    raw.set_progress_handler(clock.is_over, _STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(clock.outer.is_over if clock.outer else None, _STEPS if clock.outer else 0)


def limit_each(pieces: Iterable[T], seconds: float) -> Iterator[T]:
    """The same pieces, each within its time; whatever else is read between them is not limited. Raises TooSlow."""
    left = iter(pieces)
    while True:
        with read_limit(seconds):
            try:
                piece = next(left)
            except StopIteration:
                return
        yield piece
