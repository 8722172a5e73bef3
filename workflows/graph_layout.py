"""Pure: a layered drawing of a small directed graph, left to right. No I/O.

Layers by longest path, order inside a layer by a few sweeps of barycentres, long edges through empty places of the
layers between. Edges that close a cycle (groups may depend on each other both ways) are drawn back, outside the layers.
Boxes are named by numbers that are not negative; negative ones are the empty places.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Node = int
Edge = tuple[Node, Node]
SWEEPS = 6
ARROW = 7  # how far the arrow at the end of a line reaches
NO_TIMES: Mapping[Node, float] = {}


@dataclass(frozen=True, slots=True)
class Sizes:
    box_width: float = 190
    box_height: float = 58
    gap_x: float = 70
    gap_y: float = 22
    thin: float = 14
    margin: float = 12


@dataclass(frozen=True, slots=True)
class Place:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """An edge as an SVG path. `is_longest`: on the longest chain; `is_back`: it closes a cycle; `middle`: of its first
    piece, where words may stand; `source`: where it begins; `tip`: of its arrow; `is_direct`: from one layer to the next."""

    start: Node
    end: Node
    path: str
    is_longest: bool
    is_back: bool
    middle: Place
    source: Place
    tip: Place
    is_direct: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    places: dict[Node, Place]
    lines: list[Line]
    width: float
    height: float
    chain: list[Node]


def split_cycles(nodes: Sequence[Node], edges: Iterable[Edge]) -> tuple[list[Edge], set[Edge]]:
    """Edges without those that close a cycle, and these. Self-loops are dropped. No recursion."""
    below: dict[Node, list[Node]] = defaultdict(list)
    for start, end in dict.fromkeys(edges):
        if start != end:
            below[start].append(end)
    state: dict[Node, int] = {}
    back: set[Edge] = set()
    for root in nodes:
        stack = [(root, iter(below[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            node, children = stack[-1]
            child = next(children, None)
            if child is None:
                state[node] = 2
                stack.pop()
            elif state.get(child) == 1:
                back.add((node, child))
            elif child not in state:
                state[child] = 1
                stack.append((child, iter(below[child])))
    forward = [(start, end) for start in nodes for end in below[start] if (start, end) not in back]
    return forward, back


def layers_of(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[Node, int]:
    """The length of the longest path that leads to each node, in a graph without cycles."""
    incoming = dict.fromkeys(nodes, 0)
    below: dict[Node, list[Node]] = defaultdict(list)
    for start, end in edges:
        incoming[end] += 1
        below[start].append(end)
    layer = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not incoming[node]]
    while ready:
        node = ready.pop()
        for child in below[node]:
            layer[child] = max(layer[child], layer[node] + 1)
            incoming[child] -= 1
            if not incoming[child]:
                ready.append(child)
    return layer


def longest_chain(layer: dict[Node, int], edges: Sequence[Edge], seconds: Mapping[Node, float]) -> list[Node]:
    """One path that takes longest, from its first node to its last; of those that take equally long, one with most
    boxes. `seconds`: how long each takes; those not named count as nothing."""
    above: dict[Node, list[Node]] = defaultdict(list)
    for start, end in edges:
        above[end].append(start)
    best: dict[Node, tuple[float, int]] = {}
    before: dict[Node, Node | None] = {}
    for node in sorted(layer, key=lambda item: layer[item]):
        parent = max(above[node], key=lambda one: best[one], default=None)
        took, boxes = (0.0, 0) if parent is None else best[parent]
        before[node], best[node] = parent, (took + seconds.get(node, 0.0), boxes + 1)
    last: Node | None = max(best, key=lambda one: best[one], default=None)
    chain: list[Node] = []
    while last is not None:
        chain.append(last)
        last = before[last]
    return chain[::-1]


def _with_ways(
    layer: dict[Node, int], edges: Sequence[Edge]
) -> tuple[list[list[Node]], list[Edge], dict[Edge, list[Node]]]:
    """Rows of each layer with a thin place for each edge that passes it, the short edges, and the way of each edge."""
    rows: list[list[Node]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for node, index in layer.items():
        rows[index].append(node)
    short: list[Edge] = []
    ways: dict[Edge, list[Node]] = {}
    empty = 0
    for start, end in edges:
        way: list[Node] = [start]
        for index in range(layer[start] + 1, layer[end]):
            empty -= 1
            rows[index].append(empty)
            way.append(empty)
        way.append(end)
        short += pairwise(way)
        ways[start, end] = way
    return rows, short, ways


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _sweep(rows: list[list[Node]], short: Sequence[Edge]) -> None:
    """Order each layer by the mean place of its neighbours, forward and backward a few times."""
    above: dict[Node, list[Node]] = defaultdict(list)
    below: dict[Node, list[Node]] = defaultdict(list)
    for start, end in short:
        below[start].append(end)
        above[end].append(start)
    at = {node: float(index) for row in rows for index, node in enumerate(row)}
    for turn in range(SWEEPS):
        near = above if turn % 2 == 0 else below
        for row in rows if turn % 2 == 0 else rows[::-1]:
            row.sort(key=lambda node: _mean([at[other] for other in near[node]], at[node]))
            for index, node in enumerate(row):
                at[node] = float(index)


def _places(rows: list[list[Node]], real: dict[Node, int], sizes: Sizes) -> tuple[dict[Node, Place], float]:
    """The left upper corner of each box (a thin place has no width), layers centred on each other; and the height."""
    heights = [
        sum(sizes.box_height if node in real else sizes.thin for node in row) + sizes.gap_y * max(0, len(row) - 1)
        for row in rows
    ]
    tallest = max(heights, default=0.0)
    places: dict[Node, Place] = {}
    for index, row in enumerate(rows):
        x = sizes.margin + index * (sizes.box_width + sizes.gap_x)
        y = sizes.margin + (tallest - heights[index]) // 2
        for node in row:
            places[node] = Place(x, y)
            y += (sizes.box_height if node in real else sizes.thin) + sizes.gap_y
    return places, tallest + 2 * sizes.margin


def _height(node: Node, places: dict[Node, Place], real: dict[Node, int], sizes: Sizes) -> float:
    """Where lines meet a box, or pass an empty place."""
    return places[node].y + (sizes.box_height if node in real else sizes.thin) / 2


def _middle(way: Sequence[Node], places: dict[Node, Place], real: dict[Node, int], sizes: Sizes) -> Place:
    """Of the first piece of a line."""
    first, second = (_height(node, places, real, sizes) for node in way[:2])
    x = (places[way[0]].x + sizes.box_width + places[way[1]].x) / 2
    return Place(x, (first + second) / 2)


def steps(*values: float) -> str:
    """Numbers of a path, as short as it can be: a minus parts them as well as a blank."""
    return " ".join(f"{value:.0f}" for value in values).replace(" -", "-")


def curve(right: float, down: float) -> str:
    """A piece of a line that begins and ends level."""
    return f"c{steps(right // 2, 0, right - right // 2, down, right, down)}" if down else f"h{right:.0f}"


def _path(way: Sequence[Node], places: dict[Node, Place], real: dict[Node, int], sizes: Sizes) -> str:
    """A smooth line from the right side of the first box to the arrow at the left side of the last; what follows its
    beginning is relative, which is half as long."""
    x, y = places[way[0]].x + sizes.box_width, _height(way[0], places, real, sizes)
    parts = [f"M{x:.0f},{y:.0f}"]
    for node in way[1:]:
        right, down = places[node].x - x, _height(node, places, real, sizes) - y
        if node in real:
            right -= ARROW - 1
        parts.append(curve(right, down))
        x, y = x + right, y + down
        if node not in real:
            x += sizes.box_width
            parts.append(f"h{sizes.box_width:.0f}")
    return "".join(parts)


def _forward_line(way: Sequence[Node], on_chain: Container[Edge], places: dict[Node, Place], real: dict[Node, int], sizes: Sizes) -> Line:  # fmt: skip
    start, end = way[0], way[-1]
    source = Place(places[start].x + sizes.box_width, _height(start, places, real, sizes))
    tip = Place(places[end].x, _height(end, places, real, sizes))
    path, middle = _path(way, places, real, sizes), _middle(way, places, real, sizes)
    return Line(start, end, path, (start, end) in on_chain, False, middle, source, tip, len(way) == 2)


def _back_line(edge: Edge, places: dict[Node, Place], sizes: Sizes) -> Line:
    """A line that closes a cycle: below the boxes, from one to the other."""
    start, end = (places[node] for node in edge)
    x, y = start.x + sizes.box_width // 2, start.y + sizes.box_height
    tip = Place(end.x + sizes.box_width // 2, end.y + sizes.box_height)
    low, right, down = max(y, tip.y) + sizes.gap_y - y, tip.x - x, tip.y + ARROW - 1 - y
    path = f"M{x:.0f},{y:.0f}c{steps(0, low, right, low, right, down)}"
    return Line(*edge, path, False, True, Place((x + tip.x) / 2, y + low), Place(x, y), tip, False)


def draw(
    nodes: Sequence[Node],
    edges: Iterable[Edge],
    sizes: Sizes | None = None,
    seconds: Mapping[Node, float] = NO_TIMES,
) -> Drawing:
    """Places of all boxes and paths of all edges between them. Same input, same drawing. `seconds`: how long each box
    takes, for the longest chain; without any, the chain of most boxes is the longest."""
    sizes = sizes or Sizes()
    known = dict.fromkeys(nodes)
    forward, back = split_cycles(list(known), [(a, b) for a, b in edges if a in known and b in known])
    layer = layers_of(list(known), forward)
    chain = longest_chain(layer, forward, seconds)
    on_chain = set(pairwise(chain))
    rows, short, ways = _with_ways(layer, forward)
    _sweep(rows, short)
    places, height = _places(rows, layer, sizes)
    lines = [_forward_line(way, on_chain, places, layer, sizes) for way in ways.values()]
    lines += [_back_line(edge, places, sizes) for edge in sorted(back)]
    width = 2 * sizes.margin + len(rows) * sizes.box_width + max(0, len(rows) - 1) * sizes.gap_x
    height += sizes.gap_y if back else 0
    return Drawing({node: places[node] for node in known}, lines, width, height, chain)
