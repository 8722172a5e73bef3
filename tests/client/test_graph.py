"""The graph of tasks: what is wrong with it, how it is drawn, and how much memory it takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobmon import BashTask, TaskDag, TaskDagViz
from jobmon.exceptions import InvalidGraph
from jobmon.workflow.submission import iterate_chunks, iterate_jobs

if TYPE_CHECKING:
    from collections.abc import Callable


def make_dag(*tasks: BashTask) -> TaskDag:
    dag = TaskDag()
    dag.add_tasks(tasks)
    return dag


def test_order_of_addition_does_not_matter() -> None:
    one = BashTask("one", name="one")
    two = BashTask("two", name="two", upstream_tasks=[one])
    for order in ([one, two], [two, one]):
        dag = make_dag(*order)
        dag.validate()
        jobs = list(iterate_jobs(dag))
        by_name = {job["name"]: job for job in jobs}
        assert [jobs[position]["name"] for position in by_name["two"]["upstreams"]] == ["one"]


def test_same_command_twice_names_both() -> None:
    with pytest.raises(ValueError, match=r"(?s)'true'.*first.*second"):
        make_dag(BashTask("true", name="first"), BashTask("true", name="second"))


def test_same_task_twice_is_refused() -> None:
    task = BashTask("true")
    with pytest.raises(ValueError, match="same command"):
        make_dag(task, task)


def test_same_name_twice_names_both_commands() -> None:
    with pytest.raises(InvalidGraph, match=r"(?s)'fit'.*'one'.*'two'"):
        make_dag(BashTask("one", name="fit"), BashTask("two", name="fit")).validate()


def test_upstream_that_was_not_added_names_both() -> None:
    forgotten = BashTask("one", name="forgotten")
    with pytest.raises(InvalidGraph, match=r"'waiting' waits for 'forgotten'") as caught:
        make_dag(BashTask("two", name="waiting", upstream_tasks=[forgotten])).validate()
    assert [error["code"] for error in caught.value.errors] == ["unknown-upstream"]
    assert isinstance(caught.value, ValueError)


def test_cycle_is_told_in_order() -> None:
    one, two, three, outside = (BashTask(name, name=name) for name in ("one", "two", "three", "outside"))
    two.add_upstream(one)
    three.add_upstream(two)
    one.add_upstream(three)
    outside.add_upstream(three)
    with pytest.raises(InvalidGraph, match="in a circle") as caught:
        make_dag(outside, one, two, three).validate()
    told = str(caught.value).split("start: ")[1].split(";")[0].split(" → ")
    assert told[0] == told[-1]
    assert set(told) == {"one", "two", "three"}
    following = dict(pairwise(told))
    assert following == {"one": "two", "two": "three", "three": "one"}


def test_no_tasks_is_an_error() -> None:
    with pytest.raises(InvalidGraph, match="no tasks"):
        TaskDag().validate()


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no task"):
        TaskDag().add_task("true")  # type: ignore[arg-type]


def test_chunks_hold_everything_once_with_positions_through_all() -> None:
    tasks = [BashTask(f"echo {n}") for n in range(25)]
    for before, after in pairwise(tasks):
        after.add_upstream(before)
    chunks = list(iterate_chunks(make_dag(*tasks), 10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]
    assert [job["upstreams"] for chunk in chunks for job in chunk] == [[]] + [[n] for n in range(24)]


def test_dot_text_names_tasks_and_survives_quotes(tmp_path: Path) -> None:
    one = BashTask("one", name="one")
    dag = make_dag(one, BashTask("two", name="two", tag='say "hi"\\', upstream_tasks=[one]))
    text = TaskDagViz(dag, str(tmp_path), "dot").render().read_text()
    assert 'n0 [label="one"]' in text
    assert "n0 -> n1" in text
    assert r"say \"hi\"\\" in TaskDagViz(dag, by_tag=True).to_dot()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_picture_is_drawn(tmp_path: Path, kind: str, start: bytes) -> None:
    picture = TaskDagViz(make_dag(BashTask("one")), str(tmp_path / "new"), kind).render()
    assert picture.suffix == f".{kind}"
    assert picture.read_bytes().startswith(start)


def test_without_graphviz_the_text_is_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Callable[[], str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = TaskDagViz(make_dag(BashTask("one")), str(tmp_path)).render()
    assert answer == tmp_path / "task_dag.dot"
    assert "Graphviz is not installed" in told()


def test_large_graphs_are_drawn_by_tag() -> None:
    first = [BashTask(f"a {n}", tag="first") for n in range(150)]
    second = [BashTask(f"b {n}", tag="second", upstream_tasks=[task]) for n, task in enumerate(first)]
    text = TaskDagViz(make_dag(*first, *second)).to_dot()
    assert text.count("[label=") == 3
    assert 'label="150"' in text


def test_unknown_picture_format_is_refused() -> None:
    with pytest.raises(ValueError, match="jpeg"):
        TaskDagViz(TaskDag(), output_format="jpeg")


def test_memory_per_task_is_bounded() -> None:
    """100,000 tasks with 300,000 edges must fit into 500 MB: 5 KB a task with its three edges. Measured on a part."""
    count = 5000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        dag = build_chain_of_threes(count)
        per_task = (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()
    assert len(dag) == count
    assert per_task < 2500


def test_tasks_have_no_dictionary_of_their_own() -> None:
    assert not hasattr(BashTask("true"), "__dict__")


def build_chain_of_threes(count: int) -> TaskDag:
    """Each task waits for the three before it."""
    tasks: list[BashTask] = []
    for number in range(count):
        tasks.append(BashTask(f"fit --draw {number}", name=f"fit_{number}", tag="fit", upstream_tasks=tasks[-3:]))
    dag = make_dag(*tasks)
    dag.validate()
    return dag


@pytest.mark.slow
def test_hundred_thousand_tasks_fit_into_500_mb() -> None:
    program = (
        "import resource\n"
        "from tests.client.test_graph import build_chain_of_threes\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "build_chain_of_threes(100_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500_000
