"""A clock that jumps ahead and back must not leave anything waiting for it, nor a beat that does."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from tests.db.engine import drive, job, start, submit
from tests.waiting import wait_until
from workflows import bell
from workflows.models import ExecutorState, Job, JobInstance, SystemState, WorkflowRun
from workflows.scheduling import back_ends, reconcile, tick
from workflows.scheduling.set_clock import SWEEPS_MISSED, SweepWatch, take_back_future

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_what_an_hour_ahead_left_behind_is_taken_back() -> None:
    run = start(submit([job("a", command="runs=99"), job("b")]))
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    ahead = timezone.now() + HOUR
    WorkflowRun.objects.update(lease_owner="gone:1:1", lease_expires_at=ahead, backoff_until=ahead)
    ExecutorState.objects.update(poll_started_at=ahead, disbelief_until=ahead)
    JobInstance.objects.filter(status__in="IBR").update(absent_since=ahead)
    Job.objects.filter(name="b").update(status="Q", not_before=ahead)
    assert tick.advance(run.pk) is None, "nobody can take the run"
    assert reconcile.reconcile("dummy") == set()
    assert take_back_future() == 6
    assert tick.advance(run.pk) is not None
    assert not JobInstance.objects.filter(absent_since__isnull=False).exists()
    assert ExecutorState.objects.get().poll_started_at is None


def test_what_may_lie_ahead_is_left_alone() -> None:
    run = start(submit([job("a", command="runs=99"), job("b")]))
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    now = timezone.now()
    soon = now + timedelta(seconds=25)
    WorkflowRun.objects.update(lease_owner="me", lease_expires_at=soon, backoff_until=soon)
    ExecutorState.objects.update(disbelief_until=now + timedelta(minutes=9))
    Job.objects.filter(name="b").update(status="Q", not_before=now + timedelta(minutes=10))
    assert take_back_future() == 0


def test_a_run_goes_on_after_the_jump() -> None:
    """The clock of one worker was an hour ahead when it began a poll and took the lease, and it died then."""
    back_ends.forget()
    run = start(submit([job("a"), job("b", "a", command="exit=1 until=2")]))
    tick.advance(run.pk)
    ahead = timezone.now() + HOUR
    WorkflowRun.objects.update(lease_owner="gone:1:1", lease_expires_at=ahead)
    ExecutorState.objects.update(poll_started_at=ahead)
    take_back_future()
    assert drive(run) == "D"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was rung."""
    rung: list[str] = []
    monkeypatch.setattr(bell, "send", lambda task, **_: rung.append(task))
    return rung


def test_a_worker_rings_for_the_sweep_that_does_not_come(sent: list[str]) -> None:
    period = float(settings.CELERY_BEAT_SCHEDULE["sweep"]["schedule"])
    watch = SweepWatch()
    assert not watch.look(0.0)
    assert not watch.look(SWEEPS_MISSED * period - 1)
    SystemState.objects.create(name="sweep", at=timezone.now() + HOUR)
    assert not watch.look(SWEEPS_MISSED * period + 1), "one has ended meanwhile"
    assert watch.look(2 * SWEEPS_MISSED * period + 2)
    assert sent == ["workflows.tasks.sweep"]
    assert not watch.look(2 * SWEEPS_MISSED * period + 3), "it rings once in that time"


def test_the_watcher_asks(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from workflows.scheduling.watcher import Watcher

    watcher: Any = Watcher()
    watcher.step(0.0)
    watcher.step(10_000.0)
    assert "workflows.tasks.sweep" in sent


def test_an_attempt_of_the_dummy_does_not_run_for_the_hour_that_a_clock_was_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, ahead = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])
    back_ends.forget()
    back_ends.get("dummy")
    run = start(submit([job("a", command="runs=0.05")]))
    ahead[0] = HOUR.total_seconds()
    tick.advance(run.pk)
    ahead[0] = 0.0
    wait_until(lambda: drive(run, 1) == "D", 30, "the end of the attempt")
