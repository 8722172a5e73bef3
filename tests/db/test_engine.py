"""The engine from graph to end, on the dummy executor."""

from __future__ import annotations

import os

import pytest

from tests.db.engine import attempts, drive, job, make_actor, start, statuses, submit
from workflows import lifecycle
from workflows.lifecycle import Refused
from workflows.models import JobInstance, Workflow
from workflows.scheduling import tick

pytestmark = pytest.mark.django_db


def test_a_chain_runs_to_done() -> None:
    workflow = submit([job("a"), job("b", "a"), job("c", "b")])
    assert drive(start(workflow)) == "D"
    assert statuses(workflow) == {"a": "D", "b": "D", "c": "D"}
    workflow.refresh_from_db()
    assert workflow.status == "D"


def test_only_what_depends_on_the_failure_stays_behind() -> None:
    workflow = submit(
        [
            job("a"),
            job("b1", "a"),
            job("b2", "a", command="exit=3"),
            job("b3", "a"),
            job("c1", "b1"),
            job("c2", "b2"),
            job("c3", "b3"),
            job("d", "c1", "c2", "c3"),
        ]
    )
    assert drive(start(workflow)) == "E"
    assert statuses(workflow) == {"a": "D", "b1": "D", "b2": "F", "b3": "D", "c1": "D", "c2": "G", "c3": "D", "d": "G"}
    assert attempts(workflow, "b2") == [("E", "exit")] * 3


def test_a_failure_that_passes_is_tried_again() -> None:
    workflow = submit([job("a", command="exit=1 until=3")])
    assert drive(start(workflow)) == "D"
    assert attempts(workflow, "a") == [("E", "exit"), ("E", "exit"), ("D", "")]


def test_a_complete_workflow_is_refused() -> None:
    workflow = submit([job("a")])
    drive(start(workflow))
    with pytest.raises(Refused) as refused:
        start(workflow)
    assert refused.value.code == "workflow-already-complete"


def test_the_same_graph_is_the_same_workflow() -> None:
    first = submit([job("a"), job("b", "a")])
    second = submit([job("b", "a"), job("a")])
    assert first.pk == second.pk
    assert submit([job("a"), job("b", "a")], args="other").pk != first.pk
    assert Workflow.objects.count() == 2


def test_resume_runs_only_what_is_not_done() -> None:
    workflow = submit([job("a"), job("b", "a", command="exit=1 until=4"), job("c", "b")])
    assert drive(start(workflow)) == "E"
    assert drive(start(workflow)) == "D"
    assert len(attempts(workflow, "a")) == 1
    assert [status for status, _ in attempts(workflow, "b")] == ["E", "E", "E", "D"]


def test_group_counts_follow_the_jobs() -> None:
    workflow = submit([job("a", tag="x"), job("b", "a", tag="y", command="exit=1"), job("c", "b", tag="y")])
    drive(start(workflow))
    rows = {
        group.name: (group.count_d, group.count_f, group.count_g, group.jobs) for group in workflow.dag.groups.all()
    }
    assert rows == {"x": (1, 0, 0, 1), "y": (0, 1, 1, 2)}


def test_a_refused_request_fails_at_once() -> None:
    workflow = submit([job("a", command="refused")])
    assert drive(start(workflow)) == "E"
    assert attempts(workflow, "a") == [("E", "refused")]


def test_every_attempt_says_how_it_ended() -> None:
    workflow = submit([job("a", command="exit=3 said=oops", max_attempts=1)])
    drive(start(workflow))
    attempt = JobInstance.objects.get()
    assert (attempt.exit_code, attempt.reason) == (3, "exit")
    assert "oops" in attempt.errors.get().description
    assert [move.status for move in attempt.moves.order_by("pk")] == ["I", "B", "R", "E"]


def test_two_people_do_not_share_a_workflow() -> None:
    from workflows.binding import WorkflowInUse

    submit([job("a")], make_actor("alice"))
    with pytest.raises(WorkflowInUse):
        submit([job("a")], make_actor("bob"))


def test_the_lease_of_a_dead_process_is_taken_away() -> None:
    run = start(submit([job("a")]))
    assert lifecycle.acquire_lease(run.pk, f"{tick.HOST}:999999999:1", 600) is not None
    assert lifecycle.acquire_lease(run.pk, "somebody else", 600) is None
    assert tick.release_dead_leases() == 1
    assert lifecycle.acquire_lease(run.pk, f"{tick.HOST}:{os.getpid()}:1", 600) is not None
    assert tick.release_dead_leases() == 0
