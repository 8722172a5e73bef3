"""Back ends for the contract: a dummy on a clock of its own, and a real shepherd with real jobs."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from executors import processes
from executors.base import AttemptRef, Evidence, ExecutorUnavailable, JobSpec, Phase, Resources
from executors.dummy import DummyExecutor
from executors.local import LocalExecutor, SequentialExecutor, shepherd_command
from executors.local_spool import LocalSpool
from executors.script import ATTEMPT_VARIABLE

_RESOURCE_FIELDS = {field.name for field in fields(Resources)}
DEADLINE = 60.0
# For a shepherd's environment: after the first start it stops, until somebody continues it.
STANDS_STILL = {"JOBMON_FAULTS": "after_spawn:stop@1"}


def wait_until(condition: Callable[[], object], what: str = "the condition", seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds:g} s"
        time.sleep(0.01)


def is_stopped(pid: int) -> bool:
    return ") T " in Path(f"/proc/{pid}/stat").read_text()


class Specs:
    """Makes attempts with numbers and names of their own."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self.made: list[JobSpec] = []

    def make(self, command: str, given: Mapping[str, Any]) -> JobSpec:
        number = next(self._numbers)
        name = f"{self._prefix}-{number}"
        wanted = {"mem_free": 0.01} | {key: value for key, value in given.items() if key in _RESOURCE_FIELDS}
        others = {key: value for key, value in given.items() if key not in _RESOURCE_FIELDS}
        spec = JobSpec(number, 7, name, name, 0, command, Resources(**wanted), **others)
        self.made.append(spec)
        return spec


class DummyHarness:
    """Time moves on only when a test waits."""

    uid = os.getuid()

    def __init__(self) -> None:
        self.now = 1000.0
        self.executor = DummyExecutor("dummy", clock=lambda: self.now)
        self._specs = Specs("dummy")

    def spec(self, command: str, **given: object) -> JobSpec:
        return self._specs.make(command, given)

    def wait_for_end(self, names: Sequence[str]) -> None:
        for _ in range(100):
            if not set(names) & set(self.executor.poll()):
                return
            self.now += 1
        raise AssertionError(f"still listed: {set(names) & set(self.executor.poll())}")

    def wait_for_phase(self, name: str, phase: Phase) -> None:
        assert self.executor.poll()[name].phase is phase

    def exits(self, code: int) -> str:
        return f"exit={code}"

    def dies(self, signal: int) -> str:
        return f"signal={signal}"

    def lasts(self) -> str:
        return "runs=1000"

    def submit_pending(self) -> JobSpec:
        spec = self.spec("waits=5")
        self.executor.submit([spec])
        return spec

    def let_start(self, spec: JobSpec) -> None:
        self.now += 10

    def break_back_end(self) -> None:
        faults = self.executor.faults
        faults.poll_fails = faults.raise_before_accept = faults.cancel_fails = 100


class LocalHarness:
    """A shepherd of its own with real jobs. `prefix` makes the attempts' names unique on this machine."""

    uid = os.getuid()

    def __init__(
        self,
        folder: Path,
        kind: type[LocalExecutor] = LocalExecutor,
        *,
        slots: int = 2,
        memory: float = 4.0,
        grace: float = 0.5,
        environment: Mapping[str, str] | None = None,
        root: Path | None = None,
    ) -> None:
        self.root = root or folder / "spool"
        self.sockets = folder / "sockets"
        self.spool = LocalSpool(self.root)
        self.spool.create()
        self.executor = kind(kind.queue, self.spool, self.sockets, slots=slots, memory=memory, timeout=DEADLINE)
        self._arguments = [*shepherd_command(self.root, self.sockets, slots, memory), "--grace", str(grace)]
        self._environment = dict(environment or {})
        self._specs = Specs(f"t{os.getpid()}-{os.urandom(4).hex()}")
        self._blocker: JobSpec | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    # the shepherd

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            self._arguments, env={**self._environment, **(environment or {})}, start_new_session=True
        )
        wait_until(self.is_up, "the shepherd")

    def is_up(self) -> bool:
        assert self.process is not None
        try:
            return self.executor._client.ask("ping")["pid"] == self.process.pid
        except ExecutorUnavailable:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the shepherd by a signal and wait for it."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def restart(self, number: int = signal.SIGKILL) -> None:
        self.stop(number)
        self.start()

    def ping(self) -> dict[str, Any]:
        return self.executor._client.ask("ping")

    def close(self) -> None:
        """End the shepherd and every process of every attempt made here."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        names = {spec.name for spec in self._specs.made}
        wait_until(lambda: not self._kill_jobs(names), "the end of all jobs")

    def _kill_jobs(self, names: set[str]) -> list[int]:
        mine = [p.pid for p in processes.list_marked(ATTEMPT_VARIABLE) if p.mark in names]
        processes.send_signal(mine, signal.SIGKILL)
        return mine

    def processes_of(self, spec: JobSpec) -> list[int]:
        return [p.pid for p in processes.list_marked(ATTEMPT_VARIABLE) if p.mark == spec.name]

    # the contract's words

    def spec(self, command: str, **given: object) -> JobSpec:
        return self._specs.make(command, given)

    def wait_for_end(self, names: Sequence[str]) -> None:
        wait_until(lambda: not set(names) & set(self.executor.poll()), f"the end of {names}")

    def wait_for_phase(self, name: str, phase: Phase) -> None:
        def is_there() -> bool:
            listed = self.executor.poll().get(name)
            return listed is not None and listed.phase is phase

        wait_until(is_there, f"{name} {phase}")
        if phase is Phase.RUNNING:  # listed from its start on; the token follows within milliseconds
            number = next(spec.instance_id for spec in self._specs.made if spec.name == name)
            self.wait_for_token(number)

    def wait_for_token(self, number: int) -> None:
        """All of it: a file is there before its first line is."""

        def is_whole() -> bool:
            token = self.spool.read([number]).get(number, Evidence()).token
            return token is not None and token.nonce != ""

        wait_until(is_whole, f"the token of {number}")

    def submit_and_hold(self, spec: JobSpec, is_ready: Callable[[], object]) -> None:
        """Start one, and let the shepherd stand still from then on until `is_ready`: no limit can end it before. The
        shepherd must have been started with STANDS_STILL."""
        process = self.process
        assert process is not None
        self.executor.submit([spec])
        wait_until(is_ready, f"{spec.name} is ready")
        wait_until(lambda: is_stopped(process.pid), "the shepherd stands still")
        process.send_signal(signal.SIGCONT)

    def exits(self, code: int) -> str:
        return f"exit {code}"

    def dies(self, signal: int) -> str:
        return f"kill -{signal} $$"

    def lasts(self) -> str:
        return "exec sleep 1000"

    def submit_pending(self) -> JobSpec:
        """Behind one that takes the whole machine."""
        self._blocker = self.spec(self.lasts(), slots=self.executor.slots)
        self.executor.submit([self._blocker])
        self.wait_for_phase(self._blocker.name, Phase.RUNNING)
        spec = self.spec("true")
        self.executor.submit([spec])
        self.wait_for_phase(spec.name, Phase.PENDING)
        return spec

    def let_start(self, spec: JobSpec) -> None:
        assert self._blocker is not None
        self.executor.cancel([AttemptRef(self._blocker.instance_id, self._blocker.name, None, 0.0)])
        self.wait_for_end([self._blocker.name])

    def break_back_end(self) -> None:
        self.stop(signal.SIGKILL)


LOCAL_KINDS = [LocalExecutor, SequentialExecutor]
