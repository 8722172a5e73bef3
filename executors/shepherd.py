"""The shepherd: one long-lived process per spool that starts, watches and measures the attempts of this machine.

    python -I -S executors/shepherd.py --root SPOOL --socket-dir FOLDER --slots 2 --memory 8

Standard library only. Workers ask it through the Unix socket `shepherd.sock` in the socket folder: one JSON object a
line in either direction. TERM or INT end it and leave the jobs alone; the next one adopts them. Exit codes: 0 ended by
a signal, 2 bad arguments or folders, 3 another shepherd serves this spool.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:  # started as a file, isolated: the package's parent folder is not on the path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from executors import unix_socket
from executors.local_journal import Journal, replay
from executors.local_queue import Attempt, Machine, megabytes
from executors.local_recovery import SETTLE_SECONDS, give_up, recover
from executors.local_runs import Run, Runs
from executors.local_spool import LocalSpool
from executors.processes import read_process
from executors.script import install_wrapper

SOCKET_NAME = "shepherd.sock"
LOCK_NAME = "shepherd.lock"
JOURNAL_NAME = "shepherd.journal"
LOCK_WAIT = 10.0
_UNSETTLED_STEP, _AGAIN = 0.05, 1.0
_CHUNK = 1 << 20


@dataclass(slots=True)
class Connection:
    """A worker that talks to us."""

    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


def take_lock(path: Path, wait: float) -> int | None:
    """The descriptor that holds the lock until this process ends, or None: somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)  # noqa: TID251 - a predecessor that is just ending; flock with a time-out does not exist
        else:
            return descriptor


