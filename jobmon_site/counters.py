"""Counters that all processes of this machine share: requests, task times, lost bells, repeated transactions.

Each process adds up in memory and now and then writes what came to it into one small SQLite file, beside and not in the
site's database: counting must neither wait for the writers' lock there nor be lost with a rolled back transaction. A
count that cannot be written waits for the next occasion; counting never disturbs what is counted.
"""

from __future__ import annotations

import atexit
import logging
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from workflows import bell, running_sums, transactions

logger = logging.getLogger(__name__)
Key = tuple[str, str]  # the name of the metric, and its labels as they are written: 'status="2xx"'
WRITE_EVERY = 1.0
PATIENCE = 0.2
_TABLE = "CREATE TABLE IF NOT EXISTS counter (name TEXT, labels TEXT, value REAL, PRIMARY KEY (name, labels))"
_ADD = (
    "INSERT INTO counter (name, labels, value) VALUES (?, ?, ?)"
    " ON CONFLICT (name, labels) DO UPDATE SET value = value + excluded.value"
)


class Counters:
    """Counts of this process that are not yet written, and the file that holds the sum of all."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._waiting: dict[Key, float] = {}
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    def add(self, name: str, labels: str = "", amount: float = 1.0) -> None:
        with self._lock:
            self._waiting[name, labels] = self._waiting.get((name, labels), 0.0) + amount

    def write_now_and_then(self) -> None:
        if time.monotonic() - self._written_at >= WRITE_EVERY:
            self.write()

    def write(self, is_last: bool = False) -> None:
        """Move the counts to the file. Never raises; the last time, at exit, there may be nobody left to tell."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._written_at = time.monotonic()
        try:
            self._store(waiting)
        except (sqlite3.Error, OSError) as error:
            if not is_last:
                logger.warning("counters are not written to %s: %s", self.file, error)
            for (name, labels), amount in waiting.items():
                self.add(name, labels, amount)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.file, timeout=PATIENCE, isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(_TABLE)
        return connection

    def _store(self, waiting: dict[Key, float]) -> None:
        if not waiting:
            return
        with closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_ADD, [(*key, amount) for key, amount in waiting.items()])
            connection.execute("COMMIT")

    def read(self) -> dict[Key, float]:
        """The sums of all processes. Raises sqlite3.Error."""
        self.write()
        with closing(self._open()) as connection:
            rows = connection.execute("SELECT name, labels, value FROM counter ORDER BY name, labels").fetchall()
        return {(name, labels): value for name, labels, value in rows}


class Seen:
    """Turns a module's running count into what came to it since the last look."""

    def __init__(self) -> None:
        self._last: dict[Key, float] = {}

    def collect(self, counters: Counters) -> None:
        found = running_sums.totals()
        found["jobmon_lost_bells_total", ""] = float(bell.lost_bells)
        found["jobmon_transaction_retries_total", ""] = float(transactions.retries_counted)
        for key, total in found.items():
            if total > self._last.get(key, 0.0):
                counters.add(*key, total - self._last.get(key, 0.0))
        self._last = found


_seen = Seen()
_made: dict[Path, Counters] = {}


def counters(file: Path) -> Counters:
    """The one of this process for this file; what it holds is written when the process ends."""
    if file not in _made:
        _made[file] = Counters(file)
        atexit.register(_made[file].write, is_last=True)
    return _made[file]


def note_request(file: Path, status: int) -> None:
    ours = counters(file)
    ours.add("jobmon_http_requests_total", f'status="{status // 100}xx"')
    _seen.collect(ours)
    ours.write_now_and_then()


def note_task(file: Path, task: str, seconds: float) -> None:
    ours = counters(file)
    ours.add("jobmon_task_seconds_sum", f'task="{task}"', seconds)
    ours.add("jobmon_task_seconds_count", f'task="{task}"')
    _seen.collect(ours)
    ours.write_now_and_then()
