"""The layered drawing, and the bar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workflows import looks
from workflows.graph_bundles import APART, find_bundles
from workflows.graph_layout import ARROW, Sizes, draw, layers_of, split_cycles
from workflows.graph_strokes import find_joints, join_lines

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


# Halves of which most wait for most, so that some are bundles and some are not
HALVES = st.lists(st.tuples(st.integers(0, 6), st.integers(7, 12)), min_size=20, max_size=60)


@given(st.one_of(EDGES, HALVES))
def test_bundles_leave_nothing_out(edges: list[tuple[int, int]]) -> None:
    drawing = draw(list(range(13)), edges)
    bundles, single = find_bundles(drawing)
    bundled = [line for bundle in bundles for line in bundle.lines]
    assert sorted((line.start, line.end) for line in [*single, *bundled]) == sorted(
        {(a, b) for a, b in edges if a != b}
    )
    assert {line.path for line in single} >= {line.path for line in drawing.lines if line.is_longest}
    joints = find_joints({node: node + 100 for node in range(13)}, single, bundles)
    for one in range(13):
        after = set(joints[one].after.split())
        reached = {
            other for other in range(13) if str(other + 100) in after or after & set(joints[other].behind.split())
        }
        assert reached == {b for a, b in edges if a == one != b}


def test_all_that_wait_for_all_meet_in_one_point() -> None:
    drawing = draw(range(11), [(up, down) for up in range(5) for down in range(5, 11)])
    bundles, single = find_bundles(drawing)
    assert [(line.start, line.end) for line in single] == [(0, 5)], "the longest chain is drawn for itself"
    assert (sorted(bundles[0].starts), sorted(bundles[0].ends)) == (list(range(5)), list(range(5, 11)))
    strokes = join_lines(single, bundles)
    assert strokes.lines.count("M") == 5 + 6
    assert strokes.chain.count("M") == 1
    assert strokes.arrows.count("M") == 6 + 1, "an arrow for each end, and the point"
    assert find_bundles(draw(range(6), [(up, down) for up in range(3) for down in range(3, 6)]))[0] == []


def test_points_beside_each_other_stay_apart() -> None:
    upper = [(up, down) for up in range(4) for down in (8, 10, 12, 14)]
    lower = [(up, down) for up in range(4, 8) for down in (9, 11, 13, 15)]
    points = [bundle.point for bundle in find_bundles(draw(range(16), upper + lower))[0]]
    assert len(points) == 2
    assert abs(points[0].y - points[1].y) >= APART


def test_boxes_that_many_wait_for_have_one_arrow_and_short_paths() -> None:
    drawing = draw([1, 2, 3], [(1, 3), (2, 3)])
    strokes = join_lines(drawing.lines, has_chain=False)
    assert strokes.arrows.count("M") == 1
    assert (strokes.chain, strokes.chain_arrows) == ("", "")
    height = Sizes().box_height + Sizes().gap_y
    right = Sizes().gap_x - ARROW + 1
    assert (
        strokes.lines
        == f"M202,41c32 0 32 {height // 2} {right} {height // 2}M202,121c32 0 32-{height // 2} {right}-{height // 2}"
    )


def test_nothing_is_drawn_for_nothing() -> None:
    assert draw([], []).lines == []


@given(st.dictionaries(st.sampled_from("GQIREFD"), st.integers(0, 10**6)))
def test_a_bar_fills_its_width_and_shows_every_status(counts: dict[str, int]) -> None:
    segments = looks.bar_segments(counts)
    assert [s.letter for s in segments] == [letter for letter in looks.BAR_ORDER if counts.get(letter)]
    if segments:
        assert abs(segments[-1].x + segments[-1].width - looks.BAR_WIDTH) < 0.5
        assert all(s.width >= looks.BAR_LEAST for s in segments)
