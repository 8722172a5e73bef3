"""Pure: all lines of a picture as few SVG paths, and what keys want to know of them. Reads nothing, writes nothing.

A path element for each line would cost three times what the line does; an arrow belongs to a box, not to a line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workflows.graph_bundles import Bundle
from workflows.graph_layout import ARROW, Line, Node, Place, curve

HALF = 4  # of the width of an arrow


@dataclass(frozen=True, slots=True)
class Strokes:
    """Paths: of the lines and their arrows, of the longest chain and its own."""

    lines: str
    arrows: str
    chain: str
    chain_arrows: str


@dataclass(frozen=True, slots=True)
class Joints:
    """Of one box, for the keys that go along lines: boxes and bundles after it, bundles before it."""

    after: str = ""
    behind: str = ""


def join_lines(lines: Iterable[Line], bundles: Sequence[Bundle] = (), *, has_chain: bool = True) -> Strokes:
    """`has_chain`: the longest one is drawn as such."""
    plain: list[Line] = []
    longest: list[Line] = []
    for line in lines:
        (longest if has_chain and line.is_longest else plain).append(line)
    bundled = [line for bundle in bundles for line in bundle.lines]
    return Strokes(
        "".join(line.path for line in plain) + join_bundles(bundles),
        "".join([*_arrows([*plain, *bundled]), *(_dot(bundle.point) for bundle in bundles)]),
        "".join(line.path for line in longest),
        "".join(_arrows(longest)),
    )


def join_bundles(bundles: Iterable[Bundle]) -> str:
    return "".join(piece for bundle in bundles for piece in _fan(bundle))


def _arrows(lines: Iterable[Line]) -> list[str]:
    """One for all lines that end at the same place."""
    return list(dict.fromkeys(_arrow(line) for line in lines))


def _arrow(line: Line) -> str:
    if line.is_back:
        return f"M{line.tip.x - HALF:.0f},{line.tip.y + ARROW:.0f}l{HALF}-{ARROW} {HALF} {ARROW}z"
    return f"M{line.tip.x - ARROW:.0f},{line.tip.y - HALF:.0f}l{ARROW} {HALF}-{ARROW} {HALF}z"


def _dot(point: Place) -> str:
    return f"M{point.x - 3:.0f},{point.y:.0f}a3 3 0 1 0 6 0a3 3 0 1 0-6 0z"


def _fan(bundle: Bundle) -> Iterable[str]:
    """From each beginning to the point, from the point to each end."""
    x, y = bundle.point.x, bundle.point.y
    for source in dict.fromkeys(line.source for line in bundle.lines):
        yield f"M{source.x:.0f},{source.y:.0f}{curve(x - source.x, y - source.y)}"
    for tip in dict.fromkeys(line.tip for line in bundle.lines):
        yield f"M{x:.0f},{y:.0f}{curve(tip.x - ARROW + 1 - x, tip.y - y)}"


def find_joints(
    numbers: Mapping[Node, int], lines: Iterable[Line], bundles: Sequence[Bundle] = ()
) -> dict[Node, Joints]:
    """Boxes go by these numbers, which are shorter than their names; a bundle by a letter and a number, since each of its
    boxes would list all others."""
    after: dict[Node, list[str]] = defaultdict(list)
    behind: dict[Node, list[str]] = defaultdict(list)
    for line in lines:
        after[line.start].append(str(numbers[line.end]))
    for place, bundle in enumerate(bundles):
        for start in bundle.starts:
            after[start].append(f"b{place}")
        for end in bundle.ends:
            behind[end].append(f"b{place}")
    return {node: Joints(" ".join(after[node]), " ".join(behind[node])) for node in numbers}
