"""The graphs of the tests agree with the statuses of their jobs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.pairing import pair

LETTERS = st.text("DFERIQG", min_size=1, max_size=12)


@given(st.text("DFERIQG", max_size=12).map(lambda text: f"D{text}"), st.text("DFERIQG", min_size=2, max_size=12))
def test_nothing_begins_before_its_upstream_is_done(ups: str, downs: str) -> None:
    pairs = pair(ups, downs)
    assert {down for _, down in pairs} == set(range(len(downs)))
    assert all(ups[up] == "D" or downs[down] == "G" for up, down in pairs)


@given(LETTERS)
def test_a_single_job_waits_for_all(ups: str) -> None:
    assert pair(ups, "G") == [(up, 0) for up in range(len(ups))]


def test_the_same_number_where_that_agrees() -> None:
    assert pair("DDR", "RGG") == [(0, 0), (1, 1), (2, 2)]


def test_who_waits_is_given_what_is_not_done_first() -> None:
    assert pair("FDDD", "DDGG") == [(1, 0), (2, 1), (0, 2), (3, 3)]
