"""The map of memory and run time: round edges, and links that find what is in a cell."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows import ranges, use_map
from workflows.resource_use import GB, Attempt
from workflows.use_map import Cell

BYTES = st.integers(0, 10**13)
SECONDS = st.floats(0, 10**7).map(lambda seconds: round(seconds, 6))


def attempt(size: int, seconds: float) -> Attempt:
    return Attempt.from_row((1, "fit", 4.0, size, None, seconds, "", 1, None, "fit_1"))


def finds(cell: Cell, size: int, seconds: float) -> bool:
    """Whether the link of the cell finds an attempt that used this."""
    memory, time = (ranges.read_range(cell.query[name]) for name in ("memory", "runtime"))
    assert memory is not None and memory.low is not None and memory.high is not None
    assert time is not None and time.low is not None and time.high is not None
    return int(memory.low * GB) <= size < int(memory.high * GB) and float(time.low) <= seconds < float(time.high)


@given(st.lists(st.tuples(BYTES, SECONDS), min_size=1, max_size=30))
def test_each_attempt_is_found_by_its_cell_alone(used: list[tuple[int, float]]) -> None:
    cells = use_map.make_map([attempt(*one) for one in used])
    assert sum(cell.jobs for cell in cells) == len(used)
    for cell in cells:
        assert sum(finds(cell, *one) for one in used) == cell.jobs
    assert {sum(finds(cell, *one) for cell in cells) for one in used} == {1}
    assert all(0 <= cell.column < use_map.COLUMNS and 0 <= cell.row < use_map.ROWS for cell in cells)


@given(BYTES)
def test_a_column_is_round_and_no_wider_than_it_must(largest: int) -> None:
    step = use_map.memory_step(largest)
    assert step * use_map.COLUMNS > largest
    assert step == use_map.LEAST_BYTES or step <= 1.5 * (largest / use_map.COLUMNS + 1)
    assert len(str(step).rstrip("0")) <= 2


@pytest.mark.parametrize(
    ("longest", "step"),
    [
        (0.0, 0.001), (0.016, 0.002), (0.8, 0.1), (15.9, 1), (16, 2), (100, 10), (240, 20), (3600, 300), (7200, 600),
        (86400, 7200), (30 * 86400, 2 * 86400),
    ],
)  # fmt: skip
def test_a_row_is_as_long_as_people_count(longest: float, step: float) -> None:
    assert use_map.time_step(longest) == pytest.approx(step)
    assert use_map.time_step(longest) * use_map.ROWS > longest


def test_a_cell_says_its_range() -> None:
    cell = Cell(3, 1, (1.8, 2.4), (4500.0, 5400.0), 12)
    assert cell.words == "1.8 to 2.4 GB, 1 h 15 min to 1 h 30 min"
    assert cell.query == {"memory": "1.8-2.4", "runtime": "4500-5400"}


def test_stored_cells_come_back_and_those_of_before_hold_what_is_on_their_edge() -> None:
    [cell] = use_map.make_map([attempt(2_000_000_000, 600.0)])
    assert use_map.read_cell(asdict(cell)) == cell
    largest, longest = 12_840_000_001, 1857.600001
    width, height = largest / GB / 24, longest / 16
    stored = {
        "column": 23, "row": 15, "memory": [23 * width, 24 * width], "time": [15 * height, 16 * height], "jobs": 1,
        "ids": [7],
    }  # fmt: skip
    assert finds(use_map.read_cell(stored), largest, longest)


@pytest.mark.parametrize(
    ("text", "words", "times"),
    [
        ("1.8-2.4", "1.8 to 2.4 GB", "1.8 s to 2.4 s"),
        ("90-", "90 GB or more", "1 min 30 s or more"),
        ("-3600", "under 3600 GB", "under 1 h"),
        (" 0-86401 ", "0 to 86401 GB", "0 s to 1 d 1 s"),
    ],
)
def test_ranges_are_read_and_said(text: str, words: str, times: str) -> None:
    found = ranges.read_range(text)
    assert found is not None
    assert (ranges.gigabytes_between(found), ranges.seconds_between(found)) == (words, times)


@pytest.mark.parametrize(
    "text", ["", "-", "2", "3-2", "2-2", "a-b", "1e3-", "1--2", "-1-2", "\u0661-\u0662", "1" * 10 + "-", "1-2-3"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    assert ranges.read_range(text) is None
