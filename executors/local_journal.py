"""What the shepherd started on this machine, so that its successor can adopt it.

A text file: `starting <json>` before a wrapper is started, `ended <instance id>` after its hint was left. Lines are
written with one call and never flushed to the disk: they must survive the shepherd, not the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

COMPACT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One start. `nonce` stands in the token and in the wrapper's arguments; `boot` is the boot id of the machine;
    `started_at` is in epoch seconds."""

    instance_id: int
    run_id: int
    name: str
    queue: str
    slots: int
    memory: int
    max_runtime: float | None
    nonce: str
    boot: str
    started_at: float


def replay(path: Path) -> list[Entry]:
    """The starts without an end, oldest first. Torn lines are passed over: a start whose line is torn never was."""
    live: dict[int, Entry] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "ended" and rest.isdecimal():
            live.pop(int(rest), None)
        elif word == "starting":
            with contextlib.suppress(ValueError, TypeError):
                entry = Entry(**json.loads(rest))
                live[entry.instance_id] = entry
    return list(live.values())


def _render(entry: Entry) -> bytes:
    fields = {name: getattr(entry, name) for name in Entry.__slots__}  # asdict() copies deeply, at four times the cost
    return f"starting {json.dumps(fields)}\n".encode()


class Journal:
    """The open journal of the one shepherd that serves a spool."""

    def __init__(self, path: Path, live: Iterable[Entry]) -> None:
        self._path = path
        self._descriptor = -1
        self.rewrite(live)

    def rewrite(self, live: Iterable[Entry]) -> None:
        """Replace the file by one that holds only what lives. The old one stands until the new one is whole; it goes
        on being used if there is no room for a new one. Raises OSError if there is neither."""
        try:
            descriptor = self._write_anew(live)
        except OSError:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._live_size = self._size
        self._is_torn = self._size > 0  # an old file may end in half a line

    def _write_anew(self, live: Iterable[Entry]) -> int:
        temporary = self._path.with_name(self._path.name + ".new")
        temporary.write_bytes(b"".join(map(_render, live)))
        descriptor = os.open(temporary, os.O_WRONLY | os.O_APPEND)
        os.rename(temporary, self._path)
        return descriptor

    def starting(self, entry: Entry) -> None:
        """Raises OSError (disk full); then the attempt must not be started."""
        self._append(_render(entry))

    def ended(self, instance_id: int) -> None:
        """A line that cannot be written costs one more hint after a restart, so no error is raised."""
        with contextlib.suppress(OSError):
            self._append(f"ended {instance_id}\n".encode())

    def is_long(self) -> bool:
        """Whether it is worth rewriting."""
        return self._size - self._live_size > COMPACT_BYTES

    def _append(self, line: bytes) -> None:
        data = b"\n" + line if self._is_torn else line
        self._is_torn = True  # until the whole line is known to be there
        written = os.write(self._descriptor, data)
        self._size += written
        if written < len(data):
            raise OSError(28, "No space left on device")
        self._is_torn = False

    def close(self) -> None:
        os.close(self._descriptor)
