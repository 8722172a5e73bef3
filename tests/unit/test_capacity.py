"""What the machine has to give, read from trees of files as kernels and containers show them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executors.capacity import detect_memory, detect_slots

GB = 10**9


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def cores() -> int:
    return len(os.sched_getaffinity(0))


def test_real_machine_has_something() -> None:
    assert 1 <= detect_slots() <= cores()
    assert detect_memory() > 0.1


def test_bare_machine(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": "MemTotal:       16000000 kB"})
    assert detect_slots(root) == cores()
    assert detect_memory(root) == pytest.approx(16.384)


def test_version_2_takes_the_tightest_of_all_levels(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": "MemTotal:       16000000 kB",
            "proc/self/cgroup": "0::/user/job",
            "sys/fs/cgroup/user/job/memory.max": "max",
            "sys/fs/cgroup/user/memory.max": str(3 * GB),
            "sys/fs/cgroup/user/job/cpu.max": "max 100000",
            "sys/fs/cgroup/user/cpu.max": "100000 100000",
        },
    )
    assert detect_memory(root) == 3.0
    assert detect_slots(root) == 1


def test_version_1(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": "MemTotal:       16000000 kB",
            "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n3:freezer:/",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(2 * GB),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert detect_memory(root) == 2.0
    assert detect_slots(root) == 1


def test_less_than_one_core_is_one_slot(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "20000 100000"})
    assert detect_slots(root) == 1
