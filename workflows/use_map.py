"""Pure: how memory and run time go together, as a map of cells with round edges."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows import axes
from workflows.ranges import Range, gigabytes_between, read_range, seconds_between, write_range
from workflows.resource_use import GB, Attempt

COLUMNS, ROWS = 24, 16
LEAST_BYTES, LEAST_SECONDS = 1_000, 0.001
_FACTORS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
# Run times as people count them
_TIMES = (
    1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 43200,
)  # fmt: skip
# Cells of older versions lead to a list whose edges are written to the billionth: what lies on an edge must be in it
ROOM = 2e-9


@dataclass(slots=True)
class Cell:
    """A field of the map: memory from and to in GB, run time from and to in seconds, attempts (`jobs`) in it. What is
    at its upper edge belongs to the next."""

    column: int
    row: int
    memory: tuple[float, float]
    time: tuple[float, float]
    jobs: int = 0

    @property
    def query(self) -> dict[str, str]:
        """The filters of the job table that find its jobs."""
        return {"memory": write_range(*self.memory), "runtime": write_range(*self.time)}

    @property
    def words(self) -> str:
        """`1.8 to 2.4 GB, 10 min to 15 min`."""
        memory, time = (read_range(text) or Range(None, None) for text in self.query.values())
        return f"{gigabytes_between(memory)}, {seconds_between(time)}"


def make_map(attempts: Sequence[Attempt]) -> list[Cell]:
    """The cells that are not empty, of a map of 24 by 16 from zero to beyond the largest memory and run time."""
    points = [
        (round(a.memory_used * GB), a.time_used)
        for a in attempts
        if a.memory_used is not None and a.time_used is not None
    ]
    if not points:
        return []
    width = memory_step(max(memory for memory, _ in points))
    height = time_step(max(time for _, time in points))
    memories = [column * width / GB for column in range(COLUMNS + 1)]
    times = [round(row * height, 9) for row in range(ROWS + 1)]
    cells: dict[tuple[int, int], Cell] = {}
    for memory, time in points:
        column, row = memory // width, max(0, bisect_right(times, time) - 1)
        edges = (memories[column], memories[column + 1]), (times[row], times[row + 1])
        cells.setdefault((column, row), Cell(column, row, *edges)).jobs += 1
    return [cells[key] for key in sorted(cells)]


def memory_step(largest: int) -> int:
    """Bytes of a column: the least round number of which 24 are more than the largest."""
    least = max(LEAST_BYTES, largest // COLUMNS + 1)
    power = int(10 ** (len(str(least)) - 1))
    return next(step for factor in _FACTORS if (step := round(power * factor)) >= least)


def time_step(longest: float) -> float:
    """Seconds of a row: the least as clocks divide them of which 16 are more than the longest."""
    if longest < ROWS:
        step = axes.number_step(max(longest, LEAST_SECONDS * ROWS), ROWS)
        return step if round(step * ROWS, 9) > longest else axes.number_step(step * 1.5, 1)
    found = next((step for step in _TIMES if step * ROWS > longest), 0)
    return found or 86400 * math.ceil(axes.number_step((longest + 1) / 86400, ROWS))


def read_cell(stored: Mapping[str, Any]) -> Cell:
    """Back from `dataclasses.asdict`. Older versions wrote the ids of some of its jobs, and edges of any value."""
    is_old = "ids" in stored
    kept = {name: value for name, value in stored.items() if name != "ids"}
    edges = {name: _with_room(*stored[name]) if is_old else tuple(stored[name]) for name in ("memory", "time")}
    return Cell(**{**kept, **edges})


def _with_room(low: float, high: float) -> tuple[float, float]:
    return max(0.0, low - ROOM), high + ROOM
