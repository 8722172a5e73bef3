"""Words for the person at the terminal: to the `jobmon` logger where logging is set up, else to stderr."""

from __future__ import annotations

import logging
import sys

logger = logging.getLogger("jobmon")


def tell(message: str, level: int = logging.INFO) -> None:
    """Say it once. A level set on the `jobmon` logger decides what is said; without one, nothing is lost."""
    if logger.level != logging.NOTSET and not logger.isEnabledFor(level):
        return
    if logger.hasHandlers() and logger.isEnabledFor(level):
        logger.log(level, "%s", message)
    else:
        sys.stderr.write(f"jobmon: {message}\n")
        sys.stderr.flush()
