"""Pure: which lines of a dense graph are drawn, where all of them would be a grey area. Reads nothing, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from workflows.graph_layout import Edge, Line, layers_of, split_cycles

# Of up to so many lines each can be followed
MOST_LINES = 120
MOST_LABELLED = 100
BYTES = 4_500  # what all of them may cost in the page
LINE_BYTES, LABEL_BYTES = 4, 36  # what each does beside its path, and the number beside it


def thin(nodes: Sequence[int], edges: Mapping[Edge, int]) -> dict[Edge, int]:
    """All of few; of many only those that no longer way stands for."""
    if len(edges) <= MOST_LINES:
        return dict(edges)
    forward, back = split_cycles(nodes, edges)
    return {edge: edges[edge] for edge in [*_reduce(nodes, forward), *sorted(back)]}


def _reduce(nodes: Sequence[int], forward: Sequence[Edge]) -> list[Edge]:
    """The transitive reduction: every box is reached from the same boxes as before. No longest chain loses a line."""
    layer = layers_of(nodes, forward)
    downstream: dict[int, list[int]] = defaultdict(list)
    for up, down in forward:
        downstream[up].append(down)
    reached: dict[int, set[int]] = {}
    kept: list[Edge] = []
    for node in sorted(layer, key=lambda one: -layer[one]):
        beyond: set[int] = set()
        for down in sorted(downstream[node], key=lambda one: (layer[one], one)):
            if down not in beyond:
                kept.append((node, down))
                beyond |= {down, *reached[down]}
        reached[node] = beyond
    return kept


def choose_lines(lines: Sequence[Line], edges: Mapping[Edge, int], spent: int = 0) -> list[Line]:
    """Those of the longest chain, then those that stand for most dependencies, as far as the room goes. `spent`: what
    bundles take of it."""
    ordered = sorted(lines, key=lambda line: (not line.is_longest, -edges[line.start, line.end], line.start, line.end))
    chosen: list[Line] = []
    left = BYTES - spent
    for line in ordered:
        left -= _bytes_of(line)
        if left < 0 and not line.is_longest:
            break
        chosen.append(line)
    return chosen


def have_room_for_labels(lines: Sequence[Line]) -> bool:
    """Lines come before the numbers beside them; of too many lines nobody could tell which is meant."""
    return len(lines) <= MOST_LABELLED and sum(_bytes_of(line) + LABEL_BYTES for line in lines) <= BYTES


def _bytes_of(line: Line) -> int:
    return len(line.path) + LINE_BYTES
