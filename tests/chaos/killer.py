"""The killer: does faults to a real server, and says which of them met something."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import redis

from jobmon_site.home import Home
from tests.chaos.plan import NEEDS_A_PAUSE, PAUSE, SLEEP, SUPERVISOR, Fault
from tests.chaos.troubles import Trouble
from tests.services import EmbeddedServer, is_living

START_SECONDS = 90.0
STRIKE_SECONDS = 20.0  # until a fault that has met nothing counts as missed
SUBMIT_SECONDS = 8.0  # from the submitter's waking until the wrapper has come
WAKE_SECONDS = 25.0  # from the start of the server until the first submission
LOOK = 0.1
# One thread for as long as this process lives: what a thread has started gets SIGTERM when the thread ends.
LASTING = ThreadPoolExecutor(1)


@dataclass(frozen=True, slots=True)
class Strike:
    """What became of a fault. `at`: the time (since the epoch) from which the server could repair it."""

    name: str
    has_struck: bool
    at: float


class Killer:
    """`fired`: the folder in which points that have fired are remembered, for each wave anew. `find_late_wrappers`:
    the attempts whose wrapper came when they had been given up; None where nothing shows them."""

    def __init__(
        self,
        server: EmbeddedServer,
        fired: Path,
        troubles: Sequence[Trouble] = (),
        find_late_wrappers: Callable[[], set[int]] | None = None,
    ) -> None:
        self._server = server
        self._fired = fired
        self._troubles = {kind: trouble for trouble in troubles for kind in trouble.kinds}
        self._find_late_wrappers = find_late_wrappers
        self._armed: list[str] = []
        self._wave = 0
        self.failed_starts = 0
        self.late_wrappers: set[int] = set()

    def begin_wave(self, wave: int) -> None:
        self._wave = wave
        for phase in ("pause", "points"):
            self._folder(phase).mkdir(parents=True, exist_ok=True)

    def _folder(self, phase: str) -> Path:
        return self._fired / str(self._wave) / phase

    def do_all(self, faults: Sequence[Fault]) -> list[Strike]:
        """One, or one that lasts and another one in the middle of it."""
        if len(faults) == 1:
            return [self.do(faults[0])]
        waiting = LASTING.submit(self.do, faults[0])
        strikes: list[Strike] = []
        for fault in faults[1:]:
            time.sleep(fault.after)
            strikes.append(self.do(fault))
        return [waiting.result(), *strikes]

    def do(self, fault: Fault) -> Strike:
        match fault.kind:
            case "kill" if fault.part == SUPERVISOR:
                has_struck, at = self._kill_supervisor()
            case "kill":
                has_struck, at = self._signal(fault.part, signal.SIGKILL) > 0, time.time()
            case "stop" | "sleep":
                has_struck, at = self._stop(fault)
            case "flush":
                has_struck, at = self._flush()
            case "pause":
                has_struck, at = self._pause()
            case kind if kind in self._troubles:
                has_struck, at = self._make_trouble(fault)
            case _:
                has_struck, at = True, self._crash(fault.points)
        return Strike(fault.name, has_struck, at)

    def _signal(self, part: str, number: signal.Signals) -> int:
        """To the part as soon as it lives; its pid, or 0 if it does not come."""
        deadline = time.monotonic() + STRIKE_SECONDS
        while time.monotonic() < deadline:
            pid = self._server.parts.get(part, 0)
            if pid and is_living(pid):
                os.kill(pid, number)
                return pid
            time.sleep(LOOK)
        return 0

    def _stop(self, fault: Fault) -> tuple[bool, float]:
        pid = self._signal(fault.part, signal.SIGSTOP)
        if not pid:
            return False, time.time()
        time.sleep(fault.seconds)
        has_slept = is_living(pid)  # one that was killed meanwhile did not sleep to the end
        if has_slept:
            os.kill(pid, signal.SIGCONT)
        return has_slept, time.time()

    def _make_trouble(self, fault: Fault) -> tuple[bool, float]:
        """As long as is planned, and longer if it has met nothing yet."""
        trouble = self._troubles[fault.kind]
        try:
            trouble.begin(fault.kind)
            time.sleep(fault.seconds)
            deadline = time.monotonic() + STRIKE_SECONDS
            while not (has_struck := trouble.has_struck()) and time.monotonic() < deadline:
                time.sleep(LOOK)
        finally:
            trouble.end()
        return has_struck, time.time()

    def _flush(self) -> tuple[bool, float]:
        """Everything in the broker is gone. It may be away itself for a moment."""
        path = Home(self._server.home, self._server.home).redis_socket
        deadline = time.monotonic() + STRIKE_SECONDS
        while time.monotonic() < deadline:
            try:
                redis.Redis(unix_socket_path=str(path), socket_timeout=2.0).flushall()
            except redis.RedisError:
                time.sleep(LOOK)
            else:
                return True, time.time()
        return False, time.time()

    def _kill_supervisor(self) -> tuple[bool, float]:
        """Alone: its parts learn of it from the kernel, and end in their own way while the next ones start."""
        process = self._server.process
        assert process is not None
        has_struck = process.poll() is None
        process.kill()
        process.wait()
        at = time.time()
        self.start()
        return has_struck, at

    def _crash(self, points: Sequence[str]) -> float:
        """What was armed before and has not fired yet stays armed. Repair begins with the start."""
        fired = {path.name for path in self._folder("points").iterdir()}
        self._armed = [one for one in self._armed if one.partition(":")[0] not in fired]
        names = {point.partition(":")[0] for point in points}
        self._armed = [*(one for one in self._armed if one.partition(":")[0] not in names), *points]
        needs_a_pause = any(point.startswith(NEEDS_A_PAUSE) for point in self._armed)
        has_one = any(point.startswith(PAUSE.partition(":")[0]) for point in self._armed)
        return self._start_with([*self._armed, *([PAUSE] if needs_a_pause and not has_one else [])], "points")

    def _start_with(self, points: Sequence[str], phase: str) -> float:
        self._server.kill_everything()
        at = time.time()
        self._server.environment["JOBMON_FAULTS"] = ",".join(points)
        self._server.environment["JOBMON_FAULTS_ONCE"] = str(self._folder(phase))
        self.start()
        return at

    def _pause(self) -> tuple[bool, float]:
        """On a busy machine nobody may give the attempts up in time. Then it is tried again: a session must have seen a
        wrapper run into the void."""
        has_struck, at = self._put_submitter_to_sleep()
        if not has_struck and not self.late_wrappers:
            has_struck, at = self._put_submitter_to_sleep()
        return has_struck, at

    def _put_submitter_to_sleep(self) -> tuple[bool, float]:
        """A thread of the worker sleeps between intent and submission, longer than the others wait until they give its
        attempts up. Nothing else happens until it has woken and submitted them all the same."""
        before = self._find_late_wrappers() if self._find_late_wrappers else set()
        for path in self._folder("pause").iterdir():
            path.unlink()
        self._start_with([PAUSE], "pause")
        deadline = time.monotonic() + WAKE_SECONDS
        while not self.fired_points("pause") and time.monotonic() < deadline:
            time.sleep(LOOK)
        if not self.fired_points("pause"):
            return False, time.time()
        deadline = time.monotonic() + SLEEP + (SUBMIT_SECONDS if self._find_late_wrappers else 1.0)
        while time.monotonic() < deadline:
            found = self._find_late_wrappers() - before if self._find_late_wrappers else set()
            self.late_wrappers |= found
            if found:
                return True, time.time()
            time.sleep(LOOK)
        return self._find_late_wrappers is None, time.time()

    def start(self) -> None:
        """As whoever supervises the server would: a start that was spoiled by a point or another fault is tried again."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._server.start()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                self.failed_starts += 1
                time.sleep(LOOK)
            else:
                return

    def fired_points(self, phase: str = "points") -> list[str]:
        """Those of this wave."""
        return sorted(path.name for path in self._folder(phase).iterdir())
