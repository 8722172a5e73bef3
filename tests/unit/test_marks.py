"""Marks of events: in the picture, in order, with numbers that do not touch each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from workflows.audit_words import limits_words
from workflows.queries.run_events import RunEvent
from workflows.queries.timeline import MOST_BINS, fold
from workflows.views.marks import EDGE, LEAST_GAP, MOST_MARKS, ROWS, height_with, make_marks

BEGIN = datetime(2026, 3, 1, 10, 0, 40, tzinfo=UTC)
FOOT = 220


@given(st.lists(st.integers(-600, 7800), max_size=60))
def test_numbers_stand_in_the_picture_and_do_not_touch(seconds: list[int]) -> None:
    events = [RunEvent(BEGIN + timedelta(seconds=one), "x") for one in sorted(seconds)]
    marks = make_marks(events, BEGIN, BEGIN + timedelta(hours=2), FOOT)
    assert [mark.event for mark in marks] == events[-MOST_MARKS:]
    assert [mark.number for mark in marks] == list(range(1, len(marks) + 1))
    assert all(0 <= mark.x <= 1000 and EDGE <= mark.text_x <= 1000 - EDGE for mark in marks)
    rows: dict[float, list[float]] = {}
    for mark in marks:
        if mark.text_y is not None:
            assert FOOT < mark.text_y < height_with(marks, FOOT)
            rows.setdefault(mark.text_y, []).append(mark.text_x)
    assert len(rows) <= ROWS
    for places in rows.values():
        assert all(after - before >= LEAST_GAP for before, after in pairwise(places))


def test_a_mark_without_room_for_its_number_keeps_its_line() -> None:
    marks = make_marks([RunEvent(BEGIN, "x")] * (ROWS + 1), BEGIN, BEGIN + timedelta(hours=1), FOOT)
    assert [mark.text_y is None for mark in marks] == [False] * ROWS + [True]
    assert marks[-1].line_end == FOOT


def test_a_picture_without_events_keeps_its_height() -> None:
    assert height_with([], 226) == 226


def test_limits_are_told_as_they_changed() -> None:
    before, after = {"run": 100, "fit": None, "end": 5}, {"run": 1500, "fit": 20, "end": 5}
    assert limits_words(before, after) == "Limits changed: all 100 → 1,500, fit none → 20"
    assert limits_words(after, after) == "Limits set again, as they were"


def test_minutes_cover_what_they_are_asked_to() -> None:
    at = BEGIN.replace(second=0)
    seen = [(at + timedelta(minutes=number), (1, 2)) for number in range(3)]
    cover = (BEGIN - timedelta(minutes=2), BEGIN + timedelta(minutes=4))
    found = fold(seen, is_cut=False, cover=cover)
    assert [bin.running for bin in found.bins] == [None, None, 2, 2, 2, None, None]
    assert found.bins[0].at == at - timedelta(minutes=2)
    assert [bin.running for bin in fold(seen, is_cut=True, cover=cover).bins] == [2, 2, 2, None, None]
    assert [bin.running for bin in fold(seen, is_cut=False, cover=(BEGIN, BEGIN)).bins] == [2, 2, 2]
    century = (BEGIN, BEGIN + timedelta(days=36500))
    assert len(fold(seen, is_cut=False, cover=century).bins) <= MOST_BINS
