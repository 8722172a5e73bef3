"""The checker itself: each breach of the promise is seen, and nothing else is."""

from __future__ import annotations

import random

import pytest

from tests.chaos.graphs import make_graph
from tests.chaos.killer import POINTS, plan_faults, share_points
from tests.chaos.ledger import Recorded, check, parse

UPSTREAMS = {"a": [], "b": ["a"]}
DONE = {"a": "D", "b": "D"}
GOOD = "start a 1 10\nend a 1 10 0\nstart b 2 11\nend b 2 11 0\n"
RECORDED = {1: Recorded("a", "D", ""), 2: Recorded("b", "D", "")}


def find_kinds(
    text: str, statuses: dict[str, str] | None = None, recorded: dict[int, Recorded] | None = None
) -> list[str]:
    lines, problems = parse(text)
    found = check(lines, UPSTREAMS, statuses or DONE, {**RECORDED, **(recorded or {})})
    return sorted({problem.kind for problem in [*problems, *found]})


def test_a_good_ledger_has_no_problem() -> None:
    assert find_kinds(GOOD) == []


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("start a 1 10\nend a 1 10 0\n", ["lost"]),
        (GOOD + "start a 1 12\nend a 1 12 0\n", ["doubled", "started-twice"]),
        (GOOD + "start a 3 12\nend a 3 12 0\n", ["doubled", "void-started"]),
        ("start b 2 11\nend b 2 11 0\nstart a 1 10\nend a 1 10 0\n", ["order"]),
        ("start a 1 10\nend a 1 10 1\nstart b 2 11\nend b 2 11 0\n", ["lost", "order"]),
        (GOOD + "start a\n", ["unreadable"]),
        (GOOD + "sta", ["unreadable"]),
    ],
)
def test_each_breach_is_seen(text: str, kinds: list[str]) -> None:
    assert find_kinds(text) == kinds


def test_two_attempts_at_once_are_an_overlap() -> None:
    text = "start a 3 9\n" + GOOD
    assert find_kinds(text, recorded={3: Recorded("a", "E", "exit")}) == ["overlap"]
    assert find_kinds(text, recorded={3: Recorded("a", "E", "lost")}) == []


def test_an_attempt_that_was_given_up_must_not_start() -> None:
    text = "start a 3 9\nend a 3 9 1\n" + GOOD
    assert find_kinds(text, recorded={3: Recorded("a", "E", "void")}) == ["void-started"]
    assert find_kinds(text, recorded={3: Recorded("a", "E", "exit")}) == []


def test_a_kill_in_the_last_moment_is_no_second_success() -> None:
    text = "start a 3 9\nend a 3 9 0\n" + GOOD
    assert find_kinds(text, recorded={3: Recorded("a", "E", "killed")}) == []
    assert find_kinds(text, recorded={3: Recorded("a", "E", "signal")}) == ["doubled"]


def test_what_is_not_done_is_unfinished() -> None:
    assert find_kinds(GOOD, {"a": "D", "b": "R"}) == ["unfinished"]


def test_a_seed_means_the_same_graph_and_faults() -> None:
    def make() -> object:
        rng = random.Random("7/3")
        return make_graph(rng, 60), plan_faults(rng, 8, share_points(5)[3])

    assert make() == make()


def test_every_fault_point_is_armed_in_exactly_one_wave() -> None:
    shared = [point for wave in share_points(5) for point in wave]
    assert sorted(shared) == sorted(POINTS)


def test_graphs_have_no_cycle() -> None:
    graph = make_graph(random.Random(1), 200)
    for job, upstreams in graph.upstreams.items():
        assert all(int(upstream[4:]) < int(job[4:]) for upstream in upstreams)
