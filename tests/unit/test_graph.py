"""Graphs: order does not matter to the hash, cycles are refused and named, levels are the longest ways."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.graph import (
    MAX_ERRORS_LISTED,
    Graph,
    Header,
    InvalidGraph,
    JobInput,
    build_graph,
)
from workflows.graph_hash import Hashes, hash_dag, hash_text
from workflows.graph_shape import Upstreams, find_cycle, find_levels
from workflows.graph_text import parse_header, parse_jobs, parse_some_jobs, split_body

HEADER = Header(workflow_args="a")


def job(name: str, *upstreams: str | int, **values: object) -> JobInput:
    return JobInput(name=name, command=f"run {name}", upstreams=list(upstreams), **values)  # type: ignore[arg-type]


@st.composite
def dags(draw: st.DrawFn) -> list[list[int]]:
    """Upstreams by position, without cycles, in any order of positions."""
    count = draw(st.integers(1, 14))
    ranks = draw(st.permutations(range(count)))
    ups: list[list[int]] = [[] for _ in range(count)]
    for rank in range(1, count):
        chosen = draw(st.sets(st.integers(0, rank - 1), max_size=4))
        ups[ranks[rank]] = sorted(ranks[up] for up in chosen)
    return ups


any_graphs = st.integers(1, 12).flatmap(
    lambda count: st.lists(st.sets(st.integers(0, count - 1), max_size=4).map(sorted), min_size=count, max_size=count)
)


def build(upstreams: list[list[int]]) -> Graph:
    return build_graph(HEADER, [job(f"j{position}", *ups) for position, ups in enumerate(upstreams)])


def kinds(jobs: list[JobInput], header: Header = HEADER) -> list[str]:
    with pytest.raises(InvalidGraph) as refused:
        build_graph(header, jobs)
    return refused.value.kinds


def test_upstreams_are_names_or_positions() -> None:
    graph = build_graph(HEADER, [job("c", "a", 2), job("a"), job("b", "a")])
    assert [list(ups) for ups in graph.upstreams] == [[1, 2], [], [1]]
    assert (graph.levels, graph.edge_count) == ([2, 0, 1], 3)


def test_the_nearest_executor_counts() -> None:
    jobs = [job("a"), job("b", tag="fit"), job("c", tag="fit", executor="big"), job("d", tag="other")]
    header = Header(workflow_args="a", executor="slurm", tag_executors={"fit": "sge", "unused": "big"})
    assert [one.executor for one in build_graph(header, jobs).jobs] == ["", "sge", "big", ""]


@given(dags(), st.randoms(use_true_random=False))
def test_the_hash_does_not_depend_on_the_order(upstreams: list[list[int]], random: object) -> None:
    order = list(range(len(upstreams)))
    random.shuffle(order)  # type: ignore[attr-defined]
    jobs = [job(f"j{old}", *(f"j{up}" for up in upstreams[old])) for old in order]
    shuffled = build_graph(HEADER, jobs)
    original = build(upstreams)
    assert shuffled.dag_hash == original.dag_hash
    assert shuffled.workflow_hash == original.workflow_hash
    assert [shuffled.levels[order.index(position)] for position in range(len(order))] == original.levels


@given(dags(), st.data())
def test_another_edge_is_another_graph(upstreams: list[list[int]], data: st.DataObject) -> None:
    before = build(upstreams).dag_hash
    position = data.draw(st.integers(0, len(upstreams) - 1))
    if upstreams[position]:
        fewer = [ups[1:] if at == position else ups for at, ups in enumerate(upstreams)]
        assert build(fewer).dag_hash != before


def test_hashes_differ_where_lists_run_together() -> None:
    assert hash_dag(Hashes(["a", "b"]), Upstreams([[], [0]])) != hash_dag(Hashes(["a", "b"]), Upstreams([[1], []]))
    assert build([[], []]).workflow_hash != build_graph(Header(workflow_args="b"), [job("j0"), job("j1")]).workflow_hash


@given(dags())
def test_levels_are_the_longest_ways_from_a_root(upstreams: list[list[int]]) -> None:
    @cache
    def longest(position: int) -> int:
        return max((longest(up) + 1 for up in upstreams[position]), default=0)

    levels, stuck = find_levels(Upstreams(upstreams))
    assert levels == [longest(position) for position in range(len(upstreams))]
    assert stuck == []


def reachable(upstreams: list[list[int]], start: int) -> set[int]:
    seen: set[int] = set()
    todo = list(upstreams[start])
    while todo:
        position = todo.pop()
        if position not in seen:
            seen.add(position)
            todo.extend(upstreams[position])
    return seen


@settings(max_examples=300)
@given(any_graphs)
def test_cycles_are_found_exactly_when_there_are_any_and_named_truly(upstreams: list[list[int]]) -> None:
    is_cyclic = any(position in reachable(upstreams, position) for position in range(len(upstreams)))
    levels, stuck = find_levels(Upstreams(upstreams))
    assert bool(stuck) == is_cyclic
    assert len(levels) == len(upstreams)
    if stuck:
        cycle = find_cycle(Upstreams(upstreams), stuck)
        assert len(set(cycle)) == len(cycle)
        for before, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert before in upstreams[after]


@given(any_graphs)
def test_a_cyclic_graph_is_refused(upstreams: list[list[int]]) -> None:
    """A job that waits for itself is named as that."""
    selfish = any(position in ups for position, ups in enumerate(upstreams))
    others = [[up for up in ups if up != position] for position, ups in enumerate(upstreams)]
    is_cyclic = any(position in reachable(others, position) for position in range(len(others)))
    if selfish or is_cyclic:
        found = kinds([job(f"j{position}", *ups) for position, ups in enumerate(upstreams)])
        assert found == [name for name, there in (("cycle", is_cyclic), ("self-upstream", selfish)) if there]
    else:
        assert build(upstreams).edge_count == sum(map(len, upstreams))


def test_a_long_cycle_is_named_by_its_beginning_and_length() -> None:
    with pytest.raises(InvalidGraph) as refused:
        build([[(position - 1) % 50] for position in range(50)])
    (error,) = refused.value.errors
    assert error.code == "cycle"
    assert "(50 jobs)" in error.detail
    assert error.detail.count("→") == 9


def test_a_short_cycle_is_named_in_full() -> None:
    with pytest.raises(InvalidGraph) as refused:
        build([[], [2], [1, 0]])
    (error,) = refused.value.errors
    assert error.detail in (
        "These jobs wait for each other: j1 → j2 → j1",
        "These jobs wait for each other: j2 → j1 → j2",
    )


def test_the_first_hundred_errors_are_listed_and_all_are_counted() -> None:
    with pytest.raises(InvalidGraph) as refused:
        build_graph(HEADER, [job(f"j{number}", "nobody") for number in range(250)])
    assert (refused.value.count, len(refused.value.errors)) == (250, MAX_ERRORS_LISTED)
    assert str(refused.value) == "250 errors in the graph; nothing was stored."


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_parsers(body: bytes) -> None:
    for parse in (split_body, parse_header, parse_jobs, parse_some_jobs):
        try:
            parse(body)
        except InvalidGraph as refused:
            assert refused.errors


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    ["name", "command", "tag", "slots", "mem_free", "max_attempts", "max_runtime", "upstreams"]
)


@given(st.lists(st.dictionaries(field_names, json_values, max_size=8), max_size=5))
def test_any_jobs_are_taken_or_refused_with_reasons(jobs: list[dict[str, object]]) -> None:
    try:
        body = msgspec.json.encode(jobs)
    except UnicodeEncodeError:
        return
    try:
        graph = build_graph(HEADER, parse_jobs(body))
    except InvalidGraph as refused:
        assert refused.count == 0 or all(error.code and error.detail for error in refused.errors)
    else:
        assert len(graph.jobs) == len(jobs)


def test_the_wrong_job_is_named_with_its_position_in_the_whole_graph() -> None:
    body = b'[{"name": "a", "command": "x"}, {"name": "b", "command": 5}]'
    with pytest.raises(InvalidGraph) as refused:
        parse_jobs(body, first=1000)
    (error,) = refused.value.errors
    assert (error.path, error.job, error.code) == ("jobs[1001].command", "b", "invalid-field")


def test_every_wrong_field_of_a_job_is_named() -> None:
    body = b'[{"name": "a", "slots": "two", "mem_fre": 3, "upstreams": [null], "attributes": {"sex": 1}}, 7]'
    with pytest.raises(InvalidGraph) as refused:
        parse_jobs(body)
    found = {error.path: error.detail for error in refused.value.every}
    assert list(found) == [
        "jobs[0].command", "jobs[0].slots", "jobs[0].mem_fre", "jobs[0].upstreams[0]", "jobs[0].attributes[...]", "jobs[1]",
    ]  # fmt: skip
    assert found["jobs[0].command"] == "`command` is missing."
    assert found["jobs[0].mem_fre"] == "There is no field `mem_fre`; is `mem_free` meant?"
    assert {error.job for error in refused.value.every} == {"a", ""}


def test_every_wrong_field_of_a_workflow_is_named() -> None:
    with pytest.raises(InvalidGraph) as refused:
        parse_header(b'{"colour": 1, "fail_fast": "yes", "tag_limits": {"fit": "5"}}')
    assert [error.path for error in refused.value.every] == [
        "workflow_args", "colour", "fail_fast", "tag_limits[...]",
    ]  # fmt: skip


def test_what_can_be_read_of_wrong_jobs_is_checked_all_the_same() -> None:
    body = b'[{"name": "1a", "command": "x", "slots": "two"}, null, {"name": "b", "command": "x", "upstreams": ["c"]}]'
    jobs = parse_some_jobs(body)
    with pytest.raises(InvalidGraph) as refused:
        build_graph(HEADER, jobs)
    assert [(error.code, error.path) for error in refused.value.every] == [
        ("invalid-name", "jobs[0].name"),
        ("duplicate-command", "jobs[2].command"),
        ("unknown-upstream", "jobs[2].upstreams[0]"),
    ]


def test_a_graph_keeps_its_hash_from_release_to_release() -> None:
    """Stored workflows are found again by it."""
    ups = [[at for at in (place - 3, place - 1) if at >= 0] for place in range(300)]
    graph = build_graph(HEADER, [JobInput(f"j{place}", f"run \u00e9 {place}", upstreams=ups[place]) for place in range(300)])  # type: ignore[arg-type]  # fmt: skip
    assert graph.dag_hash == "332a7e5e9b0715f213238207ef9f87e6e6567689418b0637aef6f9b1ab5ef0bc"
    assert list(graph.hashes) == [hash_text(one.command) for one in graph.jobs]
    assert graph.hashes[7] == hash_text(graph.jobs[7].command)


def test_hashes_are_of_the_bytes() -> None:
    assert hash_text("\u00e9") != hash_text("e\u0301")
