"""What processes use: memory as the kernel counts it, CPU time, and a watch over several of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services import Result

TICK = os.sysconf("SC_CLK_TCK")
NAMES = {"serve": "supervisor", "redis": "Redis", "mariadb": "MariaDB", "script": "control script"}


@dataclass(frozen=True)
class Memory:
    """Of one process in MB: resident, mapped files being part of it; and with shared pages divided among their users."""

    rss: float
    pss: float


def read_peak_rss(pid: int) -> float:
    """The largest resident memory so far in MB (VmHWM), as the kernel has kept it; mapped files are part of it.

    Not `ru_maxrss`: a process that was started from a larger one begins with the peak of that one."""
    return _read_kb(f"/proc/{pid}/status", "VmHWM:") / 1024


def read_pss(pid: int) -> float:
    """Memory in MB, shared pages divided among those who share them."""
    return _read_kb(f"/proc/{pid}/smaps_rollup", "Pss:") / 1024


def _read_kb(file: str, field: str) -> int:
    try:
        text = Path(file).read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(field)), 0)


def read_cpu(pid: int) -> float:
    """CPU seconds of a process so far, without its children."""
    return _read_times(pid, 11)


def read_children_cpu(pid: int) -> float:
    """CPU seconds of the children that it has waited for, and of theirs."""
    return _read_times(pid, 13)


def _read_times(pid: int, first: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[first]) + int(fields[first + 1])) / TICK


class MemoryWatch:
    """The peaks of each process and of the sum of their PSS, looked at every so many seconds. `find` tells which there
    are (name → pid); more may be added in `extra`."""

    def __init__(self, find: Callable[[], Mapping[str, int]], every: float = 0.5) -> None:
        self._find = find
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.extra: dict[str, int] = {}
        self.peaks: dict[str, Memory] = {}
        self.sum = 0.0

    def look(self) -> float:
        """The sum of the PSS now, in MB."""
        total = 0.0
        for name, pid in {**self._find(), **self.extra}.items():
            pss, before = read_pss(pid), self.peaks.get(name, Memory(0.0, 0.0))
            self.peaks[name] = Memory(max(read_peak_rss(pid), before.rss), max(pss, before.pss))
            total += pss
        self.sum = max(self.sum, total)
        return total

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self.look()

    def __enter__(self) -> MemoryWatch:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.look()


def memory_rows(what: str, peaks: Mapping[str, Memory], bare: Mapping[str, Memory]) -> list[Result]:
    """Two lines for each process: the peaks of RSS and PSS, beside a bare process of its kind."""
    rows = []
    for name, peak in sorted(peaks.items(), key=lambda item: -item[1].rss):
        told, own = NAMES.get(name, name), bare.get(name)
        kind = BARE_KINDS.get(name, "")
        rows.append(Result(f"{what}, {told}, peak RSS", peak.rss, "MB", own and own.rss, kind))
        rows.append(Result(f"{what}, {told}, peak PSS", peak.pss, "MB", own and own.pss, kind))
    return rows


BARE_KINDS = {
    "web": "an empty Django site under waitress",
    "worker": "a Celery worker of an empty Django site",
    "beat": "a Celery beat of an empty Django site",
    "redis": "Redis, just started",
    "mariadb": "MariaDB, just started",
    "serve": "a bare Python",
    "shepherd": "a bare Python",
    "script": "a bare Python",
}
