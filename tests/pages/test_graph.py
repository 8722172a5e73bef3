"""The picture of the tags: folded where they are many, its longest chain by run time, its text for Graphviz."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Tag, make_workflow
from workflows import dot, explain
from workflows.graph_folding import beginnings, fold, keep_under
from workflows.graph_layout import draw
from workflows.graph_thinning import thin
from workflows.models import JobGroup

pytestmark = pytest.mark.django_db


def many_tags(parts: int = 40) -> list[Tag]:
    """Three kinds of tags, each waiting for its own one before it."""
    tags = [Tag(f"clean_{number:03d}", {"D": 2}) for number in range(parts)]
    tags += [Tag(f"fit_{number:03d}", {"D": 1, "F": 1}, (f"clean_{number:03d}",)) for number in range(parts)]
    return [*tags, *(Tag(f"plot_{number:03d}", {"G": 1}, (f"fit_{number:03d}",)) for number in range(parts))]


def groups_named(*names: str) -> list[JobGroup]:
    return [JobGroup(pk=pk, name=name, jobs=3, count_d=2, count_f=1, rank=pk) for pk, name in enumerate(names, 1)]


def test_a_name_can_be_cut_at_separators_and_before_digits() -> None:
    assert beginnings("fit_2019-m") == ["fit", "fit_2019", "fit_2019-m"]
    assert beginnings("tag7") == ["tag", "tag7"]
    assert beginnings("_x") == ["_x"]


def test_few_tags_stay_as_they_are() -> None:
    groups = groups_named("a_1", "a_2", "b")
    assert fold(groups, {(1, 3): 2}, most=3).groups == groups


def test_many_are_folded_as_little_as_it_takes() -> None:
    groups = groups_named("fit_a_1", "fit_a_2", "fit_b_1", "end")
    folded = fold(groups, {(1, 3): 5, (2, 3): 6, (1, 2): 7, (3, 4): 1}, most=3)
    assert [(group.name, group.jobs, group.count_f) for group in folded.groups] == [
        ("fit_a", 6, 2), ("fit_b_1", 3, 1), ("end", 3, 1),
    ]  # fmt: skip
    assert folded.edges == {(1, 3): 11, (1, 1): 7, (3, 4): 1}
    assert [tag.name for tag in folded.members[1]] == ["fit_a_1", "fit_a_2"]


def test_tags_that_do_not_begin_alike_are_not_forced_together() -> None:
    groups = groups_named("a", "b", "c", "d")
    assert fold(groups, {}, most=3).groups == groups
    alike = groups_named("t_1", "t_2", "t_3", "t_4")
    assert fold(alike, {}, most=3).groups == alike


def test_one_box_can_be_opened() -> None:
    groups = groups_named("fit_1", "fit_2", "fitness", "end")
    inside = keep_under(groups, {(1, 2): 1, (2, 4): 9}, "fit")
    assert ([group.name for group in inside.groups], inside.edges) == (["fit_1", "fit_2"], {(1, 2): 1})


def test_the_longest_chain_is_that_which_takes_longest() -> None:
    edges = [(1, 2), (2, 3), (1, 4)]
    assert draw([1, 2, 3, 4], edges).chain == [1, 2, 3]
    assert draw([1, 2, 3, 4], edges, seconds={1: 5, 2: 10, 3: 10, 4: 100}).chain == [1, 4]


def test_text_for_graphviz_is_quoted() -> None:
    text = dot.write_dot({1: 'a "b" \\', -1: "two\nlines"}, [(1, -1, "4"), (-1, 1, "")])
    assert '  n1 [label="a \\"b\\" \\\\"];' in text
    assert '  n1 -> n_1 [label="4"];' in text
    assert "  n_1 -> n1;" in text
    program = shutil.which("dot")
    if program:  # where Graphviz is installed, it reads it
        subprocess.run([program, "-Tplain"], input=text.encode(), check=True, capture_output=True, timeout=20)


def test_many_tags_are_a_small_picture_that_opens(client: Client, owner: User) -> None:
    made = make_workflow(owner, many_tags())
    url = f"/workflows/{made.workflow.pk}/graph/"
    page = client.get(url)
    text = page.content.decode()
    assert len(page.content) < 60 * 1024
    assert "120 tags in 3 boxes" in text
    assert "clean… (40 tags)" in text
    # The dependencies of all of fit on all of clean
    assert re.search(r'<g class="counts">.*<text x="\d+" y="\d+">80</text>', text)
    opened = client.get(url, {"under": "fit"}).content.decode()
    assert "Only the tags that begin with <b>fit</b>" in opened
    assert "fit_039" in opened
    assert "clean_039" not in opened
    assert "No tag begins with <b>nothing</b>" in client.get(url, {"under": "nothing"}).content.decode()


def test_sixty_boxes_stay_a_small_page(client: Client, owner: User) -> None:
    made = make_workflow(owner, many_tags(20))
    page = client.get(f"/workflows/{made.workflow.pk}/graph/")
    assert "plot_019" in page.content.decode()
    assert len(page.content) < 60 * 1024


def test_the_whole_graph_can_be_taken_along(client: Client, owner: User) -> None:
    made = make_workflow(owner, many_tags())
    answer = client.get(f"/workflows/{made.workflow.pk}/graph/", {"export": "dot"})
    assert answer["Content-Disposition"] == f'attachment; filename="workflow-{made.workflow.pk}.dot"'
    text = answer.content.decode()
    assert text.count(" -> ") == 80
    assert '[label="fit_039\\n2 jobs"]' in text
    near = client.get(f"/jobs/{made.jobs['fit_003'][0].pk}/graph/", {"export": "dot"}).content.decode()
    assert near.count(" -> ") == 2


def test_the_page_says_how_long_the_longest_chain_takes(client: Client, owner: User) -> None:
    tags = [Tag("a", {"D": 2}, minutes=1), Tag("b", {"D": 2}, ("a",), minutes=1), Tag("c", {"G": 1}, ("b",)),
            Tag("slow", {"D": 2}, ("a",), minutes=90)]  # fmt: skip
    made = make_workflow(owner, tags)
    text = client.get(f"/workflows/{made.workflow.pk}/graph/").content.decode()
    assert "longest by run time: a → slow, about 1 h" in text
    unrun = make_workflow(owner, [Tag("a", {"G": 1}), Tag("b", {"G": 1}, ("a",))], status="C")
    assert "longest chain: a → b" in client.get(f"/workflows/{unrun.workflow.pk}/graph/").content.decode()


def lines_in(text: str) -> int:
    """How many are drawn: each begins with a move."""
    return sum(path.count("M") for path in re.findall(r'<path class="edges[^"]*" d="([^"]*)"', text))


@pytest.mark.parametrize("shape", ["each waits for all before it", "two halves"])
def test_a_dense_picture_of_sixty_boxes_stays_small(client: Client, owner: User, shape: str) -> None:
    names = [f"estimate_{number:02d}" for number in range(60)]
    halves = shape == "two halves"
    before = [names[:30] if place >= 30 else [] for place in range(60)] if halves else [names[:n] for n in range(60)]
    made = make_workflow(owner, [Tag(name, {"D": 1}, tuple(ups)) for name, ups in zip(names, before, strict=True)])
    edges = 900 if halves else 60 * 59 // 2
    answer = client.get(f"/workflows/{made.workflow.pk}/graph/")
    text = answer.content.decode()
    assert len(answer.content) <= 60 * 1024
    assert text.count("data-box=") == 60
    assert f"and {27 if halves else 56} more" in text
    if halves:  # nothing is left out: to the point and from it, and the longest chain
        assert lines_in(text) == 30 + 30 + 1
        assert "lines are drawn" not in text
        assert "Where lines meet in a dot, all after it wait for all before it." in text
    else:
        assert lines_in(text) == 59
        assert f"59 of {edges:,} lines are drawn" in text
    dot_text = client.get(f"/workflows/{made.workflow.pk}/graph/?export=dot").content.decode()
    assert dot_text.count("->") == edges


def test_a_dense_graph_keeps_every_way_and_its_longest_chain() -> None:
    edges = {(up, down): 1 for up in range(1, 30) for down in range(up + 1, 31)}
    assert sorted(thin(range(1, 31), edges)) == [(number, number + 1) for number in range(1, 30)]
    assert thin(range(1, 31), {(1, 2): 5, (2, 3): 5, (1, 3): 5}) == {(1, 2): 5, (2, 3): 5, (1, 3): 5}
    seconds = {number: float(number) for number in range(1, 31)}
    whole, thinned = (draw(range(1, 31), some, seconds=seconds) for some in (edges, thin(range(1, 31), edges)))
    assert whole.chain == thinned.chain
    assert (30, 1) in thin(range(1, 31), {**edges, (30, 1): 1})


def test_what_is_waited_for_is_named_in_few_words() -> None:
    ups = [JobGroup(pk=pk, name=f"up_{pk}", jobs=4, count_d=2) for pk in range(1, 9)]
    waiting = JobGroup(pk=9, name="end", jobs=5, count_g=5)
    told = ", ".join(f"up_{pk} (2 to come)" for pk in range(1, 7))
    assert explain.why_tag(waiting, ups[:6], ready=0) == [f"5 wait for {told}"]
    named = "up_1 (2 to come), up_2 (2 to come), up_3 (2 to come)"
    assert explain.why_tag(waiting, ups, ready=0) == [f"5 wait for {named} and 5 more tags"]
