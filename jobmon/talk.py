"""Words for the person at the terminal: to the `jobmon` logger where logging is set up, else to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

from jobmon.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger("jobmon")


@contextlib.contextmanager
def only_warnings() -> Iterator[None]:
    """For what has words of its own."""
    before = logger.level
    logger.setLevel(max(before, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(before)


def tell(message: str, level: int = logging.INFO) -> None:
    """Say it once. A level set on the `jobmon` logger decides what is said; without one, nothing is lost."""
    if logger.level != logging.NOTSET and not logger.isEnabledFor(level):
        return
    if logger.hasHandlers() and logger.isEnabledFor(level):
        logger.log(level, "%s", message)
    else:
        sys.stderr.write(f"jobmon: {clean(message)}\n")
        sys.stderr.flush()
