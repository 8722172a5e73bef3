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
        "upstreams": 0, "held": 0, "before": 10 + 30 + 70, "queue": 10 + 4 + 30, "computing": 30 + 10, "retries": 30,
    }  # fmt: skip
    assert time_use.split_sentence(parts, 4) == (
        "Where the time of 4 attempts went: 49 % waiting for upstreams or a limit (not known which), 20 % submitted but not started, "
        "18 % computing, 13 % in attempts that failed.".replace(" %", "\u00a0%")
    )


def waited(submitted: float, ready: float | None) -> dict[str, float]:
    """Minutes of each way of waiting of a job in a run that begins at 0."""
    moment = None if ready is None else at(ready)
    parts = time_use.split_time([Timed(1, 1, 7, at(submitted), at(submitted), at(90), False, moment)], at(0), at(90))
    return {name: parts[name] / 60 for name in ("upstreams", "held", "before")}


def test_waiting_for_upstreams_and_for_a_limit_are_told_apart() -> None:
    assert waited(30, ready=20) == {"upstreams": 20, "held": 10, "before": 0}
    assert waited(30, ready=-50) == {"upstreams": 0, "held": 30, "before": 0}  # its upstreams were done in a run before
    assert waited(30, ready=30) == {"upstreams": 30, "held": 0, "before": 0}


def test_what_is_not_known_is_not_guessed() -> None:
    """Older rows have no such moment; a job whose upstream ran again after it became ready a second time."""
    assert waited(30, ready=None) == {"upstreams": 0, "held": 0, "before": 30}
    assert waited(30, ready=60) == {"upstreams": 0, "held": 0, "before": 30}


def test_only_the_first_submission_of_a_job_waits_from_the_beginning() -> None:
    again = [
        Timed(2, 1, 7, at(50), at(50), at(60), False, at(10)),
        Timed(1, 1, 7, at(20), at(20), at(40), True, at(10)),
    ]
    parts = time_use.split_time(again, at(0), at(90))
    assert (parts["upstreams"], parts["held"], parts["before"]) == (600, 600, 0)


def test_nothing_is_said_of_nothing_and_little_is_not_none() -> None:
    assert time_use.split_sentence(time_use.split_time([], START, START), 0) == ""
    told = time_use.split_sentence({"before": 0.0, "queue": 1.0, "computing": 999.0, "retries": 0.0}, 1)
    assert told == "Where the time of 1 attempt went: 100\u00a0% computing, under 1\u00a0% submitted but not started."


def test_run_times_are_those_of_attempts_that_succeeded() -> None:
    found = time_use.run_times(ATTEMPTS)
    assert set(found) == {7}
    assert (found[7].median, found[7].largest) == (600.0, 1800.0)


def test_a_group_was_at_work_from_its_first_submission_to_its_last_end() -> None:
    assert time_use.spans(ATTEMPTS, at(90)) == {7: (at(0), at(75)), 9: (at(60), at(90))}
