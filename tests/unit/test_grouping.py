"""Groups: tags as they are, names by their stems, and never too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.grouping import MAX_GROUPS, OTHER, Group, first_part, group_jobs, stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fit_2019_m", "fit_m"),
        ("fit_2020_m", "fit_m"),
        ("fit2019", "fit"),
        ("a.1.b", "a_b"),
        ("collect", "collect"),
        ("sum_deadbeef01", "sum"),
        ("_", "job"),
        ("x=1", "x"),
        ("größe 7", "größe"),
        ("a __", "a"),
        ("a 1 ", "a"),
    ],
)
def test_a_stem_is_the_name_without_its_numbers(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_a_tag_is_taken_as_it_is_and_apart_from_stems() -> None:
    assert group_jobs([("fit_1", "fit"), ("fit_2", ""), ("fit_3", "Fit")]) == [
        Group("fit", True),
        Group("fit", False),
        Group("Fit", True),
    ]


def test_many_stems_fold_to_their_first_part() -> None:
    letters = [f"{chr(97 + a)}{chr(97 + b)}" for a in range(15) for b in range(15)]
    groups = group_jobs([(f"fit_{word}", "") for word in letters] + [("end", "")])
    assert set(groups) == {Group("fit", False), Group("end", False)}


def test_what_cannot_be_folded_is_put_together() -> None:
    words = [f"{chr(97 + a)}{chr(97 + b)}{chr(97 + c)}" for a in range(7) for b in range(7) for c in range(7)]
    groups = group_jobs([(word, "") for word in words] + [("aaa_x", "")])
    assert len(set(groups)) == MAX_GROUPS
    assert Group(OTHER, False) in groups
    assert groups[-1] == groups[0] == Group("aaa", False)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["", "x", "y"])), max_size=50))
def test_any_names_get_a_group_each(jobs: list[tuple[str, str]]) -> None:
    """A database that pads with spaces must not take two groups for one: no name of a group ends with a space."""
    groups = group_jobs(jobs)
    assert len(groups) == len(jobs)
    for (_, tag), group in zip(jobs, groups, strict=True):
        assert group.is_from_tag == bool(tag)
        assert group.name
        assert group.name == group.name.strip()


@given(st.lists(NAMES.filter(bool), min_size=1, max_size=400, unique=True))
def test_groups_from_names_are_few(names: list[str]) -> None:
    assert len(set(group_jobs([(name, "") for name in names]))) <= MAX_GROUPS


@given(NAMES)
def test_the_first_part_comes_from_the_stem(name: str) -> None:
    assert first_part(name) == "job" or stem(name).startswith(first_part(name))
