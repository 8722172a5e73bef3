"""The checker itself: each breach of the promise is seen, and nothing else is."""

from __future__ import annotations

import random

import pytest

from tests.chaos.graphs import make_graph
from tests.chaos.ledger import NONE, Excuses, Recorded, check, parse

UPSTREAMS = {"a": [], "b": ["a"]}
DONE = {"a": "D", "b": "D"}
GOOD = "start a 1 10\nend a 1 10 0\nstart b 2 11\nend b 2 11 0\n"
RECORDED = {1: Recorded("a", "D", ""), 2: Recorded("b", "D", "")}


def find_kinds(
    text: str,
    statuses: dict[str, str] | None = None,
    recorded: dict[int, Recorded] | None = None,
    excuses: Excuses = NONE,
) -> list[str]:
    lines, problems = parse(text)
    found = check(lines, UPSTREAMS, statuses or DONE, {**RECORDED, **(recorded or {})}, excuses)
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
        ("start a 1 10\nstart b 2 11\nend a 1 10 0\nend b 2 11 0\n", ["order"]),
        (GOOD + "start a\n", ["unreadable"]),
        (GOOD + "sta", ["unreadable"]),
    ],
)
def test_each_breach_is_seen(text: str, kinds: list[str]) -> None:
    assert find_kinds(text) == kinds


EARLIER = "start a 0 9\nend a 0 9 {code}\n" + GOOD
HARMED, KILLED = Excuses(harmed={0}), Excuses(reasons={"killed"})


def test_two_attempts_at_once_are_an_overlap() -> None:
    text = "start a 0 9\n" + GOOD
    assert find_kinds(text, recorded={0: Recorded("a", "E", "exit")}) == ["overlap"]
    assert find_kinds(text, recorded={0: Recorded("a", "E", "lost")}, excuses=HARMED) == []


@pytest.mark.parametrize("reason", ["lost", "killed", "signal", "exit"])
def test_nothing_of_an_attempt_comes_after_the_next_ones_start(reason: str) -> None:
    """Neither a reason nor an excuse allows that."""
    excuses = Excuses(harmed={0}, reasons={"killed"})
    went_on = "start a 0 9\nstart a 1 10\nend a 0 9 1\nend a 1 10 0\nstart b 2 11\nend b 2 11 0\n"
    assert "overlap" in find_kinds(went_on, recorded={0: Recorded("a", "E", reason)}, excuses=excuses)
    after_all = GOOD + "end a 0 9 0\n"
    assert "overlap" in find_kinds(after_all, recorded={0: Recorded("a", "E", reason)}, excuses=excuses)
    started_late = GOOD + "start a 0 9\n"
    assert "overlap" in find_kinds(started_late, recorded={0: Recorded("a", "E", reason)}, excuses=excuses)


def test_the_success_is_that_of_the_attempt_that_counts() -> None:
    text = "start a 0 9\nend a 0 9 0\nstart a 1 10\nstart b 2 11\nend b 2 11 0\n"
    assert find_kinds(text, recorded={0: Recorded("a", "E", "lost")}, excuses=HARMED) == ["lost", "order"]


def test_a_downstream_starts_on_the_success_that_counts() -> None:
    text = "start a 0 9\nend a 0 9 0\nstart b 2 11\nend b 2 11 0\nstart a 1 10\nend a 1 10 0\n"
    assert find_kinds(text, recorded={0: Recorded("a", "E", "killed")}, excuses=KILLED) == ["order"]


def test_an_attempt_that_was_given_up_must_not_start() -> None:
    text = EARLIER.format(code=1)
    assert find_kinds(text, recorded={0: Recorded("a", "E", "void")}) == ["void-started"]
    assert find_kinds(text, recorded={0: Recorded("a", "E", "exit")}) == []


def test_a_kill_in_the_last_moment_is_no_second_success() -> None:
    text = EARLIER.format(code=0)
    assert find_kinds(text, recorded={0: Recorded("a", "E", "killed")}, excuses=KILLED) == []
    assert find_kinds(text, recorded={0: Recorded("a", "E", "lost")}, excuses=HARMED) == []
    assert find_kinds(text, recorded={0: Recorded("a", "E", "killed")}) == ["doubled", "unexplained"]
    assert find_kinds(text, recorded={0: Recorded("a", "E", "signal")}, excuses=KILLED) == ["doubled", "unexplained"]


@pytest.mark.parametrize("reason", ["lost", "signal", "killed", "memory", "runtime", "refused"])
def test_an_end_that_nobody_caused_is_a_problem(reason: str) -> None:
    assert find_kinds(GOOD, recorded={0: Recorded("a", "E", reason)}) == ["unexplained"]


def test_two_attempts_that_count_are_doubled_and_one_that_none_made_is_lost() -> None:
    assert "doubled" in find_kinds(EARLIER.format(code=0), recorded={0: Recorded("a", "D", "")})
    assert find_kinds(GOOD, recorded={1: Recorded("a", "E", "exit")}) == ["lost", "order", "unexplained"]


def test_what_is_not_done_is_unfinished() -> None:
    assert find_kinds(GOOD, {"a": "D", "b": "R"}) == ["unfinished"]


def test_graphs_have_no_cycle() -> None:
    graph = make_graph(random.Random(1), 200)
    for job, upstreams in graph.upstreams.items():
        assert all(int(upstream[4:]) < int(job[4:]) for upstream in upstreams)
