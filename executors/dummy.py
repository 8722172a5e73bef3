"""An executor that runs nothing: outcomes are scripted by the command's words, time is a clock that is passed in.

A command made only of these words is a script; any other text just succeeds.

    ok  exit=CODE  signal=NUMBER  memory  runtime  lost  refused    how the attempt ends (`ok` unless said)
    until=N        the failure holds for the attempts before the Nth start of this very command
    runs=SECONDS   how long it runs            waits=SECONDS   how long it is pending before it starts
    said=TEXT      the text of stderr (of stdout, if it succeeds)

Everything lives in this process: after its restart the attempts are absent and have no token.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from executors import faults
from executors.base import (
    AttemptRef,
    ExecutorUnavailable,
    Exit,
    ExitInfo,
    Hint,
    JobSpec,
    Listed,
    Phase,
    Resources,
    SubmitResult,
    Token,
    TokenKind,
    Usage,
)
from executors.dummy_store import MemoryStore

P = ParamSpec("P")
T = TypeVar("T")
HOST = "dummy"
_KILLED = 137
_TERMINATED = 143


@dataclass(frozen=True, slots=True)
class Script:
    """What one attempt shall do. `code` None: it is lost, no exit is recorded. Times in seconds."""

    code: int | None = 0
    over: str | None = None
    is_refused: bool = False
    until: int | None = None
    runs: float = 0.0
    waits: float = 0.0
    said: str = ""


_PLAIN = Script()


def parse_script(command: str) -> Script:
    """Pure. A text with any other word is a plain success; comments do not count."""
    script = _PLAIN
    if command.startswith("#"):
        command = "\n".join(line for line in command.split("\n") if not line.startswith("#"))
    for word in command.split():
        key, _, value = word.partition("=")
        try:
            script = replace(script, **_WORDS[key](value))
        except (KeyError, ValueError):
            return _PLAIN
    return script


_WORDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "ok": lambda _: {},
    "exit": lambda value: {"code": int(value)},
    "signal": lambda value: {"code": 128 + int(value)},
    "memory": lambda _: {"code": _KILLED, "over": "memory"},
    "runtime": lambda _: {"code": _TERMINATED, "over": "runtime"},
    "lost": lambda _: {"code": None},
    "refused": lambda _: {"is_refused": True},
    "until": lambda value: {"until": int(value)},
    "runs": lambda value: {"runs": float(value)},
    "waits": lambda value: {"waits": float(value)},
    "said": lambda value: {"said": value},
}


@dataclass(slots=True)
class DummyFaults:
    """What the back end shall do wrong next. The numbers count down by one at each call they spoil; `late_exit` is how
    many seconds an exit and its hint stay unseen after the attempt has left the listing."""

    accept_but_raise: int = 0
    raise_before_accept: int = 0
    poll_fails: int = 0
    poll_is_empty: int = 0
    cancel_fails: int = 0
    late_exit: float = 0.0

    def strikes(self, name: str) -> bool:
        """Whether the fault of this name is due; counts it down."""
        left = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        return True


def locked(method: Callable[Concatenate[DummyExecutor, P], T]) -> Callable[Concatenate[DummyExecutor, P], T]:
    """One thread at a time, together with the store."""

    @wraps(method)
    def call(self: DummyExecutor, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.store.lock:
            return method(self, *args, **kwargs)

    return call


@dataclass(slots=True)
class _Attempt:
    spec: JobSpec
    script: Script
    since: float
    is_running: bool = False


class DummyExecutor:
    """Scripted attempts on the clock that is passed in (seconds). It moves on whenever it or its store is asked.
    Several threads may use it at once."""

    def __init__(
        self, name: str, clock: Callable[[], float], store: MemoryStore | None = None, slots: int = 1_000_000
    ) -> None:
        self.name = name
        self.kind = "dummy"
        self.poll_interval = 0.0
        self.grace = 0.0
        self.faults = DummyFaults()
        self.slots = slots
        self.store = store or MemoryStore()
        self.store.advance = self.advance
        self._clock = clock
        self._live: dict[str, _Attempt] = {}
        self._events: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._starts: Counter[str] = Counter()

    def plan_batches(self, resources: Sequence[tuple[Resources, str | None]]) -> list[list[int]]:
        return [[position] for position in range(len(resources))]

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        self.advance()
        faults.point("pause_before_submit")
        faults.point("submit_refused")
        result = self._accept(specs)
        faults.point("after_submit")
        with self.store.lock:
            is_struck = self.faults.strikes("accept_but_raise")
        if is_struck:
            raise ExecutorUnavailable("the dummy executor was told to fail after it has accepted")
        return result

    @locked
    def _accept(self, specs: Sequence[JobSpec]) -> SubmitResult:
        if self.faults.strikes("raise_before_accept"):
            raise ExecutorUnavailable("the dummy executor was told to fail before it accepts")
        accepted: dict[str, str] = {}
        rejected: dict[str, str] = {}
        for spec in specs:
            script = parse_script(spec.command)
            reason = "refused by its script" if script.is_refused else self.refuse(spec.resources)
            if reason is not None:
                rejected[spec.name] = reason
                continue
            accepted[spec.name] = spec.name
            if spec.name not in self._live:
                self._enter(spec, script)
        self.advance()
        return SubmitResult(accepted, rejected)

    def _enter(self, spec: JobSpec, script: Script) -> None:
        now = self.store.now
        self._live[spec.name] = _Attempt(spec, script, since=now)
        self._schedule(now + script.waits, spec.name)

    def _schedule(self, when: float, name: str) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), name))

    @locked
    def advance(self) -> None:
        """Let everything happen that is due by the clock."""
        self.store.now = now = self._clock()
        while self._events and self._events[0][0] <= now:
            when, _, name = heapq.heappop(self._events)
            attempt = self._live.get(name)
            if attempt is None:
                continue  # cancelled
            if attempt.is_running:
                self._end(attempt, when)
            else:
                self._start(attempt, when)

    def _start(self, attempt: _Attempt, now: float) -> None:
        spec = attempt.spec
        token = Token(TokenKind.START, f"dummy-{next(self._numbers)}", HOST, spec.instance_id, spec.name, now)
        if not self.store.start(spec.instance_id, token):
            del self._live[spec.name]
            return
        attempt.script = self._outcome(spec, attempt.script)
        attempt.is_running, attempt.since = True, now
        if attempt.script.runs <= 0:
            self._end(attempt, now)
        else:
            self._schedule(now + attempt.script.runs, spec.name)

    def _outcome(self, spec: JobSpec, script: Script) -> Script:
        """The script with what depends on the number of this start and on the attempt's limit."""
        if script.until is not None:
            self._starts[spec.command] += 1
            if self._starts[spec.command] >= script.until:
                script = replace(script, code=0, over=None)
        limit = spec.resources.max_runtime
        if limit is not None and script.runs > limit:
            return replace(script, code=_TERMINATED, over="runtime", runs=float(limit))
        return script

    def _end(self, attempt: _Attempt, now: float) -> None:
        spec, script = attempt.spec, attempt.script
        del self._live[spec.name]
        if script.code is None:
            return
        visible_at = now + self.faults.late_exit
        signal = script.code - 128 if 128 < script.code <= 192 else None
        usage = Usage(wallclock=now - attempt.since, cpu=0.0, maxvmem=0, io=0)
        self.store.record_exit(spec.instance_id, Exit(script.code, signal, now), visible_at, usage, script.over)
        if script.said:
            self.store.write(spec.instance_id, "stderr" if script.code else "stdout", script.said.encode() + b"\n")
        faults.point("before_hint")
        self.store.ring(Hint(spec.run_id, spec.instance_id), visible_at)

    @locked
    def poll(self) -> dict[str, Listed]:
        self.advance()
        if self.faults.strikes("poll_fails"):
            raise ExecutorUnavailable("the dummy executor was told not to answer")
        if self.faults.strikes("poll_is_empty"):
            return {}
        return {
            name: Listed(
                name,
                name,
                Phase.RUNNING if a.is_running else Phase.PENDING,
                HOST if a.is_running else None,
                "",
                a.since,
            )
            for name, a in self._live.items()
        }

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        return {}

    @locked
    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        self.advance()
        if self.faults.strikes("cancel_fails"):
            raise ExecutorUnavailable("the dummy executor was told not to cancel")
        for ref in refs:
            faults.point("in_kill")
            attempt = self._live.get(ref.name)
            if attempt is None:
                continue
            if attempt.is_running:
                attempt.script = replace(attempt.script, code=_TERMINATED, over=None)
                self._end(attempt, self.store.now)
            else:
                del self._live[ref.name]

    def find(self, refs: Sequence[AttemptRef]) -> dict[str, str]:
        listed = self.poll()
        return {ref.name: ref.name for ref in refs if ref.name in listed}

    def refuse(self, resources: Resources) -> str | None:
        if resources.slots > self.slots:
            return f"asks for {resources.slots} slots; executor {self.name} has {self.slots}. Ask for less."
        return None
