"""The layered drawing, and the bar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workflows import looks
from workflows.graph_layout import Sizes, draw, layers_of, split_cycles

EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40)


@given(EDGES)
def test_boxes_never_overlap(edges: list[tuple[int, int]]) -> None:
    sizes = Sizes()
    drawing = draw(list(range(13)), edges, sizes)
    places = list(drawing.places.values())
    for index, one in enumerate(places):
        for other in places[index + 1 :]:
            assert abs(one.x - other.x) >= sizes.box_width or abs(one.y - other.y) >= sizes.box_height
        assert 0 <= one.x <= drawing.width - sizes.box_width
        assert 0 <= one.y <= drawing.height - sizes.box_height


@given(EDGES)
def test_every_edge_is_drawn_once_and_leads_right(edges: list[tuple[int, int]]) -> None:
    drawing = draw(list(range(13)), edges)
    assert {(line.start, line.end) for line in drawing.lines} == {(a, b) for a, b in edges if a != b}
    for line in drawing.lines:
        if not line.is_back:
            assert drawing.places[line.start].x < drawing.places[line.end].x


def test_a_chain_is_one_row_and_the_longest() -> None:
    drawing = draw([1, 2, 3, 4], [(1, 2), (2, 3), (1, 3), (1, 4)])
    assert drawing.chain == [1, 2, 3]
    assert {(line.start, line.end) for line in drawing.lines if line.is_longest} == {(1, 2), (2, 3)}


def test_a_long_chain_needs_no_recursion() -> None:
    nodes = list(range(5000))
    forward, back = split_cycles(nodes, [(node, node + 1) for node in nodes[:-1]])
    assert layers_of(nodes, forward)[4999] == 4999
    assert not back


def test_two_groups_that_wait_for_each_other_are_drawn() -> None:
    drawing = draw([1, 2], [(1, 2), (2, 1), (1, 1)])
    assert [line.is_back for line in drawing.lines] == [False, True]


def test_nothing_is_drawn_for_nothing() -> None:
    assert draw([], []).lines == []


@given(st.dictionaries(st.sampled_from("GQIREFD"), st.integers(0, 10**6)))
def test_a_bar_fills_its_width_and_shows_every_status(counts: dict[str, int]) -> None:
    segments = looks.bar_segments(counts)
    assert [s.letter for s in segments] == [letter for letter in looks.BAR_ORDER if counts.get(letter)]
    if segments:
        assert abs(segments[-1].x + segments[-1].width - looks.BAR_WIDTH) < 0.5
        assert all(s.width >= looks.BAR_LEAST for s in segments)
