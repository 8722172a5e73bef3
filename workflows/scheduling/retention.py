"""Folders of batches whose attempts have all ended long ago. A task that starts without its folder runs nothing."""

from __future__ import annotations

import os
import re
import shutil
import time
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from workflows.models import JobInstance
from workflows.scheduling import back_ends

KEPT = timedelta(days=1)
SWEEP_EVERY = 600.0
AT_ONCE = 2000
# The number is that of the batch's first attempt; the others follow it.
_BATCH = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*-b([0-9]{1,18})")
_swept: dict[Path, float] = {}


def sweep_batches() -> int:
    """Now and then: remove what is old; how many folders that were."""
    folder = back_ends.batch_spool().root / "batches"
    if time.monotonic() - _swept.get(folder, float("-inf")) < SWEEP_EVERY:
        return 0
    _swept[folder] = time.monotonic()
    return remove_old_batches(folder)


def remove_old_batches(folder: Path) -> int:
    """Remove the folders of batches that nobody needs any more, and nothing else that may lie there."""
    removed = 0
    for name, first in _find_old(folder):
        if removed < AT_ONCE and not is_needed(name, first, _count_tasks(folder / name)):
            shutil.rmtree(folder / name, ignore_errors=True)
            removed += 1
    return removed


def _find_old(folder: Path) -> list[tuple[str, int]]:
    """Names of folders that were made long ago, with the ids of their first attempts."""
    oldest = time.time() - KEPT.total_seconds()
    try:
        with os.scandir(folder) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    old = [entry.name for entry in folders if entry.stat(follow_symlinks=False).st_mtime < oldest]
    return sorted((name, int(match[1])) for name in old if (match := _BATCH.fullmatch(name)))


def _count_tasks(folder: Path) -> int:
    try:
        return (folder / "tasks").read_bytes().count(b"\n")
    except OSError:
        return 0


def is_needed(name: str, first: int, count: int) -> bool:
    """Whether an attempt of the batch is live or has ended only lately."""
    attempts = JobInstance.objects.filter(pk__gte=first, pk__lt=first + max(1, count), batch=name)
    return attempts.exclude(ended_at__lt=timezone.now() - KEPT).exists()
