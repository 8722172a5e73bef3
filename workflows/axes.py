"""Pure: where the lines of a picture stand, at numbers and times that people would choose, and what is written there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from workflows import words

MOST_TICKS = 7
LAST_LABEL = 0.95  # what begins farther right would be cut off
SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAY = 86400


@dataclass(frozen=True, slots=True)
class Tick:
    """A line at this share of the axis. An empty label: the line alone."""

    share: float
    label: str


def number_step(top: float, most: int) -> float:
    """1, 2 or 5 times a power of ten, so that at most so many steps reach the top."""
    least = top / most
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def time_step(seconds: float, most: int) -> int:
    """Seconds, minutes, hours or days as clocks divide them."""
    found = next((step for step in SECONDS if seconds / step <= most), 0)
    return found or DAY * math.ceil(number_step(max(seconds / DAY, 1), most))


def _steps(step: float, top: float) -> Sequence[float]:
    return [step * index for index in range(1, int(top / step * (1 + 1e-9)) + 1)]


def number_ticks(top: float, most: int = 4, unit: str = "") -> list[Tick]:
    """From the first step above 0 up to the top."""
    if top <= 0:
        return []
    steps = _steps(number_step(top, most), top)
    return [Tick(value / top, f"{value:,.6g}{unit}") for value in steps]


def count_ticks(top: int, most: int = 3) -> list[Tick]:
    """The same of whole things."""
    if top <= 0:
        return []
    return [Tick(value / top, f"{value:,.0f}") for value in _steps(max(1.0, number_step(top, most)), top)]


def duration_ticks(top: float, most: int = 5) -> list[Tick]:
    if top <= 0:
        return []
    step = time_step(top, most) if top >= 1 else number_step(top, most)
    return [Tick(value / top, words.duration(value)) for value in _steps(step, top)]


def clock_ticks(begin: datetime, end: datetime) -> list[Tick]:
    """Round times between two moments, in the zone that these are in; a day where a new one begins."""
    span = (end - begin).total_seconds()
    if span <= 0:
        return []
    step = time_step(span, MOST_TICKS)
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    first = math.ceil((begin - midnight).total_seconds() / step)
    ticks = []
    for index in range(first, first + MOST_TICKS + 1):
        moment = midnight + timedelta(seconds=index * step)
        share = (moment - begin).total_seconds() / span
        if share <= 1:
            ticks.append(Tick(share, clock_label(moment, step) if share <= LAST_LABEL else ""))
    return ticks


def clock_label(moment: datetime, step: int) -> str:
    if step >= DAY or (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return f"{moment:%-d %b}"
    return f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
