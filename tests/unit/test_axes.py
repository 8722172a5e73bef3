"""Lines of pictures stand at round numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows import axes

EIGHT = datetime(2026, 11, 23, 8, 35, 20, tzinfo=UTC)


def labels(ticks: list[axes.Tick]) -> list[str]:
    return [tick.label for tick in ticks]


def test_a_morning_is_divided_at_half_hours() -> None:
    ticks = axes.clock_ticks(EIGHT, EIGHT + timedelta(hours=2, minutes=20))
    assert labels(ticks) == ["09:00", "09:30", "10:00", "10:30"]
    assert ticks[0].share == pytest.approx((24 * 60 + 40) / (140 * 60))


def test_seconds_are_written_only_where_they_differ() -> None:
    assert labels(axes.clock_ticks(EIGHT, EIGHT + timedelta(seconds=40)))[:2] == ["08:35:20", "08:35:30"]


def test_a_new_day_has_its_date() -> None:
    assert "24 Nov" in labels(axes.clock_ticks(EIGHT, EIGHT + timedelta(hours=24)))
    assert labels(axes.clock_ticks(EIGHT, EIGHT + timedelta(days=30)))[0] == "28 Nov"


def test_times_are_round_in_the_readers_zone() -> None:
    there = EIGHT.astimezone(ZoneInfo("Asia/Kathmandu"))  # 5 h 45 min ahead
    assert labels(axes.clock_ticks(there, there + timedelta(hours=2)))[:2] == ["14:30", "15:00"]


def test_numbers_are_round() -> None:
    assert labels(axes.number_ticks(12.84, unit=" GB")) == ["5 GB", "10 GB"]
    assert labels(axes.count_ticks(203)) == ["100", "200"]
    assert labels(axes.count_ticks(1)) == ["1"]
    assert labels(axes.duration_ticks(31 * 60)) == ["10 min", "20 min", "30 min"]
    assert axes.number_ticks(0) == axes.count_ticks(0) == axes.duration_ticks(0) == []


@given(st.floats(1e-6, 1e12))
def test_there_are_some_lines_and_never_many(top: float) -> None:
    for ticks in (axes.number_ticks(top), axes.duration_ticks(min(top, 1e9))):
        assert 1 <= len(ticks) <= 5
        assert all(0 < tick.share <= 1 + 1e-6 for tick in ticks)


@given(st.integers(0, 4 * 10**9), st.floats(1, 1e9))
def test_any_window_of_time_has_few_lines_in_order(epoch: int, seconds: float) -> None:
    begin = datetime.fromtimestamp(epoch, UTC)
    ticks = axes.clock_ticks(begin, begin + timedelta(seconds=seconds))
    shares = [tick.share for tick in ticks]
    assert shares == sorted(shares)
    assert len(ticks) <= axes.MOST_TICKS + 1
    assert all(0 <= share <= 1 for share in shares)
