"""What the server's own logs say: alarms and accidents that the database need not show."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
ALARM = re.compile(r"\bALARM\b")
ACCIDENT = re.compile(r"^Traceback \(most recent call last\)|Internal Server Error|^Fatal Python error", re.MULTILINE)
ERROR_LINE = re.compile(
    r"^[\w.]*(?:Error|Exception|Interrupt|Injected|Unavailable|Refused|Gone|Lost)\b.*", re.MULTILINE
)
# The last error of a record → the faults that explain it, if one of them came in the same wave.
EXPLAINED = (
    (r"No space left on device|disk is full", r"full-disk"),
    (r"FaultInjected", r"arm"),
    (r"(Operational|Interface|Internal)Error.*(20\d\d|MySQL|MariaDB|server|connection)", r".*(connections|database)"),
    (r"^(redis|kombu)\.|ConnectionError|Connection(Refused|Reset)Error", r"(kill|stop) (redis|supervisor)|crash|arm|pause"),
)  # fmt: skip


class LogWatch:
    """Reads each log of a home from where it was read last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}

    def read_new(self) -> Iterator[tuple[str, str]]:
        """(name of the log, new text). A log that was put aside is read to its end first."""
        for path in sorted(self._folder.glob("*.log")):
            begun = self._read.get(path.name, 0)
            if path.stat().st_size < begun:
                aside = path.with_name(f"{path.name}.1")
                yield path.name, read_from(aside, begun)
                begun = 0
            text = read_from(path, begun)
            self._read[path.name] = begun + len(text.encode("utf-8", "surrogateescape"))
            yield path.name, text


def read_from(path: Path, offset: int) -> str:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", "surrogateescape")


def find_accidents(text: str, faults: Collection[str] = ()) -> list[str]:
    """Each alarm, and each record with an accident that none of these faults explains: how it begins, and the error."""
    found: list[str] = []
    for record in split_records(text):
        first = record.partition("\n")[0]
        if ALARM.search(record):
            found.append(first)
        elif ACCIDENT.search(record):
            errors = ERROR_LINE.findall(record)
            error = errors[-1] if errors else ""
            if not is_explained(error or first, faults):
                found.append(f"{first} … {error}" if error else first)
    return found


def split_records(text: str) -> Iterator[str]:
    """What has no time of its own belongs to the record before it."""
    record: list[str] = []
    for line in text.splitlines():
        if RECORD.match(line) and record:
            yield "\n".join(record)
            record = []
        record.append(line)
    if record:
        yield "\n".join(record)


def is_explained(error: str, faults: Collection[str]) -> bool:
    return any(
        re.search(pattern, error) and any(re.fullmatch(causes, fault) for fault in faults)
        for pattern, causes in EXPLAINED
    )
