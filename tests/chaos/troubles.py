"""What can go wrong around a server: its disk and its database here, its clock, the batch system's commands and its jobs
in files of their own. Each trouble offers kinds of faults by name, begins one and ends it; how long it lasts is the
killer's affair."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.services import MariaDB, Unavailable, find_program, run_mariadb

ROOM = 2 << 30


class Trouble(Protocol):
    """One kind at a time; to end what has not begun changes nothing. `has_struck` is asked while the fault lasts: whether
    it has met anything, after another try if it had met nothing yet."""

    @property
    def kinds(self) -> tuple[str, ...]: ...

    def begin(self, kind: str) -> None: ...

    def has_struck(self) -> bool: ...

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

    def has_struck(self) -> bool:
        if os.statvfs(self._folder).f_bavail:
            self.begin("full-disk")
        return os.statvfs(self._folder).f_bavail == 0

    def end(self) -> None:
        assert self._resize(ROOM), "the disk stays full"

    def _resize(self, size: int) -> bool:
        program = find_program("mount")
        done = subprocess.run([program, "-o", f"remount,size={size}", self._folder], capture_output=True)
        return done.returncode == 0


class UnreliableDatabase:
    """A MariaDB that loses its connections, stands still, or dies and comes back."""

    kinds = ("cut-connections", "stop-database", "restart-database")

    def __init__(self, server: MariaDB) -> None:
        self._server = server
        self._kind = ""
        self._is_cut = False

    def begin(self, kind: str) -> None:
        self._kind, self._is_cut = kind, False
        if kind == "cut-connections":
            self._cut()
        elif kind == "stop-database":
            self._server.pause()
        else:
            self._server.crash()

    def _cut(self) -> None:
        own = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'jobmon'"
        self._is_cut = self._is_cut or run_mariadb(self._server.socket, own)[0][0] > 0
        self._server.cut_connections()

    def has_struck(self) -> bool:
        if self._kind == "cut-connections" and not self._is_cut:
            self._cut()
        return self._kind != "cut-connections" or self._is_cut

    def end(self) -> None:
        self._server.go_on()
