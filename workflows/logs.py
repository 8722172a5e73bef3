"""Reads pieces of what an attempt wrote, and nothing else.

A log is named by (attempt, stream), never by a path in a request: the path was fixed when the attempt was intended.
Below the folder that the administrator or the run's owner chose, no symbolic link is followed; only a regular file with
one name, which belongs to the account that the jobs run as, is read. Reads are bounded in size, in time and in number.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from django.conf import settings

from executors.run_as import RunAs
from executors.spool import attempt_folder, find_output
from workflows import owner_logs
from workflows.models import JobInstance
from workflows.queries.accounts import account_of_run

T = TypeVar("T")
PIECE = 64 * 1024
MOST_AT_ONCE = 256 * 1024
FIND_BYTES, FIND_SECONDS, FIND_HITS = 64 * 1024 * 1024, 2.0, 50
FIND_CHUNK = 1024 * 1024
READ_SECONDS = 2.0
STREAMS = {"stdout": "out", "stderr": "err"}
FORBIDDEN_ROOTS = ("/proc", "/sys", "/dev")
_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="log-reader")


class LogUnavailable(Exception):
    """There is nothing to show. `state` names why: not-started, missing, removed, denied, refused, slow or fetching."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True, slots=True)
class LogFile:
    """Where a log is: `root` may be reached through links, nothing in `below` may. `owned`: attempt and stream of one
    that belongs to the workflow's owner; only a worker can read it, in their name."""

    root: Path
    below: tuple[str, ...]
    owned: tuple[int, str] | None = None

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.below)


@dataclass(frozen=True, slots=True)
class Piece:
    data: bytes
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + len(self.data)

    @property
    def is_binary(self) -> bool:
        return b"\0" in self.data

    @property
    def older(self) -> int | None:
        return max(0, self.offset - PIECE) if self.offset > 0 else None

    @property
    def newer(self) -> int | None:
        return self.end if self.end < self.size else None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a text was found (byte offset of its line, the line); `go_on`: where it stopped, None at the end."""

    hits: tuple[tuple[int, str], ...]
    go_on: int | None


def locate(attempt: JobInstance, stream: str) -> LogFile:
    """The file of a stream ("stdout" or "stderr"), as fixed when the attempt was intended."""
    account = account_of_run(attempt.workflow_run_id) if settings.RUN_AS == "owner" else None
    if account is not None:
        return _locate_owned(attempt, stream, account)
    chosen = attempt.stdout_path if stream == "stdout" else attempt.stderr_path
    if not chosen:
        root = Path(settings.SPOOL)
        return LogFile(root, find_output(root, attempt.pk, stream).relative_to(root).parts)
    path = Path(chosen)
    run = attempt.workflow_run
    folder = Path((run.stdout if stream == "stdout" else run.stderr) or path.parent)
    below = path.relative_to(folder).parts if path.is_relative_to(folder) else (path.name,)
    return LogFile(folder if path.is_relative_to(folder) else path.parent, below)


def _locate_owned(attempt: JobInstance, stream: str, account: str) -> LogFile:
    """For people: whoever reads it does so by attempt and stream."""
    path = Path(attempt.stdout_path if stream == "stdout" else attempt.stderr_path)
    if not path.is_absolute():
        path = attempt_folder(RunAs(Path(settings.RUN_AS_HELPER)).root(account), attempt.pk) / STREAMS[stream]
    return LogFile(path.parent, (path.name,), (attempt.pk, stream))


def folder_of(attempt: JobInstance) -> Path:
    """Where the server keeps what belongs to an attempt, for people to look at; its output may stand elsewhere."""
    account = account_of_run(attempt.workflow_run_id) if settings.RUN_AS == "owner" else None
    if account is not None:
        return attempt_folder(RunAs(Path(settings.RUN_AS_HELPER)).root(account), attempt.pk)
    return find_output(Path(settings.SPOOL), attempt.pk, "stdout").parent


def _read_owned(attempt_id: int, stream: str, offset: int | None, limit: int) -> Piece:
    found = owner_logs.fetch(owner_logs.Wanted(attempt_id, stream, -1 if offset is None else offset, limit))
    if found is None:
        raise LogUnavailable("fetching", "The log is being read in its owner's name. Look again in a moment.")
    if found.problem == "missing":
        raise LogUnavailable("missing", "There is no such file. It was not written, or it was removed.")
    if found.problem:
        raise LogUnavailable("refused", f"The log was not read: {found.words}")
    return Piece(bytes(found.data), found.start, found.size)


def read_piece(file: LogFile, offset: int | None = None, limit: int = PIECE) -> Piece:
    """At most `limit` bytes from `offset`; without one, the last ones. Raises LogUnavailable."""
    if file.owned is not None:
        return _read_owned(*file.owned, offset, min(limit, MOST_AT_ONCE))
    return _in_time(lambda: _read_piece(file, offset, min(limit, MOST_AT_ONCE)))


def find(file: LogFile, text: str, start: int = 0) -> Found:
    """Lines that hold `text`, from a byte offset on, within the limits of one search. Raises LogUnavailable."""
    if file.owned is not None:
        piece = read_piece(file, start, MOST_AT_ONCE)
        return Found(tuple(_hits_in(piece.data, text.encode(), piece.offset)), piece.newer)
    return _in_time(lambda: _find(file, text.encode(), start), FIND_SECONDS + 1)


def stream_whole(file: LogFile) -> Iterator[bytes]:
    """The whole file as it is now. Raises LogUnavailable before the first chunk."""
    descriptor, size = _in_time(lambda: _open(file))
    return _chunks(descriptor, size)


def _chunks(descriptor: int, size: int) -> Iterator[bytes]:
    try:
        offset = 0
        while offset < size:
            data = os.pread(descriptor, min(MOST_AT_ONCE, size - offset), offset)
            if not data:
                return
            yield data
            offset += len(data)
    finally:
        os.close(descriptor)


def _in_time(read: Callable[[], T], seconds: float = READ_SECONDS) -> T:
    """A hung file system must not hang the page: the read goes on in its thread, nobody waits for it."""
    future = _readers.submit(read)
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        future.cancel()
        raise LogUnavailable("slow", f"The file system did not answer in {seconds:.0f} s. Try again.") from None


def _open(file: LogFile) -> tuple[int, int]:
    """A descriptor of the log, and its size. Raises LogUnavailable."""
    if not file.below or any(part in ("", ".", "..") or "/" in part or "\0" in part for part in file.below):
        raise LogUnavailable("refused", "This is not the path of a log.")
    try:
        folder = _walk(file)
    except OSError as error:
        raise _unavailable(error, is_folder=True) from error
    except ValueError as error:
        raise LogUnavailable("refused", "This is not the path of a log.") from error
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(file.below[-1], flags, dir_fd=folder)
    except OSError as error:
        raise _unavailable(error) from error
    except ValueError as error:
        raise LogUnavailable("refused", "This is not the path of a log.") from error
    finally:
        os.close(folder)
    try:
        return descriptor, _check(descriptor)
    except LogUnavailable:
        os.close(descriptor)
        raise


def _walk(file: LogFile) -> int:
    """The folder of the log, opened component by component below the root, following no link."""
    folder = os.open(file.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in file.below[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
    except BaseException:
        os.close(folder)
        raise
    return folder


def _check(descriptor: int) -> int:
    """The size, if this is a regular file of ours with one name."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise LogUnavailable("refused", "This is not a regular file; it is not read.")
    if status.st_nlink > 1:
        raise LogUnavailable("refused", "The file has more than one name; it is not read.")
    if status.st_uid != os.getuid():
        raise LogUnavailable("refused", "The file belongs to another account than the jobs; it is not read.")
    real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    if real.startswith(tuple(root + "/" for root in FORBIDDEN_ROOTS)):
        raise LogUnavailable("refused", "This file belongs to the system; it is not read.")
    return status.st_size


