"""How long the supervisor waits before it starts a part again."""

from __future__ import annotations

import pytest

from jobmon_site.supervisor import MAX_BACKOFF_SECONDS, STABLE_SECONDS, Child, Part


@pytest.fixture
def child() -> Child:
    made = Child(Part("worker", ["true"], {}, "/dev/null", 2, "announce"))
    made.started = 1000.0
    return made


def test_a_part_that_had_worked_comes_back_at_once(child: Child) -> None:
    for _ in range(5):
        assert child.plan_restart(child.started + STABLE_SECONDS + 1) <= 0.5


def test_a_part_that_dies_at_once_waits_longer_each_time(child: Child) -> None:
    delays = [child.plan_restart(child.started + 1) for _ in range(12)]
    assert delays == sorted(delays)
    assert delays[0] <= 0.5
    assert delays[-1] == MAX_BACKOFF_SECONDS


def test_a_long_life_makes_good_for_short_ones(child: Child) -> None:
    for _ in range(8):
        child.plan_restart(child.started + 1)
    assert child.plan_restart(child.started + STABLE_SECONDS + 1) <= 0.5
