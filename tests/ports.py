"""Ports for servers of the suite that must be told one before they start."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import ExitStack

# Below what the kernel gives to connections that go out: between the choice and the server's start none may take it.
LOWEST, HIGHEST = 16_000, 32_000
SHARES = 16


def _share() -> range:
    """Those of this process alone: another one must not choose the same in that time. Workers of the suite have the lower
    half; programs beside them, such as chaos rounds, the upper one."""
    worker, half = os.environ.get("PYTEST_XDIST_WORKER"), SHARES // 2
    number = int(worker.removeprefix("gw")) % half if worker else half + os.getpid() % half
    size = (HIGHEST - LOWEST) // SHARES
    first = LOWEST + number * size
    return range(first, first + size)


def find_ports(count: int) -> int:
    """The first of `count` free ports of loopback in a row."""
    share = _share()
    for _ in range(200):
        first = share.start + secrets.randbelow(len(share) - count)
        if _are_free(first, count):
            return first
    raise AssertionError("no free ports")


def _are_free(first: int, count: int) -> bool:
    with ExitStack() as stack:
        try:
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
