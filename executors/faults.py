"""Fault points: places where tests make a process die, sleep or fail, to prove that nothing is lost there.

Armed through the environment only, before the process starts:

    JOBMON_FAULTS="after_submit:kill@3,in_kill:sleep=2"     point:action[=value][@hit], separated by commas
    JOBMON_FAULTS_ONCE=/folder                               each fault fires once, also across restarts

Actions: `kill` (SIGKILL to itself), `stop` (SIGSTOP to itself), `raise` (FaultInjected), `sleep=SECONDS`. `@N`: at the
N-th passage only, counted per process. An unarmed point costs one look into an empty dictionary.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "JOBMON_FAULTS"
ONCE_VARIABLE = "JOBMON_FAULTS_ONCE"
ACTIONS = frozenset({"kill", "stop", "raise", "sleep"})


class FaultInjected(Exception):
    """Raised by an armed point with the action `raise`."""


@dataclass(slots=True)
class Fault:
    """One armed point. `hit` is the passage at which it fires (None: every passage), `passed` counts passages."""

    action: str
    value: float = 0.0
    hit: int | None = None
    passed: int = 0


def parse(text: str) -> dict[str, Fault]:
    """Point → fault. Raises ValueError with a sentence if the text cannot be understood."""
    armed: dict[str, Fault] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        point_name, colon, rest = item.partition(":")
        rest, _, hit = rest.partition("@")
        action, _, value = rest.partition("=")
        if not colon or action not in ACTIONS:
            raise ValueError(
                f"{VARIABLE}: cannot understand {item!r}; write point:action with one of {sorted(ACTIONS)}"
            )
        armed[point_name] = Fault(action, float(value or 0), int(hit) if hit else None)
    return armed


_armed: dict[str, Fault] = parse(os.environ.get(VARIABLE, ""))


def is_armed() -> bool:
    return bool(_armed)


def arm(text: str) -> None:
    """Replace what is armed in this process; an empty text disarms everything."""
    armed = parse(text)
    _armed.clear()
    _armed.update(armed)


def point(name: str) -> None:
    """A place where a fault may be injected."""
    if not _armed:
        return
    fault = _armed.get(name)
    if fault is not None:
        _pass(name, fault)


def _pass(name: str, fault: Fault) -> None:
    fault.passed += 1
    if fault.hit is not None and fault.passed != fault.hit:
        return
    if _may_fire(name):
        _fire(name, fault)


def _may_fire(name: str) -> bool:
    """With a once-folder, the process that makes the point's file may fire; nobody after it."""
    folder = os.environ.get(ONCE_VARIABLE)
    if not folder:
        return True
    try:
        Path(folder, name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _fire(name: str, fault: Fault) -> None:
    if fault.action == "sleep":
        time.sleep(fault.value)  # noqa: TID251 - sleeping is what was asked for
    elif fault.action == "raise":
        raise FaultInjected(name)
    else:
        _signal_this_thread(signal.SIGKILL if fault.action == "kill" else signal.SIGSTOP)


def _signal_this_thread(number: int) -> None:
    """Sent to the process, a stop is taken by any of its threads, and this one would go on past the point meanwhile."""
    signal.pthread_kill(threading.get_ident(), number)
