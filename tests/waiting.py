"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], deadline: float = 60.0, what: str = "", pause: float = 0.05) -> T:
    """Ask until the answer is true, and return it. After `deadline` seconds fails with the last answer."""
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", repr(condition))
            raise AssertionError(f"not within {deadline:g} s: {name}; the last answer was {answer!r}")
        time.sleep(pause)
