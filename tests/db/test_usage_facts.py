"""What the sweep sums up of large runs is what a page would read of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.models import JobInstance, RunUsage, WorkflowRun
from workflows.queries import attempts, resources
from workflows.resource_use import TagUse
from workflows.scheduling import usage_facts

pytestmark = pytest.mark.django_db
TAGS = (
    Tag("fit", {"D": 60, "F": 4, "R": 3, "G": 2}, reasons=("memory",), mem_free=20),
    Tag("end", {"D": 5, "E": 2}, ("fit",)),
)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Made:
    """A running workflow that counts as large."""
    monkeypatch.setattr(resources, "READ_AT_ONCE_UP_TO", 10)
    monkeypatch.setattr(usage_facts, "READ_AT_ONCE_UP_TO", 10)
    return make_workflow(make_user("bob"), TAGS)


def use(made: Made, tag: str = "") -> resources.RunUse:
    assert made.run is not None
    jobs = len(made.all_jobs)
    return resources.use_of_run(made.run.pk, [made.jobs[tag][0].group_id] if tag else (), jobs)


def rounded(found: resources.RunUse) -> list[TagUse]:
    """By tag; a sum of floats depends on their order."""
    uses = [replace(use, unused_gb_hours=round(use.unused_gb_hours, 6)) for use in found.uses]
    return sorted(uses, key=lambda use: use.tag)


def test_the_sum_is_what_a_page_would_read(large: Made) -> None:
    read = use(large), use(large, "fit")
    assert read[0].made_at is None
    usage_facts.refresh_usage()
    for before, after in zip(read, (use(large), use(large, "fit")), strict=True):
        assert after.made_at is not None
        assert after.attempts == before.attempts
        assert rounded(after) == rounded(before)
        assert sum(cell.jobs for cell in after.cells) == sum(cell.jobs for cell in before.cells)


def test_every_tag_is_read_however_old_it_is(large: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_facts, "DONE_READ", 4)
    monkeypatch.setattr(usage_facts, "LEAST_READ", 1)
    usage_facts.refresh_usage()
    assert {found.tag for found in use(large).uses} == {"fit", "end"}


def test_a_run_page_counts_the_same_with_tallies_and_without(large: Made) -> None:
    assert large.run is not None
    before = attempts.view_run(large.run)
    usage_facts.refresh_usage()
    run = WorkflowRun.objects.select_related("workflow__dag").get(pk=large.run.pk)
    assert run.tallies is not None
    after = attempts.view_run(run)
    assert (after.statuses, after.reasons, after.oldest_live) == (before.statuses, before.reasons, before.oldest_live)
    running = JobInstance.objects.filter(workflow_run=run, status="R")
    running.filter(pk=running.first().pk).update(status="D", ended_at=timezone.now())
    assert attempts.view_run(run).statuses["R"] == before.statuses["R"] - 1


def test_small_runs_and_old_ones_are_left_alone(large: Made) -> None:
    small = make_workflow(make_user("carol"), [Tag("one", {"D": 1})])
    now = timezone.now()
    usage_facts.refresh_usage()
    first = RunUsage.objects.get(run=large.run, group=None).made_at
    usage_facts.refresh_usage()
    assert RunUsage.objects.get(run=large.run, group=None).made_at == first
    assert not RunUsage.objects.filter(run=small.run).exists()
    RunUsage.objects.update(made_at=now - timedelta(hours=3))
    WorkflowRun.objects.filter(pk=large.run.pk).update(status="E", ended_at=now - timedelta(hours=1))
    usage_facts.refresh_usage()
    assert RunUsage.objects.get(run=large.run, group=None).made_at >= now


def test_sums_of_several_tags_are_those_of_each(large: Made) -> None:
    assert large.run is not None
    names = list(large.jobs)[:2]
    groups = [large.jobs[name][0].group_id for name in names]
    usage_facts.refresh_usage()
    found = resources.use_of_run(large.run.pk, groups, len(large.all_jobs))
    assert found.made_at is not None
    assert {one.tag for one in found.uses} == set(names)
    assert found.attempts == sum(use(large, name).attempts for name in names)
    assert rounded(found) == sorted(
        [one for name in names for one in rounded(use(large, name))], key=lambda one: one.tag
    )
    assert [one.unused_gb_hours for one in found.uses] == sorted(
        (one.unused_gb_hours for one in found.uses), reverse=True
    )


def test_jobs_that_stood_out_are_kept_when_newer_ones_are_read(large: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    JobInstance.objects.filter(workflow_run=large.run).update(maxvmem=2 * 10**9, wallclock=600.0)
    done = [job for job in large.jobs["fit"] if job.status == "D"]
    JobInstance.objects.filter(job=done[0], status="D").update(maxvmem=30 * 10**9)
    read = use(large)
    usage_facts.refresh_usage()
    for tag in ("", "fit"):
        assert [(one.name, one.times) for one in use(large, tag).outliers] == [(done[0].name, 15.0)]
    assert use(large).outliers == read.outliers
    monkeypatch.setattr(usage_facts, "DONE_READ", 8)
    monkeypatch.setattr(usage_facts, "LEAST_READ", 1)
    RunUsage.objects.update(made_at=timezone.now() - timedelta(hours=1))
    usage_facts.refresh_usage()
    assert use(large).attempts < read.attempts
    assert [one.job_id for one in use(large).outliers] == [done[0].pk]
    assert use(large, "end").outliers == []
    RunUsage.objects.update(outliers=None)
    assert use(large).outliers == []
