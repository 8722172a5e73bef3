"""What this machine, or the container we run in, has to give: cores and memory."""

from __future__ import annotations

import os
from pathlib import Path

_GB = 10**9
# cgroup v1 says "no limit" with a number near the largest the kernel can count.
_UNLIMITED = 2**60


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _cgroup_folders(root: Path, controller: str) -> list[Path]:
    """Our cgroup's folder and all above it, for version 2 and for `controller` of version 1. Inside a container the
    path may not exist; then the mount's own top is the container's cgroup."""
    folders: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controller if controllers else "")
        here = mount / path.lstrip("/")
        folders += [here, *(parent for parent in here.parents if parent.is_relative_to(mount))]
    return folders


def _cpu_limit(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split() or [
        _read(folder / "cpu.cfs_quota_us"),
        _read(folder / "cpu.cfs_period_us"),
    ]
    try:
        quota, period = float(words[0]), float(words[1])
    except (ValueError, IndexError):
        return None  # "max", or no such file
    return quota / period if quota > 0 and period > 0 else None


def _memory_limit(folder: Path) -> int | None:
    text = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes")
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None


def detect_slots(root: Path = Path("/")) -> int:
    """Cores we may use: the scheduler's affinity mask, or fewer if a cgroup limits us. At least 1."""
    cores = len(os.sched_getaffinity(0))
    limits = [limit for folder in _cgroup_folders(root, "cpu") if (limit := _cpu_limit(folder)) is not None]
    return max(1, min([cores, *(int(limit) for limit in limits)]))


def detect_memory(root: Path = Path("/")) -> float:
    """Memory we may use, in GB (10**9 bytes): the machine's, or less if a cgroup limits us."""
    total = _UNLIMITED
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) * 1024
    limits = [limit for folder in _cgroup_folders(root, "memory") if (limit := _memory_limit(folder)) is not None]
    return min([total, *limits]) / _GB
