"""Runs that nothing would ring for are found without waiting for the sweep."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.db.engine import job, make_actor, start, submit
from workflows import lifecycle
from workflows.models import WorkflowRun
from workflows.scheduling import tick
from workflows.scheduling.watcher import find_stalled
from workflows.state_machine import RunStatus

pytestmark = pytest.mark.django_db


def make_run() -> WorkflowRun:
    return start(submit([job("a", command="runs=100")]))


def test_a_run_whose_first_bell_was_lost_is_found() -> None:
    run = make_run()
    assert find_stalled() == [run.pk]


def test_a_run_in_which_something_runs_needs_no_bell() -> None:
    tick.advance(make_run().pk)
    assert find_stalled() == []


def test_a_run_that_somebody_advances_is_left_alone() -> None:
    run = make_run()
    lifecycle.acquire_lease(run.pk, "here:1:1", 30)
    assert find_stalled() == []
    lifecycle.release_lease(run.pk, "here:1:1")
    assert find_stalled() == [run.pk]


def test_a_run_that_waits_on_purpose_is_left_alone() -> None:
    run = make_run()
    lifecycle.hold_run(run.pk, "disk full", make_actor())
    assert find_stalled() == []
    lifecycle.hold_run(run.pk, "", make_actor())
    WorkflowRun.objects.filter(pk=run.pk).update(backoff_until=timezone.now() + timedelta(minutes=1))
    assert find_stalled() == []
    WorkflowRun.objects.filter(pk=run.pk).update(backoff_until=timezone.now() - timedelta(seconds=1))
    assert find_stalled() == [run.pk]


def test_a_run_that_is_over_is_not_found() -> None:
    run = make_run()
    lifecycle.ask_stop(run.pk, "drain", make_actor())
    assert lifecycle.finish_if_over(run.pk) is RunStatus.STOPPED
    assert find_stalled() == []
