"""The colours of tags in pictures: none may be read as a status, and no two as the same, also by who sees fewer colours."""

from __future__ import annotations

import re
from itertools import combinations, pairwise

import pytest

from tests.pages.test_colours import CSS, SIMULATIONS, STATUSES, THEMES, ciede2000, colours, contrast, hue, lab, linear
from tests.pages.test_colours import simulate as see
from workflows.queries.timeline_bands import MOST_BANDS


def tags(theme: str) -> list[str]:
    return [colours(theme)[f"tag-{number}"] for number in range(1, MOST_BANDS + 1)]


def distance(one: str, other: str, eye: str = "normal") -> float:
    first, second = (lab(see(linear(colour), SIMULATIONS[eye])) for colour in (one, other))
    return ciede2000(first, second)


@pytest.mark.parametrize("theme", THEMES)
def test_no_tag_has_the_colour_of_a_status(theme: str) -> None:
    statuses = [colours(theme)[f"f-{status}"] for status in STATUSES]
    for tag in tags(theme):
        assert min(distance(tag, status) for status in statuses) >= 12, tag
        _, a, b = lab(linear(tag))
        assert 100 < hue(a, b) < 350, f"{tag} is red, orange or yellow"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", SIMULATIONS)
def test_tags_are_told_apart(theme: str, eye: str) -> None:
    assert min(distance(one, other, eye) for one, other in combinations(tags(theme), 2)) >= 15
    assert min(distance(one, other, eye) for one, other in pairwise(tags(theme))) >= 25, "bands that lie on each other"


@pytest.mark.parametrize("theme", THEMES)
def test_tags_stand_out_from_the_card(theme: str) -> None:
    assert min(contrast(tag, colours(theme)["card"]) for tag in tags(theme)) >= 2


def test_bands_have_these_colours_alone() -> None:
    for number in range(1, MOST_BANDS + 1):
        assert f".band-{number} {{ --c: var(--tag-{number}); }}" in CSS
    assert not re.search(r"\.band-\d+ \{ --c: #", CSS)