def _unavailable(error: OSError, *, is_folder: bool = False) -> LogUnavailable:
    if error.errno == errno.ENOENT and is_folder:
        return LogUnavailable("removed", "The folder of this file is gone: it was removed, or its file system is away.")
    if error.errno in (errno.ENOENT, errno.ENAMETOOLONG):
        return LogUnavailable(
            "missing", "There is no such file in its folder: the attempt wrote none, or it was removed."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return LogUnavailable("denied", "The server has no right to read this file.")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EMLINK):
        return LogUnavailable("refused", "A part of the path is a link or no folder; it is not read.")
    return LogUnavailable("missing", f"The file could not be opened: {os.strerror(error.errno or 0)}.")


def _read_piece(file: LogFile, offset: int | None, limit: int) -> Piece:
    descriptor, size = _open(file)
    try:
        start = max(0, size - limit) if offset is None else min(max(0, offset), size)
        return Piece(os.pread(descriptor, limit, start), start, size)
    finally:
        os.close(descriptor)


def _find(file: LogFile, needle: bytes, start: int) -> Found:
    descriptor, size = _open(file)
    deadline = time.monotonic() + FIND_SECONDS
    hits: list[tuple[int, str]] = []
    at, last = max(0, start), min(size, max(0, start) + FIND_BYTES)
    try:
        while at < last and len(hits) < FIND_HITS and time.monotonic() < deadline:
            chunk = os.pread(descriptor, FIND_CHUNK + len(needle), at)
            hits += _hits_in(chunk, needle, at)
            at += FIND_CHUNK
    finally:
        os.close(descriptor)
    if len(hits) >= FIND_HITS:
        hits = hits[:FIND_HITS]
        return Found(tuple(hits), hits[-1][0] + 1)
    return Found(tuple(hits), at if at < size else None)


def _hits_in(chunk: bytes, needle: bytes, base: int) -> list[tuple[int, str]]:
    """One hit a line, for hits that begin in the first FIND_CHUNK bytes."""
    found: list[tuple[int, str]] = []
    at = chunk.find(needle)
    while 0 <= at < FIND_CHUNK and len(found) < FIND_HITS:
        begin = chunk.rfind(b"\n", 0, at) + 1
        end = chunk.find(b"\n", at)
        end = len(chunk) if end < 0 else end
        found.append((base + begin, chunk[begin : min(end, begin + 400)].decode("utf-8", "replace")))
        at = chunk.find(needle, end)
    return found
