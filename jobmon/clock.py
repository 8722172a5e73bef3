"""The client's one place that waits: it asks a server over HTTP, which cannot call back."""

from __future__ import annotations

import time


def pause(seconds: float) -> None:
    """Let so many seconds go by; Ctrl-C ends it."""
    time.sleep(seconds)  # noqa: TID251
