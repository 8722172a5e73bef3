"""Pages that follow in Chromium: rows stay where they are, and only what matters is said to a screen reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.factories import Tag, make_user, make_workflow
from tests.pages.conftest import OpenPage
from workflows.models import Job, JobGroup, JobInstance, Workflow, WorkflowRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
POLL = 25_000


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


def row_ids(page: Page) -> list[str]:
    return [row.get_attribute("id") or "" for row in page.locator("tbody tr").all()]


def test_new_rows_wait_and_those_that_left_stay(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 3, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/?status=F&cols=name,status,attempts")
    shown = row_ids(page)
    failed, running = list(Job.objects.filter(status="F")), list(Job.objects.filter(status="R"))
    page.locator(f"#row-{failed[1].pk} input").check()
    page.get_by_label("Name begins with").fill("fit_0")
    page.get_by_label("Failed because").select_option("memory")
    page.get_by_label("running", exact=True).check()
    Job.objects.filter(pk=failed[0].pk).update(status="G")
    Job.objects.filter(pk=failed[1].pk).update(num_attempts=7)
    Job.objects.filter(pk__in=[job.pk for job in running]).update(status="F")
    JobGroup.objects.update(count_f=4, count_g=1, count_r=0)
    Workflow.objects.update(change_no=2)
    note = page.get_by_role("link", name="2 new jobs, 1 no longer in this list: show")
    expect(note).to_be_visible(timeout=POLL)
    assert row_ids(page) == shown
    expect(page.locator(f"#row-{failed[1].pk} td[data-label=Attempts]")).to_contain_text("7")
    assert page.locator(f"#row-{failed[1].pk} input").is_checked()
    assert page.get_by_label("Name begins with").input_value() == "fit_0"
    assert page.get_by_label("Failed because").input_value() == "memory"
    assert page.get_by_label("running", exact=True).is_checked()
    assert page.locator("tr.gone").get_attribute("id") == f"row-{failed[0].pk}"
    note.click()
    expect(page.locator(f"#row-{running[0].pk}")).to_be_visible()
    assert sorted(row_ids(page)) == sorted(f"row-{job.pk}" for job in [*failed[1:], *running])
    assert page.locator(".new-rows").count() == 0


def test_a_changed_status_is_said_and_a_changed_number_is_not(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/")
    JobGroup.objects.update(count_d=2, count_r=1)
    Workflow.objects.update(change_no=2)
    expect(page.get_by_text("2 of 3 jobs done")).to_be_visible(timeout=POLL)
    assert page.locator("#announce").text_content() == ""
    JobGroup.objects.update(count_d=3, count_r=0)
    WorkflowRun.objects.update(status="D", ended_at=made.workflow.created_date)
    Workflow.objects.update(change_no=3, status="D")
    expect(page.locator("#announce")).to_contain_text("done", timeout=POLL)


def test_lines_that_a_log_grows_by_are_counted(open_page: OpenPage, owner: User, tmp_path: Path) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 1})])
    file = tmp_path / "fit.o1"
    file.write_text("one\ntwo\n")
    Workflow.objects.update(stdout=str(tmp_path))
    JobInstance.objects.filter(status="R").update(stdout_path=str(file))
    page = open_page(f"/job-instances/{made.instance('R').pk}/log/stdout/")
    expect(page.get_by_text("two")).to_be_visible()
    with file.open("a") as log:
        log.write("three\nfour\nfive\n")
    expect(page.locator("#announce")).to_have_text("3 new lines", timeout=POLL)
