"""After a restart: what became of the attempts that the last shepherd had started, and adopting those that live."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from enum import StrEnum

from executors import faults, processes
from executors.base import Evidence, Hint, TokenKind
from executors.local_journal import Entry
from executors.local_runs import Run, Runs
from executors.local_spool import LocalSpool
from executors.script import START_VARIABLE

SETTLE_SECONDS = 2.0
_KILL_ROUNDS = 100


class Fate(StrEnum):
    """LIVES: its wrapper runs. ENDED: it started and is over. NEVER: it did not start, and this start never will.
    UNSETTLED: its process may just be starting."""

    LIVES = "lives"
    ENDED = "ended"
    NEVER = "never"
    UNSETTLED = "unsettled"


def judge(entry: Entry, evidence: Evidence, is_alive: bool, boot: str) -> Fate:
    """Pure. `is_alive`: a wrapper with this entry's nonce among its arguments runs on this machine."""
    if is_alive:
        return Fate.LIVES
    token = evidence.token
    if token is None:
        return Fate.UNSETTLED if entry.boot == boot else Fate.NEVER
    is_ours = token.kind is TokenKind.START and token.nonce in (entry.nonce, "")
    return Fate.ENDED if is_ours else Fate.NEVER


def find_wrappers(entries: Iterable[Entry]) -> dict[str, int]:
    """Nonce → pid of the wrappers that live. The nonce among the arguments of a session's leader cannot be anybody
    else's, whatever happened to process ids since."""
    nonces = {entry.nonce.encode(): entry.nonce for entry in entries}
    found: dict[str, int] = {}
    for process in processes.list_processes():
        if process.pid == process.session:
            arguments = processes.read_arguments(process.pid)
            if len(arguments) > 3 and arguments[3] in nonces:
                found[nonces[arguments[3]]] = process.pid
    return found


def recover(runs: Runs, entries: Iterable[Entry]) -> None:
    """Adopt what lives and ring for what has ended; what cannot be told yet stays in `runs.unsettled`."""
    pending = list(entries)
    faults.point("in_recovery")
    boot = processes.boot_id()
    wrappers = find_wrappers(pending)
    unsettled = []
    for entry in pending:
        evidence = runs.spool.read([entry.instance_id]).get(entry.instance_id, Evidence())
        pid = wrappers.get(entry.nonce)
        fate = judge(entry, evidence, pid is not None, boot)
        if fate is Fate.LIVES and pid is not None:
            _adopt(runs, entry, pid)
        elif fate is Fate.ENDED:
            _end(runs.spool, entry, evidence, entry.boot == boot)
        elif fate is Fate.UNSETTLED:
            unsettled.append(entry)
    runs.unsettled = unsettled


def give_up(runs: Runs) -> None:
    """What has not started by now never will: whoever makes the token first decides. What turns out to have started
    stays, and is adopted at the next look; so does what a full disk gave no token. Of the others the next listing
    tells."""
    tokens = runs.spool.void((entry.instance_id for entry in runs.unsettled), "shepherd")
    void = {instance_id for instance_id, token in tokens.items() if token.kind is TokenKind.VOID}
    runs.unsettled = [entry for entry in runs.unsettled if entry.instance_id not in void]


def _adopt(runs: Runs, entry: Entry, pid: int) -> None:
    """Started then, watched from now on. If it ends this moment, the first look at its descriptor tells."""
    started = time.monotonic() - max(0.0, time.time() - entry.started_at)
    try:
        pidfd: int | None = os.pidfd_open(pid)
    except OSError:
        pidfd = None  # gone by now, or a kernel without them
    runs.add(Run(entry, pid, started, pidfd=pidfd, is_adopted=True))


def _end(spool: LocalSpool, entry: Entry, evidence: Evidence, is_same_boot: bool) -> None:
    """It ended while nobody watched. Without an exit record its wrapper was killed: nothing of it may go on."""
    if evidence.exit is None and is_same_boot:
        _kill_leftovers(entry, evidence)
    spool.ring(Hint(entry.run_id, entry.instance_id))


def _kill_leftovers(entry: Entry, evidence: Evidence) -> None:
    session = evidence.token.process_group_id if evidence.token else None
    for _ in range(_KILL_ROUNDS):
        listed = processes.list_marked(START_VARIABLE)
        # The session's number may be somebody else's by now, unless one of its processes bears the mark.
        is_session_ours = any(p.session == session for p in listed if p.mark == entry.nonce)
        members = processes.find_members(listed, session if session and is_session_ours else -1, entry.nonce)
        if not members:
            return
        processes.send_signal(members, signal.SIGKILL)
