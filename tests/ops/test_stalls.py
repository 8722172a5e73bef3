"""Which runs stand still, and which only wait."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.models import ExecutorState, Job, JobInstance, RunStall, Workflow, WorkflowRun
from workflows.scheduling.stalls import refresh_stalls

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def make_quiet(counts: dict[str, int], **fields: object) -> Made:
    """A live run in which nothing has moved for an hour."""
    made = make_workflow(make_user("alice"), [Tag("fit", counts)], status="R", **fields)
    Job.objects.update(status_date=timezone.now() - HOUR)
    ExecutorState.objects.update_or_create(name="local", defaults={"kind": "local", "polled_at": timezone.now()})
    return made


def cause() -> str:
    refresh_stalls()
    found = RunStall.objects.first()
    return found.kind if found is not None else ""


def test_ready_jobs_that_do_not_start() -> None:
    make_quiet({"D": 1, "G": 2})
    assert cause() == "not-started"
    stall = RunStall.objects.get()
    assert "fit_0002" in stall.words
    assert timezone.now() - stall.since >= HOUR


def test_a_moment_is_no_stall() -> None:
    make_quiet({"G": 2})
    Job.objects.update(status_date=timezone.now() - timedelta(minutes=3))
    assert cause() == ""


def test_a_young_run_is_no_stall() -> None:
    made = make_quiet({"G": 2})
    WorkflowRun.objects.filter(pk=made.run.pk).update(created_date=timezone.now())
    assert cause() == ""


def test_long_jobs_are_no_stall() -> None:
    make_quiet({"R": 2, "D": 1})
    assert cause() == ""


def test_a_full_queue_is_no_stall() -> None:
    make_quiet({"I": 2})
    assert cause() == ""


@pytest.mark.parametrize("limit", ["run", "tag", "person"])
def test_limits_are_no_stall(limit: str) -> None:
    made = make_quiet({"R": 2, "G": 2})
    if limit == "run":
        WorkflowRun.objects.filter(pk=made.run.pk).update(max_concurrently_running=2)
    elif limit == "tag":
        made.workflow.dag.groups.update(max_concurrently_running=2)
    else:
        ExecutorState.objects.update(hold_reason="maintenance")
    assert cause() == ""


def test_holds_and_stops_of_people_are_no_stall() -> None:
    made = make_quiet({"G": 2})
    WorkflowRun.objects.filter(pk=made.run.pk).update(hold_reason="lunch")
    assert cause() == ""
    WorkflowRun.objects.filter(pk=made.run.pk).update(hold_reason="", stopping="drain")
    assert cause() == ""


def test_the_servers_own_hold_is_one() -> None:
    made = make_quiet({"G": 2})
    WorkflowRun.objects.filter(pk=made.run.pk).update(hold_reason="Submission failed 20 times", submit_failures=20)
    assert cause() == "held"


def test_submissions_that_fail() -> None:
    made = make_quiet({"G": 2})
    WorkflowRun.objects.filter(pk=made.run.pk).update(submit_failures=6)
    assert cause() == "submission"


def test_a_disabled_owner() -> None:
    make_quiet({"G": 2})
    User.objects.update(is_active=False)
    assert cause() == "owner-disabled"


def test_a_silent_executor() -> None:
    make_quiet({"R": 2})
    ExecutorState.objects.update(polled_at=timezone.now() - HOUR, failure="qstat: no answer")
    assert cause() == "executor-silent"
    assert "qstat: no answer" in RunStall.objects.get().words


def test_attempts_that_are_all_stuck() -> None:
    make_quiet({"I": 2})
    JobInstance.objects.update(phase="stuck")
    assert cause() == "stuck"
    JobInstance.objects.filter(pk=JobInstance.objects.first().pk).update(phase="")
    assert cause() == ""


def test_a_stall_ends_when_something_moves_and_pages_learn_of_it() -> None:
    made = make_quiet({"G": 2})
    before = Workflow.objects.get().change_no
    assert cause() == "not-started"
    noted = RunStall.objects.get().noted_at
    assert cause() == "not-started"
    assert RunStall.objects.get().noted_at == noted
    assert Workflow.objects.get().change_no == before + 1
    Job.objects.filter(pk=made.job("G").pk).update(status_date=timezone.now())
    assert cause() == ""
    assert Workflow.objects.get().change_no == before + 2


def test_a_run_that_is_over_stands_still_for_good() -> None:
    made = make_quiet({"G": 2})
    assert cause() == "not-started"
    WorkflowRun.objects.filter(pk=made.run.pk).update(status="S", ended_at=timezone.now())
    assert cause() == ""


def test_the_pages_say_it() -> None:
    made = make_quiet({"D": 1, "G": 2})
    refresh_stalls()
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.get())
    for path in (f"/workflow-runs/{made.run.pk}/", f"/workflows/{made.workflow.pk}/"):
        page = client.get(path).content.decode()
        assert "Nothing moves since" in page
        assert "fit_0002" in page
