"""What to ask for next time: round, enough for nearly all, and honest about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.requests import (
    COVER,
    MIN_MEASURED,
    Used,
    format_runtime,
    from_bins,
    from_samples,
    request_line,
    round_up_memory,
    round_up_runtime,
    share_covered,
    suggest_memory,
    suggest_runtime,
)


def test_the_sentence_of_the_page() -> None:
    used = from_bins([(16, 9800), (18, 110), (24, 90)])
    found = suggest_memory(used, asked=20, hours=2050)
    assert found.request == 18
    assert found.covers == pytest.approx(0.991)
    assert found.sentence == "18 GB covers 99.1 %; 4,100 GB-h less; about 0.9 % will need a second attempt"


def test_asking_for_more_says_so() -> None:
    found = suggest_memory(from_samples([9.2] * 100), asked=8, hours=100)
    assert (found.request, found.saved) == (10, -200)
    assert "200 GB-h more" in found.sentence


def test_none_seen_is_not_none() -> None:
    found = suggest_memory(from_samples([3.2] * 60), asked=3.5, hours=10)
    assert found.sentence == "3.5 GB, as now, covers 100 %; none of 60 needed more, so at most about 5 % will need more"


def test_run_times() -> None:
    found = suggest_runtime(from_samples([1000.0] * 99 + [90_000.0]))
    assert found.request == 1200
    assert found.sentence == "20 min covers 99 %; about 1 % will need a second attempt"


def test_the_line_to_copy() -> None:
    memory, runtime = suggest_memory(from_samples([17.1] * 40), 20, 1), suggest_runtime(from_samples([7100.0] * 40))
    nothing = suggest_runtime(from_samples([]))
    assert request_line(memory, runtime) == "mem_free=18, max_runtime=7200"
    assert request_line(memory, nothing) == "mem_free=18"
    assert request_line(nothing, nothing) == ""


def test_few_measurements_are_none() -> None:
    found = suggest_memory(from_samples([1.0] * (MIN_MEASURED - 1) + [None] * 1204), 2, 1)
    assert found.request is None
    assert found.sentence == "Not known yet: 29 of the 30 measured attempts that it takes (1,204 not measured)."


def test_who_was_ended_for_using_too_much_is_covered_by_nothing() -> None:
    found = suggest_memory(from_samples([1.0] * 90, exceeded=10), 2, 1)
    assert found.request is None
    assert found.sentence.startswith("10 % of 100 attempts were ended for using too much")
    assert found.sentence.endswith("Ask more than 2 GB, for example 3 GB.")
    slow = suggest_runtime(from_samples([60.0] * 90, exceeded=10), asked=3600)
    assert slow.sentence.endswith("Ask more than 1 h, for example 1.5 h.")
    few = suggest_memory(from_samples([1.0] * 999, exceeded=1), 2, 1)
    assert few.request == 1
    assert "99.9 %" in few.sentence


def test_not_measured_is_not_zero() -> None:
    used = from_samples([None, float("nan"), -1.0, 0.0, 2.0, 2.0])
    assert used == Used([(0.0, 1), (2.0, 2)], 0, 3)


def test_a_rare_rest_is_never_shown_as_nothing() -> None:
    found = suggest_memory(from_bins([(4, 99_999), (64, 1)]), 4, 0)
    assert found.sentence == "4 GB, as now, covers 99.9 %; about 0.1 % will need a second attempt"


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        (0, 0.1),
        (0.3, 0.3),
        (0.31, 0.4),
        (1, 1),
        (1.01, 1.5),
        (3.6, 4),
        (15.1, 16),
        (16.5, 18),
        (63, 64),
        (65, 72),
        (300, 320),
    ],
)
def test_memory_is_rounded_as_people_ask(amount: float, rounded: float) -> None:
    assert round_up_memory(amount) == rounded


@pytest.mark.parametrize(
    ("amount", "rounded", "words"),
    [(0, 60, "1 min"), (61, 120, "2 min"), (3601, 5400, "1.5 h"), (70_000, 86_400, "1 d"), (90_000, 172_800, "2 d")],
)
def test_run_time_is_rounded_as_people_ask(amount: float, rounded: float, words: str) -> None:
    assert round_up_runtime(amount) == rounded
    assert format_runtime(rounded) == words


@given(st.lists(st.floats(0, 2000), min_size=MIN_MEASURED), st.integers(0, 3))
def test_it_covers_what_it_says_and_is_not_far_above(samples: list[float], exceeded: int) -> None:
    used = from_samples(samples, exceeded)
    found = suggest_memory(used, 4, 1)
    if found.request is None:
        assert len(samples) / used.measured < COVER
        return
    assert found.covers == share_covered(used, found.request) >= COVER
    assert found.request <= max(0.1, max(samples) * 1.5 + 0.1, max(samples) + 32)


@given(st.lists(st.floats(0, 2000), min_size=MIN_MEASURED), st.floats(0.5, 1))
def test_a_wish_for_more_safety_never_asks_less(samples: list[float], cover: float) -> None:
    used = from_samples(samples)
    careful, bold = suggest_memory(used, 4, 1, 1.0).request, suggest_memory(used, 4, 1, cover).request
    assert careful is not None
    assert bold is not None
    assert careful >= bold
