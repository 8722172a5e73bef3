"""Where the time of attempts went, by part, and how long they ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from workflows import time_use
from workflows.time_use import Timed

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


ATTEMPTS = [
    Timed(1, 1, 7, at(0), at(10), at(40), has_failed=True),
    Timed(2, 1, 7, at(41), at(45), at(75), has_failed=False),
    Timed(3, 2, 7, at(20), at(20), at(30), has_failed=False),
    Timed(4, 3, 9, at(60), None, None, has_failed=False),
]


def test_time_is_split_into_what_it_was_spent_on() -> None:
    parts = time_use.split_time(ATTEMPTS, at(-10), at(90))
    assert {name: seconds / 60 for name, seconds in parts.items()} == {
        "before": 10 + 30 + 70, "queue": 10 + 4 + 30, "computing": 30 + 10, "retries": 30,
    }  # fmt: skip
    assert time_use.split_sentence(parts, 4) == (
        "Where the time of 4 attempts went: 49 % waiting for upstreams or a limit, 20 % in the batch queue, "
        "18 % computing, 13 % in attempts that failed."
    )


def test_nothing_is_said_of_nothing_and_little_is_not_none() -> None:
    assert time_use.split_sentence(time_use.split_time([], START, START), 0) == ""
    told = time_use.split_sentence({"before": 0.0, "queue": 1.0, "computing": 999.0, "retries": 0.0}, 1)
    assert told == "Where the time of 1 attempt went: 100 % computing, under 1 % in the batch queue."


def test_run_times_are_those_of_attempts_that_succeeded() -> None:
    found = time_use.run_times(ATTEMPTS)
    assert set(found) == {7}
    assert (found[7].median, found[7].largest) == (600.0, 1800.0)


def test_a_group_was_at_work_from_its_first_submission_to_its_last_end() -> None:
    assert time_use.spans(ATTEMPTS, at(90)) == {7: (at(0), at(75)), 9: (at(60), at(90))}
