"""Since when a job has had all its upstreams: written with the count of those that are left."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.db.engine import drive, job, make_actor, start, submit
from workflows import lifecycle
from workflows.models import Job, JobInstance, Workflow
from workflows.queries import timeline

pytestmark = pytest.mark.django_db


def ready(workflow: Workflow) -> dict[str, datetime | None]:
    return dict(Job.objects.filter(dag_id=workflow.dag_id).values_list("name", "ready_at"))


def ended(workflow: Workflow, name: str) -> datetime | None:
    return JobInstance.objects.get(job__dag_id=workflow.dag_id, job__name=name, status="D").ended_at


def test_jobs_without_upstreams_are_ready_from_the_beginning() -> None:
    workflow = submit([job("a"), job("b", "a")])
    assert ready(workflow) == {"a": workflow.created_date, "b": None}


def test_the_last_upstream_makes_it_ready_and_it_is_submitted_after_that() -> None:
    workflow = submit([job("a"), job("b", "a"), job("c", "a", "b"), job("lost", "bad"), job("bad", command="exit=1")])
    run = start(workflow)
    assert drive(run) == "E"
    found = ready(workflow)
    assert found["lost"] is None
    assert found["b"] is not None
    assert found["c"] is not None
    assert found["a"] < found["b"] < found["c"]
    assert found["c"] >= ended(workflow, "b")
    for one in timeline.read_times(run.pk, None):
        assert one.ready is not None
        assert one.ready <= one.submitted


def test_a_job_that_waits_again_is_not_ready_any_more() -> None:
    """Three upstreams fall in one step; one of them is reset, and then a person's word counts as its end."""
    workflow = submit([job("a"), job("b"), job("c"), job("sum", "a", "b", "c", command="exit=1", max_attempts=1)])
    drive(start(workflow))
    first = ready(workflow)["sum"]
    assert first is not None
    a = Job.objects.get(dag_id=workflow.dag_id, name="a").pk
    lifecycle.reset_jobs(workflow.pk, [a], make_actor())
    assert ready(workflow)["sum"] is None
    lifecycle.mark_done(workflow.pk, [a], make_actor())
    again = ready(workflow)["sum"]
    assert again is not None
    assert again > first
