"""The killer: which faults a seed means, and how they are done to a real server."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from jobmon_site.home import Home
from tests.chaos.troubles import Trouble
from tests.services import PARTS, EmbeddedServer, is_living

PAUSE = "pause_before_submit:sleep=9@1"
# Those that only the shepherd has: jobs elsewhere never pass them.
LOCAL_POINTS = ("in_recovery", "before_spawn", "after_spawn", "before_hint")
# The fault points of the path of a job on this machine, with the passage at which each fires (in one process).
POINTS = (
    "in_kill:kill@1", "after_intent_commit:kill@2", "mid_directory:kill@3", "submit_refused:raise@1",
    "after_submit:kill@1", PAUSE, "after_id_stored:kill@2", "after_exit_read:kill@2",
    "before_downstream:kill@2", "before_intent_commit:kill@1", "after_void_link:kill@1", "in_recovery:kill@1",
    "before_spawn:kill@4", "after_spawn:kill@6", "before_hint:kill@9",
)  # fmt: skip
# Fires only after an attempt was given up; the pause makes one that is.
NEEDS_A_PAUSE = "after_void_link"
START_TRIES = 4
LAST = (("kill", "worker"), ("kill", "worker"), ("kill", "shepherd"), ("kill", "redis"), ("crash", ""), ("flush", ""))
BASIC = {"kill": 6, "stop": 4, "crash": 1, "flush": 1}
TROUBLE_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` is kill, stop, crash (everything at once), flush, arm (a crash, and a start with `points` armed) or one of
    a trouble. `after`: seconds since the fault before; `seconds`: how long a stop or a trouble lasts."""

    kind: str
    after: float
    part: str = ""
    seconds: float = 0.0
    points: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind} {self.part}".strip()


def plan_faults(
    rng: random.Random, count: int, points: Sequence[str] = (), troubles: Sequence[str] = ()
) -> list[Fault]:
    """`count` faults; the first arms the points, if there are any, and after the last recovery is measured. All kinds of
    trouble together come as often as stops."""
    weights = {**BASIC, **{kind: TROUBLE_WEIGHT / len(troubles) for kind in troubles}}
    kinds = rng.choices(list(weights), weights=list(weights.values()), k=count)
    planned = [
        Fault(kind, round(rng.uniform(0.2, 1.5), 2), _choose_part(rng, kind), round(rng.uniform(0.3, 3.0), 2))
        for kind in kinds
    ]
    kind, part = rng.choice(LAST)
    planned[-1] = Fault(kind, planned[-1].after, part)
    if points:
        planned[0] = Fault("arm", planned[0].after, points=tuple(points))
    return planned


def _choose_part(rng: random.Random, kind: str) -> str:
    return rng.choice((*PARTS, "worker", "shepherd")) if kind in ("kill", "stop") else ""


def share_points(waves: int, points: Sequence[str] = POINTS) -> list[tuple[str, ...]]:
    """Every point in exactly one of the waves."""
    return [tuple(itertools.islice(points, wave, None, waves)) for wave in range(waves)]


class Killer:
    """Does faults to one server. `fired` is the folder in which points that have fired are remembered."""

    def __init__(self, server: EmbeddedServer, fired: Path, troubles: Sequence[Trouble] = ()) -> None:
        self._server = server
        self._fired = fired
        self._troubles = {kind: trouble for trouble in troubles for kind in trouble.kinds}
        self._armed: list[str] = []
        self.failed_starts = 0
        fired.mkdir(parents=True, exist_ok=True)

    def do(self, fault: Fault) -> float:
        """The time (since the epoch) at which the fault was over and repair could begin."""
        match fault.kind:
            case "kill":
                self._signal(fault.part, signal.SIGKILL)
            case "stop":
                self._pause(fault)
            case "flush":
                self._flush()
            case kind if kind in self._troubles:
                self._make_trouble(fault)
            case _:
                self._crash(fault.points)
        return time.time()

    def _signal(self, part: str, number: signal.Signals) -> int:
        """To the part, if it lives just now; its pid, or 0."""
        pid = self._server.parts.get(part, 0)
        if pid and is_living(pid):
            os.kill(pid, number)
            return pid
        return 0

    def _pause(self, fault: Fault) -> None:
        pid = self._signal(fault.part, signal.SIGSTOP)
        if pid:
            time.sleep(fault.seconds)
            if is_living(pid):
                os.kill(pid, signal.SIGCONT)

    def _make_trouble(self, fault: Fault) -> None:
        trouble = self._troubles[fault.kind]
        trouble.begin(fault.kind)
        time.sleep(fault.seconds)
        trouble.end()

    def _flush(self) -> None:
        """Everything in the broker is gone. It may be away itself: then it is empty anyway."""
        path = Home(self._server.home, self._server.home).redis_socket
        with contextlib.suppress(redis.RedisError):
            redis.Redis(unix_socket_path=str(path), socket_timeout=2.0).flushall()

    def _crash(self, points: Sequence[str]) -> None:
        """What was armed before and has not fired yet stays armed."""
        self._server.kill_everything()
        fired = self.fired_points()
        self._armed = [point for point in (*self._armed, *points) if point.partition(":")[0] not in fired]
        needs_a_pause = any(point.startswith(NEEDS_A_PAUSE) for point in self._armed)
        extra = [PAUSE] if needs_a_pause and PAUSE not in self._armed else []
        self._server.environment["JOBMON_FAULTS"] = ",".join([*self._armed, *extra])
        self._server.environment["JOBMON_FAULTS_ONCE"] = str(self._fired)
        self.start()

    def start(self) -> None:
        """As whoever supervises the server would: a start that an armed point has spoiled is tried again."""
        for left in reversed(range(START_TRIES)):
            try:
                self._server.start()
            except AssertionError:
                if not left:
                    raise
                self.failed_starts += 1
            else:
                return

    def fired_points(self) -> list[str]:
        return sorted(path.name for path in self._fired.iterdir())
