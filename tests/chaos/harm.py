"""Harm to the jobs themselves: their wrappers and their commands get signals that nobody asked the server for."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from executors.processes import Process, list_marked, read_arguments, read_process, read_variable
from executors.script import ATTEMPT_VARIABLE, INSTANCE_VARIABLE
from tests.services import is_living

WRAPPERS = ("wrapper-", "batch-wrapper-", "slurm_script")  # the last is what Slurm calls its copy
KILL_ROUNDS = 5  # of KILL: a shell may fork between a look and the signal


@dataclass(frozen=True, slots=True)
class Victim:
    """One attempt with a living command."""

    mark: str
    instance: int
    wrapper: int
    command: tuple[int, ...]


def list_attempts(prefix: str) -> list[Process]:
    """The processes of one server's attempts: the names of its attempts begin with `prefix`."""
    return [process for process in list_marked(ATTEMPT_VARIABLE) if process.mark.startswith(prefix)]


def is_wrapper(pid: int) -> bool:
    return any(Path(os.fsdecode(word)).name.startswith(WRAPPERS) for word in read_arguments(pid)[:4])


def find_wrapper(pid: int) -> int:
    """The process or the nearest one above it that is a wrapper; 0 if there is none. That of a batch system exports the
    mark for its command, and does not bear it itself."""
    while pid > 1:
        if is_wrapper(pid):
            return pid
        process = read_process(pid)
        pid = process.parent if process is not None else 0
    return 0


def find_victims(prefix: str) -> list[Victim]:
    by_mark: dict[str, list[int]] = {}
    for process in list_attempts(prefix):
        if not is_wrapper(process.pid):
            by_mark.setdefault(process.mark, []).append(process.pid)
    found: list[Victim] = []
    for mark, command in sorted(by_mark.items()):
        wrapper, instance = find_wrapper(command[0]), read_variable(command[0], INSTANCE_VARIABLE)
        if wrapper and instance.isdigit():
            found.append(Victim(mark, int(instance), wrapper, tuple(command)))
    return found


class LivingJobs:
    """The attempts of one server that live just now. `harmed`: those that were ended by a signal of ours."""

    kinds = ("kill-wrapper", "kill-job", "stop-wrapper")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._kind = ""
        self._has_struck = False
        self._stopped = 0
        self.harmed: set[int] = set()

    def begin(self, kind: str) -> None:
        self._kind, self._has_struck, self._stopped = kind, False, 0
        self._try()

    def has_struck(self) -> bool:
        if not self._has_struck:
            self._try()
        return self._has_struck

    def end(self) -> None:
        if self._stopped and is_living(self._stopped):
            os.kill(self._stopped, signal.SIGCONT)
        self._stopped = 0

    def _try(self) -> None:
        victims = find_victims(self._prefix)
        if victims:
            self._harm(random.choice(victims))

    def _harm(self, victim: Victim) -> None:
        with suppress(ProcessLookupError):  # it may end while we choose
            if self._kind == "stop-wrapper":
                os.kill(victim.wrapper, signal.SIGSTOP)
                self._stopped = victim.wrapper
            elif self._kind == "kill-wrapper":
                self.harmed.add(victim.instance)
                os.kill(victim.wrapper, signal.SIGKILL)
            else:
                self.harmed.add(victim.instance)
                self._kill_command(victim)
            self._has_struck = True

    def _kill_command(self, victim: Victim) -> None:
        """All of it, and not the wrapper, which has to tell of it."""
        pids: Sequence[int] = victim.command
        for _ in range(KILL_ROUNDS):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pids = [one.pid for one in list_attempts(self._prefix) if one.mark == victim.mark]
            pids = [pid for pid in pids if not is_wrapper(pid)]
