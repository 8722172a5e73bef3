"""A graph that is stored in many transactions is there as a whole or not at all; a bell for a run in hand is one look."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.db.engine import drive, job, make_actor, start, statuses, submit
from workflows import bell, binding, invariants
from workflows.models import Job, JobEdge, JobGroup, TaskDag, Workflow, WorkflowRun
from workflows.scheduling import housekeeping, tick

pytestmark = pytest.mark.django_db

NAMES = [f"j{number}" for number in range(23)]


def make_jobs() -> list[object]:
    """Each waits for the one before it and for the first."""
    return [job(name, *{NAMES[0], NAMES[place - 1]} if place else ()) for place, name in enumerate(NAMES)]


@pytest.fixture
def in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "SLICE", 5)


@pytest.mark.usefixtures("in_slices")
def test_a_graph_in_slices_is_the_graph_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sliced = submit(make_jobs(), args="sliced")  # type: ignore[arg-type]
    monkeypatch.undo()
    whole = submit(make_jobs(), args="whole")  # type: ignore[arg-type]

    def describe(workflow: Workflow) -> list[object]:
        jobs = Job.objects.filter(dag_id=workflow.dag_id).order_by("position")
        edges = JobEdge.objects.filter(upstream__dag_id=workflow.dag_id)
        return [
            list(jobs.values_list("name", "command", "upstreams_left", "position", "status")),
            sorted(edges.values_list("upstream__name", "downstream__name")),
            list(JobGroup.objects.filter(dag_id=workflow.dag_id).values_list("name", "jobs", "count_g")),
            sorted(workflow.dag.group_edges.values_list("edges", flat=True)),
        ]

    assert describe(sliced) == describe(whole)
    assert invariants.check_all() == []
    assert drive(start(sliced)) == "D"
    assert set(statuses(sliced).values()) == {"D"}


@pytest.mark.usefixtures("in_slices")
def test_a_graph_whose_storing_broke_off_is_invisible_and_swept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    real, slices = binding._insert_slice, []

    def break_off(*args: object) -> None:
        slices.append(args)
        if len(slices) == 3:
            raise KeyboardInterrupt
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(binding, "_insert_slice", break_off)
    with pytest.raises(KeyboardInterrupt):
        submit(make_jobs())  # type: ignore[arg-type]
    monkeypatch.undo()
    assert (Job.objects.count(), Workflow.objects.count()) == (10, 0)
    assert invariants.check_all() == []
    housekeeping.sweep()
    assert Job.objects.count() == 10, "perhaps it is being stored right now"
    TaskDag.objects.update(created_date=timezone.now() - timedelta(hours=2))
    housekeeping.sweep()
    left = (Job.objects.count(), JobEdge.objects.count(), JobGroup.objects.count(), TaskDag.objects.count())
    assert left == (0, 0, 0, 0)


@pytest.mark.usefixtures("in_slices")
def test_the_same_graph_stored_meanwhile_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commits of one graph: the one that comes last finds the other's workflow, and its own graph goes."""
    real = binding._create_workflow
    rivals: list[Workflow] = []

    def lose(*args: object) -> binding.Bound:
        if not rivals:
            rivals.append(None)  # type: ignore[arg-type]
            rivals[0] = submit(make_jobs())  # type: ignore[arg-type]
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(binding, "_create_workflow", lose)
    assert submit(make_jobs()) == rivals[0]  # type: ignore[arg-type]
    assert Workflow.objects.count() == 1
    assert invariants.check_all() == []


@pytest.mark.usefixtures("in_slices")
def test_a_graph_that_was_removed_while_it_was_stored_makes_no_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    real = binding._sum_edges

    def remove_some(*args: object) -> object:
        Job.objects.filter(name="j7").delete()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(binding, "_sum_edges", remove_some)
    with pytest.raises(binding.GraphRemoved):
        submit(make_jobs())  # type: ignore[arg-type]
    assert not Workflow.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_bell_for_a_run_that_a_thread_has_in_hand_is_one_more_look(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(submit([job("a", command="runs=100")], make_actor()))
    real, inside, go_on = tick.tick, threading.Event(), threading.Event()

    def wait_inside(run_id: int, fence: int) -> tick.Progress:
        inside.set()
        assert go_on.wait(60)
        return real(run_id, fence)

    monkeypatch.setattr(tick, "tick", wait_inside)
    answers: list[tick.Progress | None] = []

    def advance() -> None:
        answers.append(tick.advance(run.pk))
        connection.close()

    thread = threading.Thread(target=advance)
    thread.start()
    assert inside.wait(60)
    fence = WorkflowRun.objects.get(pk=run.pk).fence
    for _ in range(3):
        assert tick.advance(run.pk) == tick.Progress()
    go_on.set()
    thread.join(60)
    assert [answer and answer.needs_another_look for answer in answers] == [True]
    assert WorkflowRun.objects.get(pk=run.pk).fence == fence, "nobody else asked for the lease"
    second = tick.advance(run.pk)
    assert second is not None
    assert not second.needs_another_look


def test_a_run_that_could_not_be_advanced_can_be_advanced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = start(submit([job("a")]))

    def fail(*_: int) -> tick.Progress:
        raise RuntimeError("the disk is away")

    monkeypatch.setattr(tick, "tick", fail)
    with pytest.raises(RuntimeError):
        tick.advance(run.pk)
    monkeypatch.undo()
    assert drive(run) == "D"


def test_bells_for_a_little_later_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(bell, "send", lambda task, countdown=None, **values: sent.append((countdown, values)))
    monkeypatch.setattr(bell, "_soon", {})
    for run_id in (1, 2, 1, 1, 2):
        bell.ring_soon(run_id)
    assert sent == [(bell.LOOK_AGAIN, {"run_id": 1}), (bell.LOOK_AGAIN, {"run_id": 2})]
    bell._soon[1] -= bell.LOOK_AGAIN
    bell.ring_soon(1)
    assert len(sent) == 3
