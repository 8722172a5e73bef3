"""One server per home: the lock, what a crashed server has left, and which machine has the database."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from executors.processes import process_start
from jobmon_site.environment import SettingError
from jobmon_site.home import Home

LEFTOVER_SECONDS = 15.0


def _pause(seconds: float) -> None:
    select.select([], [], [], seconds)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_same_process(entry: object) -> bool:
    """Whether the process that wrote this entry still lives; a pid alone may be somebody else's by now."""
    if not isinstance(entry, dict) or not isinstance(entry.get("pid"), int):
        return False
    return entry.get("start") is not None and process_start(entry["pid"]) == entry["start"]


def _already_running(home: Home, holder: Mapping[str, object]) -> SettingError:
    url = _read_json(home.server_file).get("url", "no address yet: it is just starting or stopping")
    return SettingError(
        f"a server is already running on {home.home} ({url}, pid {holder.get('pid')}). "
        "Use that one, stop it with Ctrl-C where it runs, or name another folder in JOBMON_HOME."
    )


def _kill_leftovers(home: Home) -> None:
    """End the parts of a server that died, when they do not end by themselves (stopped or hung)."""
    for entry in _read_json(home.parts_file).values():
        if _is_same_process(entry) and isinstance(entry, dict):
            os.kill(entry["pid"], signal.SIGKILL)


def take_lock(home: Home, wait: float = LEFTOVER_SECONDS) -> int:
    """The descriptor of the lock, which the server's parts inherit: it is free only when all of them are gone.
    Raises SettingError if a server is running on this home."""
    descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline, killed = time.monotonic() + wait, False
    while not _try_lock(descriptor):
        holder = _read_json(home.lock_file)
        if _is_same_process(holder):
            raise _already_running(home, holder)
        if time.monotonic() > deadline:
            if killed:
                raise SettingError(f"{home.lock_file} is held by an unknown process; `fuser {home.lock_file}` names it")
            _kill_leftovers(home)
            deadline, killed = time.monotonic() + wait, True
        _pause(0.1)
    home.server_file.unlink(missing_ok=True)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "start": process_start(os.getpid())}).encode(), 0)
    return descriptor


def claim_host(home: Home, hostname: str) -> None:
    """A home on a network file system has its database on one machine's disk; refuse to begin another one elsewhere.
    Raises SettingError."""
    if home.home == home.local:
        return
    try:
        owner = home.host_file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        home.host_file.write_text(hostname + "\n", encoding="utf-8")
        return
    if owner != hostname:
        raise SettingError(
            f"the database of {home.home} is on the machine {owner} (in {home.local}), this is {hostname}. "
            f"Start the server there, or name another folder in JOBMON_HOME."
        )
