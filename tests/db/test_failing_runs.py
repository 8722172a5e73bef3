"""Runs in which half of the newest attempts fail are held, once, until a person releases them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import lifecycle
from workflows.actor import Actor
from workflows.models import AuditEntry, JobInstance, Workflow, WorkflowRun
from workflows.scheduling import stalls
from workflows.scheduling.failing_runs import count_failures, hold_failing_runs

NOW = timezone.now()


@pytest.fixture(autouse=True)
def twenty(settings) -> None:
    settings.FAILING_ATTEMPTS = 20


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


def end(made: Made, reasons: list[str]) -> None:
    """Let the newest attempts have ended so, one second apart, the last one now; '' is a success."""
    made.run.instances.filter(status="E").update(ended_at=NOW - timedelta(hours=1))
    rows = list(JobInstance.objects.filter(workflow_run=made.run, status="D").order_by("-pk")[: len(reasons)])
    assert len(rows) == len(reasons)
    for number, (row, reason) in enumerate(zip(rows, reversed(reasons), strict=True)):
        at = timezone.now() - timedelta(seconds=number)
        JobInstance.objects.filter(pk=row.pk).update(status="E" if reason else "D", reason=reason, ended_at=at)
    Workflow.objects.update(change_no=F("change_no") + 1)


def test_failures_are_counted_among_the_newest() -> None:
    old, new = NOW - timedelta(hours=1), NOW
    ended = [(old, True)] * 50 + [(new, False)] * 7 + [(new, True)] * 3
    assert count_failures(ended, 10) == 3
    assert count_failures(ended, 60) == 53
    assert count_failures(ended, 61) == 0
    assert count_failures([], 0) == 0


@pytest.mark.parametrize(
    ("reasons", "is_held"),
    [
        (["exit"] * 10 + [""] * 10, True),
        (["memory", "signal", "runtime", "lost", "exit"] * 2 + [""] * 10, True),
        (["exit"] * 9 + [""] * 11, False),
        (["killed"] * 15 + [""] * 20, False),
        (["exit"] * 15 + [""] * 20, False),
    ],
    ids=["half", "every reason of its own", "fewer than half", "killed by a person", "failures of before"],
)
def test_half_of_the_newest_attempts_failing_holds_the_run(owner: User, reasons: list[str], is_held: bool) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 40, "R": 2, "G": 3})])
    end(made, reasons)
    assert hold_failing_runs() == ([made.run.pk] if is_held else [])
    run = WorkflowRun.objects.get(pk=made.run.pk)
    assert ("of the newest 20 attempts failed" in run.hold_reason) is is_held
    entries = list(AuditEntry.objects.values_list("actor", "via", "action"))
    assert entries == ([("server", "system", "hold")] if is_held else [])


def test_after_a_release_only_what_ends_later_counts(owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 60, "G": 3})])
    end(made, ["exit"] * 20)
    assert hold_failing_runs() == [made.run.pk]
    held = WorkflowRun.objects.select_related("workflow__owner").get(pk=made.run.pk)
    cause = stalls.find_cause(held, timezone.now())
    assert cause is not None and cause.kind == "held"
    assert hold_failing_runs() == []
    lifecycle.hold_run(made.run.pk, "", Actor(owner, "page"))
    end(made, ["exit"])
    JobInstance.objects.filter(status="E").update(ended_at=timezone.now() - timedelta(minutes=1))
    assert hold_failing_runs() == []
    end(made, ["exit"] * 21)
    JobInstance.objects.filter(status="E").update(ended_at=timezone.now() + timedelta(seconds=1))
    assert hold_failing_runs() == [made.run.pk]


def test_a_hold_of_a_person_is_no_stall_and_zero_switches_it_off(owner: User, settings) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 40, "G": 3})])
    end(made, ["exit"] * 30)
    settings.FAILING_ATTEMPTS = 0
    assert hold_failing_runs() == []
    lifecycle.hold_run(made.run.pk, "the disk is being moved", Actor(owner, "page"))
    held = WorkflowRun.objects.select_related("workflow__owner").get(pk=made.run.pk)
    assert stalls.find_cause(held, timezone.now()) is None
