"""The invariant of the spool: what the attempts' files say, against their rows. Reads only; `remove_temporaries` is for
those who ask for a repair."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from executors.base import Evidence, TokenKind
from executors.local_spool import LocalSpool
from executors.spool import LOCAL, Spool
from workflows.digits import read_digits
from workflows.invariant_checks import Found
from workflows.models import JobInstance
from workflows.scheduling import back_ends

DAY = 86_400.0
AT_ONCE = 1000


def check_spool(root: Path) -> Found:
    """Everything in which the spool contradicts the rows or its own rules."""
    if not root.is_dir():
        return
    for path in find_temporaries(root):
        yield str(path), "is a temporary file older than a day"
    for spool, folders in ((Spool(root), _folders(root)), (LocalSpool(root), _local_names(root))):
        while chunk := dict(islice(folders, AT_ONCE)):
            yield from _compare(spool, chunk)
    yield from live_without_files()


def find_temporaries(root: Path) -> Iterator[Path]:
    """Left by whoever died between writing and linking."""
    oldest = time.time() - DAY
    for folder, folders, files in os.walk(root):
        for name in (*files, *folders):
            if name.startswith((".", "check.")):
                path = Path(folder, name)
                if (found := _stat(path)) is not None and found.st_mtime < oldest:
                    yield path


def remove_temporaries(root: Path) -> int:
    """Only files: whoever made a folder may still want it."""
    removed = 0
    for path in list(find_temporaries(root)):
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _numbered(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(name.name for name in os.scandir(folder) if read_digits(name.name) is not None)
    except OSError:
        return
    for name in names:
        yield folder / name


def _folders(root: Path) -> Iterator[tuple[int, Path]]:
    """Attempt → its folder."""
    for shard in _numbered(root):
        for folder in _numbered(shard):
            yield int(folder.name), folder


def _local_names(root: Path) -> Iterator[tuple[int, Path]]:
    """Attempt → its token, or its command before there is one."""
    for shard in _numbered(root / LOCAL):
        with os.scandir(shard) as entries:
            names = {entry.name.partition(".")[0] for entry in entries}
        for name in sorted(name for name in names if read_digits(name) is not None):
            token = shard / f"{name}.token"
            yield int(name), token if token.exists() else shard / f"{name}.command"


def _compare(spool: Spool, paths: dict[int, Path]) -> Found:
    rows = JobInstance.objects.filter(pk__in=list(paths)).values_list("pk", "status", "reason")
    known = {pk: (status, reason) for pk, status, reason in rows}
    evidence = spool.read(paths)
    for instance_id, path in paths.items():
        for guard in (path if path.is_dir() else path.parent, Path(spool.file(instance_id, "command"))):
            if (found := _stat(guard)) is not None and found.st_mode & 0o077:
                yield (
                    f"attempt {instance_id}",
                    f"is open to others: {guard} has the mode {stat.filemode(found.st_mode)}",
                )
        if instance_id not in known:
            yield f"attempt {instance_id}", f"has files ({path}), but there is no such attempt"
        elif (seen := evidence.get(instance_id)) is not None:
            yield from _judge(instance_id, seen, *known[instance_id])


def _judge(instance_id: int, seen: Evidence, status: str, reason: str) -> Found:
    name, is_void = f"attempt {instance_id}", seen.token is not None and seen.token.kind is TokenKind.VOID
    if is_void and (status in "RD" or seen.exit is not None):
        yield name, f"is {status}, but its token says that it never may start"
    if reason == "void" and seen.token is not None and not is_void:
        yield name, "was given up as never started, but its token says that it started"
    if status == "D" and not is_void and (seen.exit is None or seen.exit.code != 0):
        yield name, "is D, but its token does not tell of an end with 0"


def live_without_files() -> Found:
    """What was accepted or runs has files, where the executor keeps any."""
    for name in back_ends.executor_names():
        spool = _spool_of(name)
        if spool is not None:
            rows = JobInstance.objects.filter(executor_type=name, status__in=["B", "R"]).order_by("pk")
            yield from _find_missing(spool, rows.values_list("pk", flat=True).iterator(chunk_size=AT_ONCE))


def _spool_of(name: str) -> Spool | None:
    try:
        store = back_ends.get(name).store
    except back_ends.UnknownExecutor:
        return None
    return store if isinstance(store, Spool) else None


def _find_missing(spool: Spool, instance_ids: Iterable[int]) -> Found:
    for instance_id in instance_ids:
        if not os.path.lexists(spool.file(instance_id, "command")):
            yield f"attempt {instance_id}", "is live, but has no files"
