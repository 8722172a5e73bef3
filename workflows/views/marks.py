"""Events as marks in a picture of time: thin lines with a number below, which the table of events explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workflows.queries.run_events import RunEvent

MOST_MARKS = 30
ROWS, ROW_HEIGHT, LEAST_GAP, EDGE = 3, 14, 20, 8


@dataclass(frozen=True, slots=True)
class Mark:
    """An event at x, in parts of 1,000. Its number stands below the picture; `text_y` is None where there is no room."""

    number: int
    event: RunEvent
    x: float
    line_end: float
    text_x: float
    text_y: float | None


def make_marks(events: Sequence[RunEvent], begin: datetime, end: datetime, foot: float) -> list[Mark]:
    """The newest 30, numbered as they came. Numbers that would touch each other go into further rows."""
    whole = max((end - begin).total_seconds(), 1)
    marks: list[Mark] = []
    taken: list[float] = []  # how far each row is used
    for number, event in enumerate(events[-MOST_MARKS:], 1):
        x = round(min(1000.0, max(0.0, (event.at - begin).total_seconds() / whole * 1000)), 1)
        text_x = min(1000.0 - EDGE, max(float(EDGE), x))
        row = _free_row(taken, text_x)
        text_y = None if row is None else round(foot + ROW_HEIGHT * (row + 1), 1)
        marks.append(Mark(number, event, x, foot if text_y is None else text_y - 10, text_x, text_y))
    return marks


def _free_row(taken: list[float], x: float) -> int | None:
    """The first row with room at x, which is then used that far."""
    for row in range(ROWS):
        if row == len(taken):
            taken.append(x)
            return row
        if x - taken[row] >= LEAST_GAP:
            taken[row] = x
            return row
    return None


def height_with(marks: Sequence[Mark], height: float) -> int:
    """How tall a picture of this height is with the numbers below it."""
    return round(max([height, *(mark.text_y + 4 for mark in marks if mark.text_y is not None)]))
