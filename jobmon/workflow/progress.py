"""What a waiting person sees: a live line on a terminal, a line of text now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from jobmon.plain import clean
from jobmon.talk import tell

if TYPE_CHECKING:
    from typing import Protocol, TextIO

    class Progress(Protocol):
        """Shows a run (a dictionary of the API) each time it has changed or some time has gone by."""

        def show(self, run: dict[str, Any]) -> None: ...

        def close(self) -> None: ...


LOG_EVERY = 10.0


def format_elapsed(seconds: float) -> str:
    """Like 0:07, 12:40 or 3:05:00."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def describe_counts(run: dict[str, Any]) -> str:
    """Like "3 of 4 done, 1 running, 0 failed", with the reason of a hold or the mode of a stop."""
    counts = run.get("counts") or {}
    total = sum(counts.values())
    submitted = f", {counts['I']} submitted" if counts.get("I") else ""
    text = f"{counts.get('D', 0)} of {total} done, {counts.get('R', 0)} running{submitted}, {counts.get('F', 0)} failed"
    if run.get("stopping"):
        text += f" (stopping: {run['stopping']})"
    if run.get("hold_reason"):
        text += f" (held: {' '.join(clean(run['hold_reason']).split())})"
    return text


class LogProgress:
    """A line when something has changed, at most every ten seconds, except at the end."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._told_at = self._started - LOG_EVERY
        self._told = ""
        self._last = ""

    def show(self, run: dict[str, Any]) -> None:
        self._last = describe_counts(run)
        if time.monotonic() - self._told_at >= LOG_EVERY:
            self._tell_last()

    def close(self) -> None:
        self._tell_last()

    def _tell_last(self) -> None:
        if self._last == self._told:
            return
        self._told, self._told_at = self._last, time.monotonic()
        tell(f"{self._last}, {format_elapsed(time.monotonic() - self._started)}")


class LineProgress:
    """One line of a terminal, written over and over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()

    def show(self, run: dict[str, Any]) -> None:
        elapsed = format_elapsed(time.monotonic() - self._started)
        self._stream.write(f"\r\x1b[K{describe_counts(run)}, {elapsed}")
        self._stream.flush()

    def close(self) -> None:
        self._stream.write("\n")
        self._stream.flush()


class RichProgress:
    """A bar, by rich; other words on stderr appear above it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 - rich is optional here
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        # redirect_stdout stays off: the script's own output is data and is not ours to move
        self._bar = Progress(
            BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(),
            console=Console(file=stream), redirect_stdout=False,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def show(self, run: dict[str, Any]) -> None:
        counts = run.get("counts") or {}
        self._bar.update(
            self._task,
            description=describe_counts(run),
            total=sum(counts.values()) or None,
            completed=counts.get("D", 0),
        )

    def close(self) -> None:
        self._bar.stop()


def choose_progress(stream: TextIO | None = None) -> Progress:
    """What suits the stream (stderr): rich on a terminal if it is installed, a plain line if not, else text."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        return LogProgress()
    try:
        return RichProgress(stream)
    except ImportError:
        return LineProgress(stream)
