"""Jobs over time as bands, one for each tag: as few and as short paths as will do, and the same numbers for a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflows import words
from workflows.queries.timeline import MOST_BINS, Bin, Minutes
from workflows.queries.timeline_bands import MOST_BANDS, Band, split_bands

# A band is drawn in units of a bin and of a thousandth of the height
HEIGHT = 1000
# What a bin costs in the page, and each of its bands, in the picture and the table together; and what all may cost
BIN_BYTES, BAND_BYTES, BYTES = 190, 45, 38_000
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Layer:
    """One area, from the ground to its upper edge; `number` tells its colour, 0 that of the others."""

    number: int
    path: str


@dataclass(frozen=True, slots=True)
class Row:
    """A bin: its numbers, `queued / running` of each band; none where nobody looked."""

    bin: Bin
    index: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Stack:
    """Running jobs at the bottom, queued ones on them, band on band. Layers come from back to front: each is covered by
    those that are lower."""

    names: list[tuple[int, str]]
    running: list[Layer]
    queued: list[Layer]
    rows: list[Row]


def count_bins(tags: int) -> int:
    """How many bins are drawn of so many tags: the fewer bands, the finer."""
    bands = min(tags, MOST_BANDS + 1)
    return min(MOST_BINS, BYTES // (BIN_BYTES + BAND_BYTES * bands))


def name_bands(minutes: Minutes, names: Mapping[int, str]) -> list[tuple[str, Band]]:
    """In the order of these names, the others last."""
    bands = split_bands(minutes, list(names))
    return [(OTHERS if band.group_id is None else names[band.group_id], band) for band in bands]


def make_stack(minutes: Minutes, names: Mapping[int, str], most: int) -> Stack:
    named = name_bands(minutes, names)
    numbers = [0 if band.group_id is None else number for number, (_, band) in enumerate(named, 1)]
    bands = [band for _, band in named]
    ground = [0] * len(minutes.bins)
    running = _pile([band.running for band in bands], numbers, ground, most)
    ground = [sum(column) for column in zip(*(band.running for band in bands), strict=True)] or ground
    queued = _pile([band.queued for band in bands], numbers, ground, most)
    return Stack(
        list(zip(numbers, (name for name, _ in named), strict=True)), running, queued,
        [_make_row(bin, index, bands) for index, bin in enumerate(minutes.bins)],
    )  # fmt: skip


def _pile(series: Sequence[Sequence[int]], numbers: Sequence[int], ground: Sequence[int], most: int) -> list[Layer]:
    """From the highest to the lowest; a band that is empty all along is left out."""
    layers: list[Layer] = []
    for values, number in zip(series, numbers, strict=True):
        ground = [low + value for low, value in zip(ground, values, strict=True)]
        if any(values):
            layers.append(Layer(number, _write_path([round(top / max(most, 1) * HEIGHT) for top in ground])))
    return layers[::-1]


def _write_path(heights: Sequence[int]) -> str:
    """Steps of one unit each; bins of the same height in one."""
    parts, start = [f"M0 {HEIGHT}"], 0
    for index in range(1, len(heights) + 1):
        if index == len(heights) or heights[index] != heights[start]:
            parts.append(f"V{HEIGHT - heights[start]}h{index - start}")
            start = index
    return "".join([*parts, f"V{HEIGHT}z"])


def _make_row(bin: Bin, index: int, bands: Sequence[Band]) -> Row:
    if bin.running is None:
        return Row(bin, index, [])
    return Row(bin, index, [_cell(band.queued[index], band.running[index]) for band in bands])


def _cell(queued: int, running: int) -> str:
    return f"{words.number(queued)} / {words.number(running)}" if queued or running else words.NONE
