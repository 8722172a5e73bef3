"""Telling the supervisor that a part is up: one byte into the pipe whose descriptor JOBMON_READY_FD names."""

from __future__ import annotations

import os

READY_VARIABLE = "JOBMON_READY_FD"


def announce_ready() -> None:
    """Say so once; without a supervisor nothing happens."""
    descriptor = os.environ.pop(READY_VARIABLE, "")
    if descriptor.isdigit():
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))
