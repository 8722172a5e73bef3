"""Jobs far above what is usual for their tag, by name."""

from __future__ import annotations

from dataclasses import asdict

from workflows.outliers import FEWEST, LISTED, find_outliers, pick, read_outlier
from workflows.resource_use import Attempt


def attempt(job_id: int, memory: float | None, seconds: float | None, tag: str = "fit") -> Attempt:
    return Attempt(job_id, tag, 20.0, memory, 7200.0, seconds, "", name=f"{tag}_{job_id}")


def usual(count: int = 40, tag: str = "fit", first: int = 1) -> list[Attempt]:
    return [attempt(number, 4.0, 600.0, tag) for number in range(first, first + count)]


def test_what_is_far_above_the_median_of_its_tag_is_named() -> None:
    found = pick(
        find_outliers([*usual(), attempt(100, 20.0, 500.0), attempt(101, 4.0, 6000.0), attempt(102, 7.9, 1100.0)])
    )
    assert [(one.name, one.kind, one.used, one.usual, one.times) for one in found] == [
        ("fit_100", "memory", 20.0, 4.0, 5.0), ("fit_101", "time", 6000.0, 600.0, 10.0),
    ]  # fmt: skip
    assert [read_outlier(asdict(one)) for one in found] == found


def test_a_tag_is_compared_with_itself_only() -> None:
    large = [attempt(number, 400.0, 60_000.0, "end") for number in range(500, 520)]
    assert find_outliers([*usual(), *large]) == []
    assert [one.tag for one in find_outliers([*usual(), *large, attempt(1000, 1000.0, None, "end")])] == ["end"]


def test_the_furthest_few_are_listed_and_each_job_once() -> None:
    far = [attempt(number, float(number), 600.0) for number in range(100, 120)]
    found = pick(find_outliers([*usual(), *far, attempt(119, 4000.0, 600.0)]))
    assert [one.job_id for one in found] == [119, 118, 117, 116, 115]
    assert (len(found), found[0].used) == (LISTED, 4000.0)


def test_few_attempts_short_ones_and_unmeasured_ones_stand_out_from_nothing() -> None:
    assert find_outliers([*usual(FEWEST - 2), attempt(100, 90.0, 90_000.0)]) == []
    assert find_outliers([*(attempt(number, 0.01, 1.0) for number in range(9)), attempt(100, 0.09, 59.0)]) == []
    assert find_outliers([*(attempt(number, 0.0, 0.0) for number in range(9)), attempt(100, 5.0, 900.0)]) == []
    assert find_outliers([*usual(), attempt(100, None, None)]) == []


def test_what_was_found_before_stays_unless_it_is_outdone() -> None:
    before = find_outliers([*usual(), attempt(100, 20.0, 600.0)])
    assert find_outliers(usual(), before) == before
    assert find_outliers([], before) == before
    after = find_outliers([*usual(), *(attempt(number, 90.0, 600.0) for number in range(200, 200 + LISTED))], before)
    assert 100 not in {one.job_id for one in after}
