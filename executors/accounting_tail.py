"""Reads Grid Engine's accounting file from where it stopped the last time, across rotation and truncation."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from executors.sge_accounting import Record, read_record

ANCHOR_LENGTH = 128
CHUNK = 1 << 20


class AccountingTail:
    """Our own records, by name. `limit` bytes at most are read of what was there before; `keep` names are remembered.

    A rotated file (another inode) is first read to its end through the handle that is still open. A file that became
    shorter, or whose bytes before our place changed, was truncated and is read from its start.
    """

    def __init__(self, path: Path, is_ours: Callable[[Record], bool], prefix: str, limit: int, keep: int) -> None:
        self.path = path
        self._is_ours = is_ours
        self._marker = f":{prefix}".encode()
        self._limit = limit
        self._keep = keep
        self._file: BinaryIO | None = None
        self._offset = 0
        self._anchor = b""
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, wanted: Iterable[tuple[str, str | None]]) -> dict[str, Record]:
        """The last record of each (name, job number or None: any). Raises OSError if the file cannot be read."""
        with self._lock:
            self._catch_up()
            return {name: found for name, job in wanted if (found := self._find_one(name, job))}

    def _find_one(self, name: str, job: str | None) -> Record | None:
        if job is not None:
            return self._records.get((name, job))
        return self._records.get((name, ""))

    def _catch_up(self) -> None:
        if self._file is not None and self._was_replaced(self._file):
            self._read_on(self._file)
            self._file.close()
            self._file = None
            self._offset, self._limit = 0, self.path.stat().st_size
        if self._file is None:
            self._open()
        if self._file is not None:
            self._check_place(self._file)
            self._read_on(self._file)

    def _was_replaced(self, file: BinaryIO) -> bool:
        """No file at the path for a moment: a rotation is under way; the one that is open is still ours."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(file.fileno())
        return (now.st_ino, now.st_dev) != (mine.st_ino, mine.st_dev)

    def _open(self) -> None:
        try:
            file = open(self.path, "rb")  # noqa: SIM115 - kept open on purpose
        except FileNotFoundError:
            return  # a new cell has none before its first job has ended
        self._file = file
        self._offset = max(0, os.fstat(file.fileno()).st_size - self._limit)
        if self._offset:
            file.seek(self._offset)
            file.readline()  # the rest of a line that began before
            self._offset = file.tell()
        self._anchor = b""

    def _check_place(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, self._offset - len(self._anchor)))
        if size < self._offset or file.read(len(self._anchor)) != self._anchor:
            self._offset, self._anchor = 0, b""

    def _read_on(self, file: BinaryIO) -> None:
        """Whole lines only: the last one may be half written."""
        file.seek(self._offset)
        while lines := file.readlines(CHUNK):
            whole = lines if lines[-1].endswith(b"\n") else lines[:-1]
            for line in whole:
                if self._marker in line:
                    self._remember(line)
            self._offset += sum(map(len, whole))
            self._anchor = (self._anchor + b"".join(whole[-2:]))[-ANCHOR_LENGTH:]
            if len(whole) < len(lines):
                return

    def _remember(self, line: bytes) -> None:
        record = read_record(line.decode("utf-8", "replace"))
        if record is None or not record.is_final or not self._is_ours(record):
            return
        for job in (record.job, ""):
            self._records[record.name, job] = record
            self._records.move_to_end((record.name, job))
        while len(self._records) > 2 * self._keep:
            self._records.popitem(last=False)
