"""The journal of intents in the spool: which attempt was made for which job. Written before anything is submitted, read
only after the database was restored from a backup and no longer knows. One file per process and day, appended to: a
line costs one write for all attempts of a pass."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from workflows.lifecycle import Intended
from workflows.models import WorkflowRun

KEPT_DAYS = 30
DAY = 86_400
HOST = socket.gethostname()
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt. `workflow` is the workflow's hash, `job` the job's name: ids may be given again after a restore.
    `account`: the Unix account that it was handed over as, "" for the server's own."""

    id: int
    name: str
    executor: str
    workflow: str
    job: str
    batch: str
    index: int
    stdout: str
    stderr: str
    slots: int
    mem_free: float
    max_runtime: int | None
    at: float
    account: str = ""


def _folder() -> Path:
    return Path(settings.SPOOL) / "intents"


def write_journal(run: WorkflowRun, intended: Sequence[Intended], account: str = "") -> None:
    """Raises OSError: a disk that takes no line takes no job either."""
    now = time.time()
    entries = [
        Entry(
            item.instance_id, item.name, item.plan.executor, run.workflow.workflow_hash, item.plan.job_name, item.batch,
            item.index, item.stdout_path, item.stderr_path, item.plan.resources.slots, item.plan.resources.mem_free,
            item.plan.resources.max_runtime, now, account,
        )
        for item in intended
    ]  # fmt: skip
    text = "".join(_render(entry) for entry in entries).encode()
    path = _folder() / f"{HOST}-{os.getpid()}-{int(now // DAY)}.jsonl"
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)


def _render(entry: Entry) -> str:
    """A line. The last release knows no accounts, so none is written where there is none."""
    fields = {name: getattr(entry, name) for name in Entry.__slots__}  # asdict() copies deeply, at four times the cost
    if not entry.account:
        del fields["account"]
    return _encode(fields) + "\n"


def read_journal() -> list[Entry]:
    """All attempts that are still in it, by their ids. A torn last line is one that was never submitted."""
    found: dict[int, Entry] = {}
    for path in sorted(_folder().glob("*.jsonl")) if _folder().is_dir() else ():
        for entry in _read_file(path):
            found[entry.id] = entry
    return [found[key] for key in sorted(found)]


def _read_file(path: Path) -> Iterator[Entry]:
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue


def remove_old_journals() -> None:
    oldest = time.time() - KEPT_DAYS * DAY
    for path in _folder().glob("*.jsonl") if _folder().is_dir() else ():
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            continue
