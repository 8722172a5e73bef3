"""One run: what it did itself, against the run before it; how far a kill is; and an executor that does not answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_audit, make_workflow
from workflows.models import ExecutorState, JobInstance, WorkflowRun

pytestmark = pytest.mark.django_db


def text_of(client: Client, made: Made, url: str = "") -> str:
    assert made.run is not None
    page = client.get(url or f"/workflow-runs/{made.run.pk}/")
    assert page.status_code == 200
    return " ".join(page.content.decode().split())


def test_what_this_run_did_and_what_changed_since_the_last(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 5, "F": 1, "R": 1})], runs=2)
    WorkflowRun.objects.filter(status="E").update(final_counts={"D": 2, "F": 5})
    text = text_of(client, made)
    assert "In this run: 5 jobs done with 9 attempts, of which 3 failed" in text
    assert "5 of 7 jobs done, 1 failed (3 more done than after run" in text, "what is tried again may fail again"
    WorkflowRun.objects.filter(status="R").update(ended_at=timezone.now(), status="E")
    assert "5 of 7 jobs done, 1 failed (3 more done, 4 fewer failed than after run" in text_of(client, made)


def test_an_ended_run_remembers_what_was_blocked(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("load", {"F": 1}), Tag("fit", {"G": 2}, ("load",))], status="E")
    WorkflowRun.objects.update(final_counts={"F": 1, "G": 2, "B": 2})
    for blocked, seen in ((2, "2 blocked"), (0, "2 waiting")):
        WorkflowRun.objects.update(final_counts={"F": 1, "G": 2, "B": blocked})
        assert f'aria-label="1 failed, {seen}"' in text_of(client, made)
    assert made.run is not None
    told = client.get(f"/api/v1/workflow-runs/{made.run.pk}/").json()
    assert told["counts"] == {"F": 1, "G": 2}


def test_a_kill_tells_how_many_are_confirmed_gone(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"E": 2, "R": 3})])
    JobInstance.objects.filter(status="E").update(reason="killed")  # one of them by hand, before the stop
    values = {"stopping": "kill", "stop_asked_at": timezone.now(), "stop_asked_by": "bob"}
    WorkflowRun.objects.update(**values)
    assert "by bob: 3 attempts not confirmed gone yet" in text_of(client, made)
    make_audit(made.workflow, "stop-kill", job_count=4)
    assert "by bob: 4 attempts to be killed, 1 confirmed gone, 3 not yet" in text_of(client, made)


def test_an_executor_that_does_not_answer_is_said_where_it_matters(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 3})], executor="sge")
    state = ExecutorState.objects.create(
        name="sge", kind="sge", polled_at=timezone.now() - timedelta(minutes=3), failure="qmaster: no route"
    )
    stop = f"/workflows/{made.workflow.pk}/stop/"
    for url in ("", stop):
        assert "does not answer" not in text_of(client, made, url)
    ExecutorState.objects.filter(pk=state.pk).update(failures_in_a_row=2)
    assert "sge does not answer since" in text_of(client, made)
    assert "(qmaster: no route). A kill is repeated until it does" in text_of(client, made, stop)
    stopped = make_workflow(owner, [Tag("fit", {"G": 3})], executor="sge", status="S")
    assert "A run that is started now waits until it does" in text_of(
        client, stopped, f"/workflows/{stopped.workflow.pk}/resume/"
    )


def test_events_are_told_as_people_say_them(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 3})])
    assert made.run is not None
    run, workflow = f"run {made.run.pk}", f"workflow {made.workflow.pk}"
    make_audit(made.workflow, "start-run", target=run)
    make_audit(made.workflow, "hold", target=run, before={"hold": ""}, after={"hold": "disk full"})
    make_audit(made.workflow, "set-limits", target=workflow, before={"run": None}, after={"run": 100})
    make_audit(made.workflow, "reset", target="job 7", before={"statuses": {"F": 1}})
    text = text_of(client, made)
    for said in (">started</td>", "held <span", "(disk full)", "changed the limits", "(all none → 100)",
                 "reset, to run again <a href=\"/jobs/7/\"", "(1 failed)"):  # fmt: skip
        assert said in text, said
    assert "None" not in text_of(client, made, f"/workflows/{made.workflow.pk}/activity/")
