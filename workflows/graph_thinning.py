"""Pure: which lines of a dense graph are drawn, where all of them would be a grey area. Reads nothing, writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from workflows.graph_layout import Drawing, Edge, Line, layers_of, split_cycles

# Of up to so many lines each can be followed
MOST_LINES = 120
BYTES, LINE_BYTES = 8_000, 110  # what all of them may cost in the page, and each beside its path, with its number


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


def choose_lines(drawing: Drawing, edges: Mapping[Edge, int]) -> list[Line]:
    """Those of the longest chain, then those that stand for most dependencies, as far as the room goes."""
    ordered = sorted(
        drawing.lines, key=lambda line: (not line.is_longest, -edges[line.start, line.end], line.start, line.end)
    )
    chosen: list[Line] = []
    left = BYTES
    for line in ordered:
        left -= LINE_BYTES + len(line.path)
        if left < 0 and not line.is_longest:
            break
        chosen.append(line)
    return chosen