class Shepherd:
    """The event loop: signals, workers' requests, endings."""

    def __init__(self, runs: Runs, listener: socket.socket) -> None:
        self._runs = runs
        self._listener = listener
        self._settle_by = time.monotonic() + SETTLE_SECONDS
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._watched: set[str] = set()
        self._is_stopping = False

    def serve(self) -> None:
        """Until TERM or INT."""
        reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._selector.register(reader, selectors.EVENT_READ, lambda _: self._drain(reader))
        while not self._is_stopping:
            self._turn()

    def _turn(self) -> None:
        self._runs.reap()
        self._settle()
        self._runs.watch()
        self._watch_adopted()
        self._runs.start_waiting()
        self._runs.record_ends()
        for key, mask in self._selector.select(self._timeout()):
            key.data(mask)

    def _timeout(self) -> float | None:
        due = self._runs.next_due()
        if self._runs.unsettled:
            due = min(due, time.monotonic() + _UNSETTLED_STEP)
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _stop(self, *_: object) -> None:
        self._is_stopping = True

    def _drain(self, reader: socket.socket) -> None:
        reader.recv(4096)

    # adopted attempts

    def _settle(self) -> None:
        """Look again at what may just have been starting; after a while it may not start any more."""
        if self._runs.unsettled:
            recover(self._runs, self._runs.unsettled)
        if self._runs.unsettled and time.monotonic() >= self._settle_by:
            give_up(self._runs)
            self._settle_by = time.monotonic() + _AGAIN

    def _watch_adopted(self) -> None:
        """Register the descriptors of adopted attempts, and see at once who lacks one because it has ended."""
        for run in [run for run in self._runs.adopted.values() if run.usage is None]:
            if run.pidfd is None:
                if not is_living(run):
                    self._runs.adopted_ended(run)
            elif run.entry.name not in self._watched:
                self._watched.add(run.entry.name)
                self._selector.register(run.pidfd, selectors.EVENT_READ, lambda _, run=run: self._adopted_ended(run))

    def _adopted_ended(self, run: Run) -> None:
        if run.pidfd is not None:
            self._selector.unregister(run.pidfd)
            os.close(run.pidfd)
        self._watched.remove(run.entry.name)
        self._runs.adopted_ended(run)

    # workers

    def _accept(self, _: int) -> None:
        try:
            accepted, _address = self._listener.accept()
        except OSError:
            return  # gone again, or no descriptor to be had: the worker tries again
        accepted.setblocking(False)
        connection = Connection(accepted)
        self._selector.register(accepted, selectors.EVENT_READ, lambda mask: self._talk(connection, mask))

    def _talk(self, connection: Connection, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._send(connection)
            if mask & selectors.EVENT_READ:
                self._receive(connection)
        except OSError:
            self._hang_up(connection)

    def _hang_up(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _receive(self, connection: Connection) -> None:
        data = connection.socket.recv(_CHUNK)
        if not data:
            self._hang_up(connection)
            return
        searched = len(connection.received)
        connection.received += data
        while (end := connection.received.find(b"\n", searched)) >= 0:
            line = bytes(connection.received[:end])
            del connection.received[: end + 1]
            searched = 0
            connection.unsent += json.dumps(answer(self._runs, line)).encode() + b"\n"
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        try:
            while connection.unsent:
                del connection.unsent[: connection.socket.send(connection.unsent)]
        except BlockingIOError:
            pass
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        key = self._selector.get_key(connection.socket)
        if key.events != events:
            self._selector.modify(connection.socket, events, key.data)


def is_living(run: Run) -> bool:
    process = read_process(run.pid)
    return process is not None and not process.is_zombie


def answer(runs: Runs, line: bytes) -> dict[str, Any]:
    """The reply to one request. A request that makes no sense is answered with `error`; it changes nothing."""
    try:
        request = json.loads(line)
        if request["root"] != str(runs.spool.root):
            return {"error": f"this shepherd serves {runs.spool.root}, not {request['root']}"}
        return OPERATIONS[request["op"]](runs, request)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return {"error": f"cannot understand the request: {error!r}"}


def _submit(runs: Runs, request: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    attempts = [Attempt.from_wire(item, now) for item in request["attempts"]]
    machine = runs.machine
    rejected = {
        attempt.name: f"asks for {attempt.slots} slots and {attempt.memory / 1000:g} GB; this machine gives "
        f"{machine.slots} slots and {machine.memory / 1000:g} GB"
        for attempt in attempts
        if attempt.slots > machine.slots or attempt.memory > machine.memory
    }
    runs.submit(attempt for attempt in attempts if attempt.name not in rejected)
    return {"accepted": [attempt.name for attempt in attempts if attempt.name not in rejected], "rejected": rejected}


def _list(runs: Runs, _: dict[str, Any]) -> dict[str, Any]:
    waiting = [[a.name, a.queue, "pending", a.submitted_at, a.message] for a in runs.backlog]
    waiting += [[e.name, e.queue, "pending", e.started_at, ""] for e in runs.unsettled]
    running = [[r.entry.name, r.entry.queue, "running", r.entry.started_at, ""] for r in runs.running.values()]
    return {"attempts": waiting + running}


def _cancel(runs: Runs, request: dict[str, Any]) -> dict[str, Any]:
    runs.cancel([str(name) for name in request["names"]])
    return {}


def _ping(runs: Runs, _: dict[str, Any]) -> dict[str, Any]:
    machine = runs.machine
    return {
        "pid": os.getpid(),
        "slots": machine.slots,
        "memory": machine.memory / 1000,
        "used_slots": machine.used_slots,
        "used_memory": machine.used_memory / 1000,
        "pending": len(runs.backlog),
        "running": len(runs.running),
    }


OPERATIONS = {"submit": _submit, "list": _list, "cancel": _cancel, "ping": _ping}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="shepherd", description="Starts and watches the local jobs of one spool.")
    parser.add_argument("--root", type=Path, required=True, help="the spool")
    parser.add_argument("--socket-dir", type=Path, required=True, help="a private folder on a local disk")
    parser.add_argument("--slots", type=int, required=True, help="how many slots all jobs together may use")
    parser.add_argument("--memory", type=float, required=True, help="how many GB all jobs together may ask for")
    parser.add_argument("--grace", type=float, default=5.0, help="seconds between TERM and KILL")
    return parser.parse_args(arguments)


def build(options: argparse.Namespace) -> Shepherd:
    """Take over from the last shepherd. The lock must be held. Raises OSError."""
    spool = LocalSpool(options.root)
    entries = replay(options.root / JOURNAL_NAME)
    journal = Journal(options.root / JOURNAL_NAME, entries)
    machine = Machine(options.slots, megabytes(options.memory))
    runs = Runs(spool, install_wrapper(options.root), machine, journal, options.grace)
    recover(runs, entries)
    journal.rewrite([*(run.entry for run in runs.running.values()), *runs.unsettled])
    return Shepherd(runs, unix_socket.listen(options.socket_dir / SOCKET_NAME))


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # whatever the starter left open must reach no job
    try:
        LocalSpool(options.root).create()
        options.socket_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if take_lock(options.root / LOCK_NAME, LOCK_WAIT) is None:
            os.write(2, f"shepherd: another one serves {options.root}\n".encode())
            return 3
        shepherd = build(options)
    except OSError as error:
        os.write(2, f"shepherd: cannot start: {error}\n".encode())
        return 2
    shepherd.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
