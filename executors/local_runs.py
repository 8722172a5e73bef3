"""The attempts that run on this machine: started, watched, ended, measured. The inside of the shepherd, no sockets."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage

from executors import faults, processes
from executors.base import Evidence, Hint, TokenKind, Usage
from executors.local_journal import Entry, Journal
from executors.local_queue import SEQUENTIAL, Attempt, Backlog, Machine
from executors.local_spool import LocalSpool
from executors.processes import Process, find_members, list_marked, send_signal
from executors.script import SHELL, START_VARIABLE

_LOOK_AGAIN = 0.1  # seconds between two looks at processes that are to end
_SAMPLE = 1.0  # seconds between two looks at the memory of adopted attempts
_TRY_AGAIN = 1.0  # seconds until a start that the machine could not afford is tried again
_ROUNDS = 5  # of KILL per look: a tree that forks while it is killed needs more than one

# What Python ignores or the service handles must not be ignored in a job.
_DEFAULT_SIGNALS = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]


@dataclass(slots=True)
class Run:
    """A started attempt. Times in seconds of the steady clock. `usage` is set once the wrapper has ended; `kill_at`
    once its processes were to be asked to end: at that time they are killed. `was_asked`: somebody but the wrapper was
    there to be asked. `has_started`: this very start won the token, and not a void or an earlier start."""

    entry: Entry
    pid: int
    started: float
    pidfd: int | None = None
    is_adopted: bool = False
    peak_memory: int = 0
    kill_at: float | None = None
    was_asked: bool = False
    usage: Usage | None = None
    has_started: bool = False

    @property
    def ends_by(self) -> float | None:
        return None if self.entry.max_runtime is None else self.started + self.entry.max_runtime

    def find_processes(self, listed: Sequence[Process]) -> list[int]:
        """All of its processes but the wrapper. `listed` with marks."""
        return [pid for pid in find_members(listed, self.pid, self.entry.nonce) if pid != self.pid]


class Runs:
    """All attempts in the hands of one shepherd. Not thread-safe; every method returns at once."""

    def __init__(self, spool: LocalSpool, wrapper: Path, machine: Machine, journal: Journal, grace: float) -> None:
        self.spool = spool
        self.machine = machine
        self.backlog = Backlog()
        self.running: dict[str, Run] = {}
        self.adopted: dict[str, Run] = {}
        self.unsettled: list[Entry] = []
        self._ended: list[Run] = []
        self._journal = journal
        self._wrapper = os.fsencode(wrapper)
        self._grace = grace
        self._by_pid: dict[int, Run] = {}
        self._sequential_count = 0
        self._paused_until = 0.0
        self._next_look = float("inf")
        self._boot = processes.boot_id()
        self._host = socket.gethostname() or "localhost"
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)
        null = os.open("/dev/null", os.O_RDWR)
        self._streams = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)]

    # starting

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """A name that is already here is the same attempt: nothing is added."""
        for attempt in attempts:
            if attempt.name not in self.running and attempt.name not in self.backlog:
                self.backlog.add(attempt)

    def start_waiting(self) -> None:
        """Start all that may start now: nothing while an attempt of our predecessor may just be starting, for it
        needs its share of the machine."""
        now = time.monotonic()
        while now >= self._paused_until and not self.unsettled:
            attempt = self.backlog.take_next(self.machine, self._sequential_count > 0, now)
            if attempt is None:
                return
            self._start(attempt, now)

    def _start(self, attempt: Attempt, now: float) -> None:
        entry = Entry(
            attempt.instance_id,
            attempt.run_id,
            attempt.name,
            attempt.queue,
            attempt.slots,
            attempt.memory,
            attempt.max_runtime,
            nonce=f"{self._prefix}{next(self._numbers):x}",
            boot=self._boot,
            started_at=round(time.time(), 3),
        )
        try:
            self._journal.starting(entry)
            faults.point("before_spawn")
            pid = self._spawn(attempt, entry)
        except OSError as error:  # no process, memory or disk to be had: nobody's fault here, so it waits
            attempt.message = f"cannot be started yet: {error.strerror}"
            self.backlog.put_back(attempt)
            self._paused_until = now + _TRY_AGAIN
            return
        faults.point("after_spawn")
        self.add(Run(entry, pid, started=now))

    def _spawn(self, attempt: Attempt, entry: Entry) -> int:
        words = [SHELL.encode(), self._wrapper, os.fsencode(self.spool.prefix(entry.instance_id))]
        texts = [entry.nonce, self._host, entry.name, f"{entry.started_at:.3f}"]
        texts += [attempt.working_dir, attempt.stdout, attempt.stderr]
        environment = {**attempt.environment, START_VARIABLE: entry.nonce}
        return os.posix_spawn(
            SHELL,
            words + [text.encode() for text in texts],
            {name.encode(): value.encode() for name, value in environment.items()},
            file_actions=self._streams,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )

    def add(self, run: Run) -> None:
        """Count a run that was just started or adopted."""
        self.running[run.entry.name] = run
        self._by_pid[run.pid] = run
        if run.is_adopted:
            self.adopted[run.entry.name] = run
            self._next_look = 0.0  # for a first sample of its memory
        self.machine.take(run.entry.slots, run.entry.memory)
        self._sequential_count += run.entry.queue == SEQUENTIAL
        self._next_look = min(self._next_look, self._due(run))

    # ending

    def reap(self) -> None:
        """Take note of all of our children that have ended."""
        while True:
            try:
                pid, _, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            run = self._by_pid.get(pid)
            if run is not None:
                self._wrapper_ended(run, self._measure(run, used))

    def adopted_ended(self, run: Run) -> None:
        """An adopted wrapper has ended: only what its token and the samples say is known."""
        evidence = self._read(run)
        cpu = evidence.usage.cpu if evidence.usage else None
        wallclock = time.monotonic() - run.started
        self._wrapper_ended(run, Usage(wallclock=wallclock, cpu=cpu, maxvmem=run.peak_memory or None))

    def _measure(self, run: Run, used: struct_rusage) -> Usage:
        return Usage(
            wallclock=time.monotonic() - run.started,
            cpu=used.ru_utime + used.ru_stime,
            maxvmem=used.ru_maxrss * 1024,
            io=(used.ru_inblock + used.ru_oublock) * 512,
        )

    def _wrapper_ended(self, run: Run, usage: Usage) -> None:
        """An attempt without an exit record (its wrapper was killed), or that was to be ended, leaves no processes
        behind: a further attempt must not run beside them."""
        run.usage = usage
        evidence = self._read(run)
        token = evidence.token
        run.has_started = token is not None and token.kind is TokenKind.START and token.nonce in (run.entry.nonce, "")
        if run.kill_at is None and run.has_started and evidence.exit is None:
            run.kill_at = time.monotonic()
        if run.kill_at is None:
            self._finish(run)
        else:
            self._next_look = 0.0

    def _finish(self, run: Run) -> None:
        """Nothing of it is left; its share of the machine is free."""
        entry = run.entry
        del self.running[entry.name], self._by_pid[run.pid]
        self.adopted.pop(entry.name, None)
        self.machine.give_back(entry.slots, entry.memory)
        self._sequential_count -= entry.queue == SEQUENTIAL
        self._ended.append(run)

    def record_ends(self) -> None:
        """Tell of those that have ended. Apart from `reap`, so that what waits for their slots starts first; if we die
        before, our successor tells."""
        for run in self._ended:
            entry = run.entry
            if run.has_started and run.usage is not None:
                self.spool.ring(Hint(entry.run_id, entry.instance_id), run.usage)
            self._journal.ended(entry.instance_id)
        self._ended.clear()
        if self._journal.is_long():
            self._journal.rewrite(other.entry for other in self.running.values())

    def _read(self, run: Run) -> Evidence:
        """Nothing if it cannot be read (a stale or failing disk): then whoever reads it later will tell."""
        try:
            return self.spool.read([run.entry.instance_id]).get(run.entry.instance_id, Evidence())
        except OSError:
            return Evidence()

    # limits and cancellation

    def cancel(self, names: Iterable[str]) -> None:
        """Drop what waits, end what runs; unknown names are fine."""
        wanted = [name for name in names if not self.backlog.remove(name)]
        self._terminate([self.running[name] for name in wanted if name in self.running])

    def _terminate(self, runs: list[Run]) -> None:
        """TERM to all their processes but the wrapper, which ignores it and records the end. Asked again, the time of
        the KILL stays."""
        if not runs:
            return
        faults.point("in_kill")
        listed = list_marked(START_VARIABLE)
        for run in runs:
            members = run.find_processes(listed)
            send_signal(members, signal.SIGTERM)
            run.was_asked = run.was_asked or bool(members)
            if run.kill_at is None:
                run.kill_at = time.monotonic() + self._grace
            self._next_look = min(self._next_look, self._due(run))

    def watch(self) -> None:
        """Enforce run times, go on with endings, sample adopted attempts, each when its time has come."""
        now = time.monotonic()
        if now < self._next_look:
            return
        runs = list(self.running.values())
        expired = [run for run in runs if run.kill_at is None and run.ends_by is not None and run.ends_by <= now]
        for run in expired:
            self._write_over(run)
        unasked = [run for run in runs if run.kill_at is not None and not run.was_asked and run.usage is None]
        self._terminate(expired + unasked)
        ending = [run for run in runs if run.kill_at is not None and (run.usage is not None or run.kill_at <= now)]
        for _ in range(_ROUNDS):
            ending = self._go_on_ending(ending, now)
        self._sample_adopted()
        self._next_look = min(map(self._due, self.running.values()), default=float("inf"))

    def _due(self, run: Run) -> float:
        """When `watch` has something to do for this run."""
        now = time.monotonic()
        times = [now + _SAMPLE] if run.is_adopted else []
        if run.kill_at is not None:
            is_waiting = run.usage is None and run.was_asked
            times.append(max(run.kill_at, now + _LOOK_AGAIN) if is_waiting else now + _LOOK_AGAIN)
        elif run.ends_by is not None:
            times.append(run.ends_by)
        return min(times, default=float("inf"))

    def _go_on_ending(self, ending: list[Run], now: float) -> list[Run]:
        """Kill whose time has come and finish those of which nothing is left. The answer: who was just killed, and
        may have forked meanwhile."""
        if not ending:
            return []
        listed = list_marked(START_VARIABLE)
        killed = []
        for run in ending:
            members = run.find_processes(listed)
            if members and run.kill_at is not None and run.kill_at <= now:
                send_signal(members, signal.SIGKILL)
                killed.append(run)
            elif not members and run.usage is not None:
                self._finish(run)
        return killed

    def _write_over(self, run: Run) -> None:
        """Say that the limit ended it, before it is ended. With a full disk the signal alone will tell."""
        path = Path(self.spool.file(run.entry.instance_id, "over"))
        try:
            path.write_text("runtime\n", encoding="ascii")
        except OSError as error:
            os.write(2, f"shepherd: {path} cannot be written: {error.strerror}\n".encode())

    def _sample_adopted(self) -> None:
        """Their wrappers are not our children, so nobody will tell us what they used."""
        if not self.adopted:
            return
        by_session = {run.pid: run for run in self.adopted.values()}
        for process in processes.list_processes():
            run = by_session.get(process.session)
            if run is not None:
                run.peak_memory = max(run.peak_memory, processes.peak_memory(process.pid))

    def next_due(self) -> float:
        """The steady time at which `watch` or `start_waiting` should be called again."""
        if not self.backlog:
            return self._next_look
        patience_ends = time.monotonic() + _TRY_AGAIN
        return min(self._next_look, patience_ends)
