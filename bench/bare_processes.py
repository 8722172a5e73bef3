"""Bare processes of the kinds that a server consists of, side by side as its own are: what there is before any of ours."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from processes import Memory, read_peak_rss, read_pss
from services import ROOT, open_mariadb, read_mariadb_pid

from jobmon_site.embedded import find_redis
from tests.waiting import wait_until

PROJECT = ROOT / "bench" / "bare_project.py"
KINDS = ("web", "worker", "beat", "python")


@contextmanager
def run_bare_project() -> Iterator[dict[str, int]]:
    """Name → pid: Redis, web, worker, beat and a bare Python, all of them ready."""
    with tempfile.TemporaryDirectory(prefix="jobmon-bare-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        redis = [find_redis(), "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--save", ""]
        pids = {"redis": _start(stack, folder, "redis", redis)}
        wait_until((folder / "redis.sock").exists, 60, "Redis listens")
        for kind in KINDS:
            pids[kind] = _start(stack, folder, kind, [sys.executable, str(PROJECT), kind, name])
        for kind in KINDS:
            wait_until((folder / kind).exists, 120, f"the bare {kind} is ready")
        yield pids


def _start(stack: contextlib.ExitStack, folder: Path, kind: str, command: list[str]) -> int:
    with open(folder / f"{kind}.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    stack.callback(_end, process)
    return process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@cache
def measure_bare(database: str = "sqlite") -> dict[str, Memory]:
    """The memory of each bare process, by the name of the part of ours whose baseline it is. Measured once."""
    with run_bare_project() as pids:
        found = {name: Memory(read_peak_rss(pid), read_pss(pid)) for name, pid in pids.items()}
    found |= dict.fromkeys(("serve", "shepherd", "script"), found["python"])
    if database == "mariadb":
        found["mariadb"] = _measure_mariadb()
    return found


def _measure_mariadb() -> Memory:
    with tempfile.TemporaryDirectory(prefix="jobmon-bare-") as folder, open_mariadb(Path(folder) / "mariadb") as given:
        pid = read_mariadb_pid(given)
        return Memory(read_peak_rss(pid), read_pss(pid))
