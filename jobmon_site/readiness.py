"""Telling whoever supervises a part that it is up and alive: the embedded server's supervisor (one byte into the pipe
JOBMON_READY_FD, the time of the file JOBMON_HEARTBEAT), or systemd (its notification socket)."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from workflows.digits import read_digits

READY_VARIABLE = "JOBMON_READY_FD"
HEARTBEAT_VARIABLE = "JOBMON_HEARTBEAT"
SYSTEMD_VARIABLE = "NOTIFY_SOCKET"


def announce_ready() -> None:
    """Say so once; without a supervisor nothing happens."""
    descriptor = read_digits(os.environ.pop(READY_VARIABLE, ""))
    if descriptor is not None:
        os.write(descriptor, b"1")
        os.close(descriptor)
    _tell_systemd("READY=1")


def announce_life() -> None:
    """Say so again and again. A full disk or a supervisor that is gone must not end the part."""
    path = os.environ.get(HEARTBEAT_VARIABLE)
    with contextlib.suppress(OSError):
        if path:
            Path(path).touch()
    _tell_systemd("WATCHDOG=1")


def _tell_systemd(text: str) -> None:
    address = os.environ.get(SYSTEMD_VARIABLE, "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(text.encode(), address)
