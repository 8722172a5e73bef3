"""Unix stream sockets at paths of any length: the kernel's limit of 107 bytes is met by the folder's descriptor."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path


def _at(path: Path, act: Callable[[str], None]) -> None:
    """Call `act` with a short name of `path`. Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        act(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """A listening socket, private to the owner. A socket left by a dead process is replaced: the caller holds the lock
    that says there is no living one. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    previous = os.umask(0o177)
    try:
        _at(path, listener.bind)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(previous)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def connect(path: Path, timeout: float) -> socket.socket:
    """Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        _at(path, connection.connect)
    except OSError:
        connection.close()
        raise
    return connection


def is_answering(kind: str, path: Path, timeout: float = 1.0) -> bool:
    """Whether a server accepts connections there, and if it is "redis", answers PING."""
    try:
        with connect(path, timeout) as connection:
            if kind == "redis":
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            return True
    except OSError:
        return False
