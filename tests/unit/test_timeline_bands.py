"""The bins of a time line by tag: eight tags, the others together, and no bin that does not add up."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from workflows import words
from workflows.queries.timeline import Minutes, fold
from workflows.queries.timeline_bands import MOST_BANDS, split_bands
from workflows.views.bands import HEIGHT, OTHERS, count_bins, make_stack, name_bands

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
Rows = dict[int, dict[int, tuple[int, int]]]


def minutes_of(rows: Rows, most: int = 300) -> Minutes:
    """From the minutes after the start: by group, jobs queued and running."""
    by_tag = {START + timedelta(minutes=minute): counts for minute, counts in rows.items()}
    sums = [
        (at, (sum(pair[0] for pair in counts.values()), sum(pair[1] for pair in counts.values())))
        for at, counts in sorted(by_tag.items())
    ]
    return replace(fold(sums, is_cut=False, most=most), by_tag=by_tag)


def heights(path: str) -> list[int]:
    """The upper edge of a layer, bin by bin."""
    steps = re.findall(r"V(\d+)h(\d+)", path)
    return [HEIGHT - int(top) for top, width in steps for _ in range(int(width))]


def test_bands_add_up_to_their_bins() -> None:
    rows = {minute: {7: (minute % 5, 9 - minute % 4), 3: (4, minute % 7)} for minute in range(50)}
    found = minutes_of(rows, most=10)
    assert found.width == timedelta(minutes=5)
    bands = split_bands(found, [3, 7])
    assert [band.group_id for band in bands] == [3, 7]
    for index, bin in enumerate(found.bins):
        assert sum(band.queued[index] for band in bands) == bin.queued
        assert sum(band.running[index] for band in bands) == bin.running


def test_the_largest_have_bands_of_their_own_and_the_others_one_together() -> None:
    rows = {minute: {group: (0, group) for group in range(1, 13)} for minute in range(3)}
    named = name_bands(minutes_of(rows), {group: f"tag_{group:02d}" for group in range(1, 13)})
    assert [name for name, _ in named] == [*(f"tag_{group:02d}" for group in range(5, 13)), OTHERS]
    assert len(named) == MOST_BANDS + 1
    assert named[-1][1].running == [1 + 2 + 3 + 4] * 3


def test_a_band_lies_on_the_band_before_it_and_gaps_stay_gaps() -> None:
    found = minutes_of({0: {1: (2, 1), 2: (0, 1)}, 1: {1: (2, 1), 2: (0, 1)}, 3: {2: (1, 2)}})
    stack = make_stack(found, {1: "clean", 2: "fit"}, 4)
    assert stack.names == [(1, "clean"), (2, "fit")]
    assert [(layer.number, heights(layer.path)) for layer in stack.running] == [
        (2, [500, 500, 0, 500]), (1, [250, 250, 0, 0]),
    ]  # fmt: skip
    assert [(layer.number, heights(layer.path)) for layer in stack.queued] == [
        (2, [1000, 1000, 0, 750]), (1, [1000, 1000, 0, 500]),
    ]  # fmt: skip
    assert stack.running[0].path == "M0 1000V500h2V1000h1V500h1V1000z"
    assert [row.cells for row in stack.rows] == [["2 / 1", "0 / 1"], ["2 / 1", "0 / 1"], [], [words.NONE, "1 / 2"]]


def test_nothing_at_work_is_no_band() -> None:
    stack = make_stack(minutes_of({0: {1: (0, 0)}, 1: {1: (0, 0)}}), {1: "fit"}, 0)
    assert (stack.names, stack.running, stack.queued) == ([], [], [])
    assert len(stack.rows) == 2


def test_the_fewer_tags_the_finer_the_bins() -> None:
    found = [count_bins(tags) for tags in (1, 2, 8, 9, 400)]
    assert found == sorted(found, reverse=True)
    assert found[0] >= 120
    assert found[3] == found[4] >= 60
