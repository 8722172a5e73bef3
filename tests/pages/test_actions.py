"""Resume and stop: pages with counts first, then one effect."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.models import AuditEntry, Job, JobGroup, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db


def digest_of(client: Client, url: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', client.get(url).content.decode())
    assert found is not None
    return found[1]


@pytest.fixture
def stopped(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 3, "F": 2, "G": 1})], status="E")


@pytest.fixture
def live(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 3, "R": 2, "I": 1, "G": 1})])


def test_the_resume_page_says_what_happens_to_the_jobs(client: Client, stopped: Made) -> None:
    text = client.get(f"/workflows/{stopped.workflow.pk}/resume/").content.decode()
    assert "3 jobs kept, 2 tried again, 1 not done yet." in text
    assert "Resume 3 jobs</button>" in text
    assert WorkflowRun.objects.count() == 1


def test_resume_starts_one_run_and_tells_who(client: Client, stopped: Made) -> None:
    url = f"/workflows/{stopped.workflow.pk}/resume/"
    form = {"seen": digest_of(client, url), "resume": "cold"}
    response = client.post(url, form)
    run = WorkflowRun.objects.get(status="R")
    assert (response.status_code, response["Location"]) == (302, f"/workflow-runs/{run.pk}/")
    assert client.post(url, form).status_code in (200, 302)
    assert WorkflowRun.objects.filter(status="R").count() == 1
    assert AuditEntry.objects.filter(workflow_id=stopped.workflow.pk, actor="alice", via="page").count() == 1
    assert not Job.objects.filter(status="F").exists()


def test_resume_with_old_numbers_shows_the_page_again(client: Client, stopped: Made) -> None:
    url = f"/workflows/{stopped.workflow.pk}/resume/"
    seen = digest_of(client, url)
    JobGroup.objects.update(count_f=1, count_g=2)
    response = client.post(url, {"seen": seen, "numbers": "3-2-1-0"})
    assert response.status_code == 200
    assert "tried again: 2 before, 1 now" in response.content.decode()
    assert "Look at the numbers again" in response.content.decode()
    assert not WorkflowRun.objects.filter(status="R").exists()


def test_a_done_workflow_offers_no_resume(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 3})], status="D")
    text = client.get(f"/workflows/{made.workflow.pk}/resume/").content.decode()
    assert "Nothing to do" in text
    assert '<form class="box" method="post">' not in text


def test_the_stop_page_shows_two_ways_and_chooses_none(client: Client, live: Made) -> None:
    text = client.get(f"/workflows/{live.workflow.pk}/stop/").content.decode()
    assert "2 jobs running" in text
    assert "2 jobs running and 1 submitted are ended; what is done stays done." in text
    assert "2 jobs running and 1 submitted are let finish; nothing more is submitted." in text
    assert "checked" not in text
    assert "type the number" not in text


def test_stop_without_a_choice_is_refused(client: Client, live: Made) -> None:
    response = client.post(f"/workflows/{live.workflow.pk}/stop/", {})
    assert response.status_code == 409
    assert "Choose one of the two ways" in response.content.decode()
    assert WorkflowRun.objects.get().stopping == ""


@pytest.mark.parametrize("mode", ["drain", "kill"])
def test_stop_is_asked_once_and_followed_on_the_run(client: Client, live: Made, mode: str) -> None:
    for _ in range(2):
        response = client.post(f"/workflows/{live.workflow.pk}/stop/", {"mode": mode})
        assert response["Location"] == f"/workflow-runs/{live.run.pk}/"
    run = WorkflowRun.objects.get()
    assert (run.stopping, run.stop_asked_by) == (mode, "alice")
    assert "Stop asked" in client.get(f"/workflow-runs/{run.pk}/").content.decode()


def test_staff_types_the_number_to_kill_the_jobs_of_another(live: Made) -> None:
    staff = Client(HTTP_HOST="127.0.0.1")
    staff.force_login(make_user("root", is_staff=True))
    url = f"/workflows/{live.workflow.pk}/stop/"
    assert "type the number of jobs (3)" in staff.get(url).content.decode()
    assert staff.post(url, {"mode": "kill", "live_jobs": "3", "typed": "33"}).status_code == 409
    assert WorkflowRun.objects.get().stopping == ""
    assert staff.post(url, {"mode": "kill", "live_jobs": "3", "typed": "3"}).status_code == 302
    assert WorkflowRun.objects.get().stopping == "kill"


def test_nothing_to_stop(client: Client, stopped: Made) -> None:
    url = f"/workflows/{stopped.workflow.pk}/stop/"
    assert "Nothing to stop" in client.get(url).content.decode()
    assert "nothing was stopped" in client.post(url, {"mode": "kill"}, follow=True).content.decode()
    assert Workflow.objects.get().status == "E"
