"""What can go wrong around a server: its disk, its clock, its database, the batch system's commands. Each trouble
offers kinds of faults by name, begins one and ends it; how long it lasts is the killer's affair."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.services import MariaDB, Unavailable, find_program

ROOM = 2 << 30
STEP = 3600
# libfaketime 0.9.10 answers EINVAL to a sleep of Python's, which names its end on the monotonic clock.
SLEEP = """\
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class Trouble(Protocol):
    """One kind at a time; to end what has not begun changes nothing."""

    kinds: tuple[str, ...]

    def begin(self, kind: str) -> None: ...

    def end(self) -> None: ...


class SmallDisk:
    """A file system of its own (tmpfs) for the spool, which can be made full and roomy again."""

    kinds = ("full-disk",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def mounted(self) -> Iterator[SmallDisk]:
        """Raises Unavailable where nothing may be mounted."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() != 0:
            raise Unavailable("a disk to fill: only root may mount one")
        done = subprocess.run(
            [find_program("mount"), "-t", "tmpfs", "-o", f"size={ROOM},mode=0700", "tmpfs", self._folder],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"a disk to fill: {done.stderr.strip()}")
        try:
            yield self
        finally:
            subprocess.run([find_program("umount"), "-l", self._folder], check=True)

    def begin(self, kind: str) -> None:
        """As small as what is on it. What is written meanwhile may need another look."""
        for _ in range(20):
            found = os.statvfs(self._folder)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            if self._resize(max(used, found.f_frsize)):
                return

    def end(self) -> None:
        assert self._resize(ROOM), "the disk stays full"

    def _resize(self, size: int) -> bool:
        program = find_program("mount")
        done = subprocess.run([program, "-o", f"remount,size={size}", self._folder], capture_output=True)
        return done.returncode == 0


class SteppedClock:
    """A Python whose clock is an hour ahead or behind while the fault lasts (libfaketime). Elapsed time is not touched,
    as when an administrator sets a clock."""

    kinds = ("clock-ahead", "clock-behind")

    def __init__(self, folder: Path) -> None:
        """Raises Unavailable where the clock cannot be stepped, or lies about it."""
        self._offset = folder / "offset"
        self.program = folder / "bin" / "python"
        self.program.parent.mkdir(parents=True)
        self.end()
        self._make_program(_find_library())
        self._prove()

    def _make_program(self, library: Path) -> None:
        """It finds itself under this name, and so starts the parts of the server with it."""
        venv, folder = Path(sys.prefix), self.program.parent.parent
        (folder / "lib").symlink_to(venv / "lib")
        (folder / "pyvenv.cfg").write_text((venv / "pyvenv.cfg").read_text())
        (folder / "patch").mkdir()
        (folder / "patch" / "sitecustomize.py").write_text(SLEEP)
        self.program.write_text(
            f"#!/bin/bash\nexport LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={self._offset}\n"
            "export FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_CACHE_DURATION=1 NO_FAKE_STAT=1\n"
            f"export PYTHONPATH={folder / 'patch'}\n"
            f'exec -a {self.program} {sys.executable} "$@"\n'
        )
        self.program.chmod(0o755)

    def _prove(self) -> None:
        here, there = time.time(), self._ask_time()
        self.begin("clock-ahead")
        ahead = self._ask_time()
        self.end()
        if abs(there - here) > STEP / 2 or abs(ahead - here - STEP) > STEP / 2:
            raise Unavailable(f"a clock to step: libfaketime shows {there - here:g} and {ahead - here:g} s")

    def _ask_time(self) -> float:
        words = (
            "import sys, time; assert sys.executable == sys.argv[1], sys.executable; at = time.monotonic();"
            " time.sleep(0.2); assert 0.19 < time.monotonic() - at, at; print(time.time())"
        )
        done = subprocess.run([self.program, "-c", words, self.program], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Unavailable(f"a clock to step: {done.stderr.strip()}")
        return float(done.stdout)

    def begin(self, kind: str) -> None:
        self._write(STEP if kind == "clock-ahead" else -STEP)

    def end(self) -> None:
        self._write(0)

    def _write(self, seconds: int) -> None:
        temporary = self._offset.with_name("offset.new")
        temporary.write_text(f"{seconds:+d}\n")
        temporary.replace(self._offset)


def _find_library() -> Path:
    for library in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        return library
    raise Unavailable("a clock to step: libfaketime is not installed")


class UnreliableDatabase:
    """A MariaDB that loses its connections, stands still, or dies and comes back."""

    kinds = ("cut-connections", "stop-database", "restart-database")

    def __init__(self, server: MariaDB) -> None:
        self._server = server

    def begin(self, kind: str) -> None:
        if kind == "cut-connections":
            self._server.cut_connections()
        elif kind == "stop-database":
            self._server.pause()
        else:
            self._server.crash()

    def end(self) -> None:
        self._server.go_on()


class MoodyCommands:
    """The commands of a batch system in a folder, each of which has moods; two calls in three are struck by one.

    hang: no answer in time. lie: it is done and reported as failed. refuse: not now. nonsense: it is done, the answer
    is none. empty (listings): nothing is there."""

    kinds = ("commands-hang", "commands-lie", "commands-refuse", "commands-nonsense", "commands-empty")

    def __init__(self, folder: Path, binaries: Path, names: tuple[str, ...]) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self._mood = folder / ".mood"
        for program in binaries.iterdir():
            (folder / program.name).symlink_to(program)
        for name in names:
            (folder / name).unlink()
            (folder / name).write_text(PROGRAM.replace("REAL", str(binaries / name)).replace("MOOD", str(self._mood)))
            (folder / name).chmod(0o755)

    def begin(self, kind: str) -> None:
        self._mood.write_text(kind.removeprefix("commands-"))
        self._mood.chmod(0o644)

    def end(self) -> None:
        self._mood.unlink(missing_ok=True)


PROGRAM = """\
#!/bin/sh
mood=none
[ $(($$ % 3)) = 0 ] || { read -r mood <MOOD; } 2>/dev/null
case "$mood:${0##*/}" in
hang:*) exec sleep 9 ;;
lie:*) REAL "$@" >/dev/null 2>&1; echo "error: communication was interrupted" >&2; exit 1 ;;
refuse:qsub | refuse:sbatch) echo "only 10 jobs are allowed per user, try again (submit limit)" >&2; exit 1 ;;
refuse:*) echo "error: cannot contact the server" >&2; exit 1 ;;
nonsense:*) REAL "$@" >/dev/null 2>&1; echo '<half an ans'; exit 0 ;;
empty:qstat) echo '<?xml version="1.0"?><job_info><queue_info></queue_info><job_info></job_info></job_info>' ;;
empty:squeue) REAL "$@" | head -n 1 ;;
*) exec REAL "$@" ;;
esac
"""
