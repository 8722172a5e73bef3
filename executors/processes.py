"""What /proc says about processes. Everything tolerates that a process ends while it is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Process:
    """`mark` is the value of the variable that was asked for, from the environment the process was started with."""

    pid: int
    parent: int
    session: int
    is_zombie: bool
    mark: str = ""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def boot_id() -> str:
    """Changes at each boot of the machine."""
    return _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def read_process(pid: int) -> Process | None:
    """None: there is no such process."""
    text = _read(f"/proc/{pid}/stat")
    fields = text[text.rfind(b")") + 1 :].split()  # the name in front may hold spaces and brackets
    if len(fields) < 4:
        return None
    return Process(pid=pid, parent=int(fields[1]), session=int(fields[3]), is_zombie=fields[0] in (b"Z", b"X"))


def process_start(pid: int) -> str | None:
    """When the process started, in ticks since boot: with the pid it names one process. None: no such process, or
    one that has ended."""
    text = _read(f"/proc/{pid}/stat")
    fields = text[text.rfind(b")") + 1 :].split()
    return None if len(fields) < 20 or fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


def list_processes() -> list[Process]:
    """All processes that are visible and not zombies, without their marks."""
    pids = (
        int(name)
        for name in os.listdir("/proc")  # noqa: PTH208 - twice as fast
        if name.isdecimal()
    )
    return [process for pid in pids if (process := read_process(pid)) and not process.is_zombie]


def list_marked(variable: str) -> list[Process]:
    """The same, each with its value of this environment variable: dearer by one more file for each process."""
    return [replace(process, mark=read_variable(process.pid, variable)) for process in list_processes()]


def read_arguments(pid: int) -> list[bytes]:
    """The argument list; empty for zombies and what is gone."""
    return _read(f"/proc/{pid}/cmdline").split(b"\0")[:-1]


def read_variable(pid: int, name: str) -> str:
    """A variable of the environment the process was started with; "" if it has none or may not be read."""
    prefix = f"{name}=".encode()
    for item in _read(f"/proc/{pid}/environ").split(b"\0"):
        if item.startswith(prefix):
            return item[len(prefix) :].decode("utf-8", "replace")
    return ""


def peak_memory(pid: int) -> int:
    """The largest resident size so far in bytes (VmHWM); 0 if unknown."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def find_members(listed: Sequence[Process], session: int, mark: str) -> list[int]:
    """The pids that belong to a job: its session, whoever carries its mark in the environment (a daemon that made a
    session of its own), and all their descendants. Never the caller."""
    children: dict[int, list[int]] = {}
    for process in listed:
        children.setdefault(process.parent, []).append(process.pid)
    found = {p.pid for p in listed if p.session == session or p.mark == mark}
    unseen = list(found)
    while unseen:
        for child in children.get(unseen.pop(), ()):
            if child not in found:
                found.add(child)
                unseen.append(child)
    return sorted(found - {os.getpid()})


def send_signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue  # gone, or no longer ours
