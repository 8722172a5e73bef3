"""Facts that stand beside the status of a job and of its attempts."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_workflow
from workflows.models import HostExclusion, JobInstance

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"R": 1})])


def pages(client: Client, made: Made) -> list[str]:
    attempt = made.instance("R")
    urls = (f"/jobs/{attempt.job_id}/", f"/job-instances/{attempt.pk}/")
    return [client.get(url).content.decode() for url in urls]


def test_not_listed_is_checking(client: Client, made: Made) -> None:
    assert not any(">checking<" in text for text in pages(client, made))
    JobInstance.objects.update(absent_since=timezone.now())
    assert all(">checking<" in text for text in pages(client, made))


def test_an_excluded_host_is_said(client: Client, made: Made) -> None:
    attempt = made.instance("R")
    values = {"executor": attempt.executor_type, "host": attempt.nodename, "changed_at": timezone.now()}
    host = HostExclusion.objects.create(**values)
    assert all(">host excluded<" in text for text in pages(client, made))
    HostExclusion.objects.filter(pk=host.pk).update(is_excluded=False)
    assert not any(">host excluded<" in text for text in pages(client, made))


def test_an_attempt_that_vanished_may_run_beside_the_next(client: Client, made: Made) -> None:
    last = made.instance("R")
    now = timezone.now()
    lost = JobInstance.objects.create(
        job=last.job, workflow_run=last.workflow_run, executor_type="sge", status="E", reason="lost", name="jm-lost",
        submitted_date=now, status_date=now, ended_at=now,
    )  # fmt: skip
    assert "two copies possible" not in pages(client, made)[0], "the one that vanished came last"
    JobInstance.objects.filter(pk=last.pk).delete()
    last.pk = lost.pk + 1
    last.save(force_insert=True)
    assert "two copies possible" in pages(client, made)[0]
