"""Pure: where all of several boxes wait for all of several others, their lines meet in one point: 30 by 30 boxes are 60
lines instead of 900, and nothing is left out. Reads nothing, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workflows.graph_layout import Drawing, Line, Node, Place

LEAST_BOXES = 4  # on each side; the lines of fewer can be followed one by one
APART = 26


@dataclass(frozen=True, slots=True)
class Bundle:
    """Boxes of which each leads to each, lines that stand for it, and the point where they meet."""

    starts: list[Node]
    ends: list[Node]
    lines: list[Line]
    point: Place


def find_bundles(drawing: Drawing) -> tuple[list[Bundle], list[Line]]:
    """Bundles of lines between boxes of neighbouring layers, and the lines that are drawn one by one: all others, and
    the longest chain."""
    direct = [line for line in drawing.lines if line.is_direct]
    before: dict[Node, set[Node]] = defaultdict(set)
    for line in direct:
        before[line.end].add(line.start)
    alike: dict[tuple[float, frozenset[Node]], list[Node]] = defaultdict(list)
    for end, starts in before.items():
        alike[drawing.places[end].x, frozenset(starts)].append(end)
    many = {key: ends for key, ends in alike.items() if min(len(ends), len(key[1])) >= LEAST_BOXES}
    bundle_of = {end: key for key, ends in many.items() for end in ends}
    bundled: dict[tuple[float, frozenset[Node]], list[Line]] = defaultdict(list)
    for line in direct:
        if line.end in bundle_of and not line.is_longest:
            bundled[bundle_of[line.end]].append(line)
    single = [line for line in drawing.lines if not line.is_direct or line.is_longest or line.end not in bundle_of]
    return _place(bundled.values()), single


def _place(groups: Iterable[list[Line]]) -> list[Bundle]:
    """Each meets halfway, in the middle of what it joins, and apart from the others beside it."""
    wanted = sorted(((_middle(lines), lines) for lines in groups), key=lambda pair: pair[0])
    bundles: list[Bundle] = []
    for (x, y), lines in wanted:
        before = bundles[-1].point if bundles else None
        if before and before.x == x:
            y = max(y, before.y + APART)
        starts, ends = (
            list(dict.fromkeys(nodes)) for nodes in zip(*((one.start, one.end) for one in lines), strict=True)
        )
        bundles.append(Bundle(starts, ends, lines, Place(x, y)))
    return bundles


def _middle(lines: Sequence[Line]) -> tuple[float, float]:
    heights = [height for line in lines for height in (line.source.y, line.tip.y)]
    return round(lines[0].middle.x), round((min(heights) + max(heights)) / 2)
