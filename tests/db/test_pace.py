"""What holds a live run back, from stored counts and a bounded number of index entries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import Tag, make_audit, make_user, make_workflow
from workflows.models import WorkflowRun
from workflows.queries.counts import groups_of
from workflows.queries.frame import Frame
from workflows.queries.pace import read_facts, with_queue_facts
from workflows.queries.workflows import view_workflow

pytestmark = pytest.mark.django_db


def test_ready_jobs_are_counted_where_a_limit_is_reached() -> None:
    tags = [Tag("load", {"D": 9, "R": 1}), Tag("fit", {"R": 2, "G": 8}, ("load",), limit=2)]
    made = make_workflow(make_user(), tags)
    groups = groups_of(made.workflow.dag_id)
    run = view_workflow(made.workflow).live_run
    assert run is not None
    facts = read_facts(run, groups, Frame())
    assert dict(facts.ready) == {groups[1].pk: 7}  # one waits for the job of load that still runs
    assert facts.ready_waiting == 7
    full = read_facts(run, groups, Frame(full={run.executor: 3}))
    assert dict(full.ready) == {groups[1].pk: 7}
    groups[1].max_concurrently_running = 3
    assert dict(read_facts(run, groups, Frame()).ready) == {}


def test_the_oldest_in_the_queue_and_who_holds() -> None:
    made = make_workflow(make_user(), [Tag("fit", {"I": 3, "R": 1})])
    assert made.run is not None
    now = timezone.now()
    make_audit(made.workflow, "hold", actor="earlier", at=now - timedelta(hours=1))
    WorkflowRun.objects.filter(pk=made.run.pk).update(hold_reason="disk full", held_at=now)
    run = with_queue_facts(WorkflowRun.objects.filter(pk=made.run.pk)).get()
    facts = read_facts(run, [], Frame())
    assert facts.oldest_queued == min(one.submitted_date for one in made.instances if one.status == "B")
    assert facts.held_by == ""  # nobody: the server itself, since submitting failed too often
    make_audit(made.workflow, "hold", actor="bob", at=now + timedelta(seconds=1))
    run = with_queue_facts(WorkflowRun.objects.filter(pk=made.run.pk)).get()
    assert read_facts(run, [], Frame()).held_by == "bob"
