"""Pages that follow in Chromium: rows stay where they are, and only what matters is said to a screen reader."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.factories import Tag, make_user, make_workflow
from tests.pages.conftest import OpenPage
from workflows.models import ErrorGroup, Job, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.words import since

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
POLL = 60_000


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


def row_ids(page: Page) -> list[str]:
    return [row.get_attribute("id") or "" for row in page.locator("tbody tr").all()]


def ask(page: Page) -> None:
    """The poll, now."""
    page.evaluate("htmx.trigger('#live', 'ask')")


def test_new_rows_wait_and_those_that_left_stay(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 3, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/?status=F&cols=name,status,attempts")
    shown = row_ids(page)
    failed, running = list(Job.objects.filter(status="F")), list(Job.objects.filter(status="R"))
    page.locator(f"#row-{failed[1].pk} input").check()
    page.get_by_label("Name begins with").fill("fit_0")
    page.get_by_label("running", exact=True).check()
    page.locator(".choose", has_text="Failed because").locator("summary").click()
    reasons = page.locator("select[name=reason]")
    reasons.select_option(["memory", "exit"])
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
    assert reasons.evaluate("field => Array.from(field.selectedOptions).map(one => one.value)") == ["exit", "memory"]
    assert reasons.is_visible()
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
    ask(page)
    expect(page.get_by_text("2 of 3 jobs done")).to_be_visible()
    assert page.locator("#announce").text_content() == ""
    JobGroup.objects.update(count_d=3, count_r=0)
    WorkflowRun.objects.update(status="D", ended_at=made.workflow.created_date)
    Workflow.objects.update(change_no=3, status="D")
    ask(page)
    expect(page.locator("#announce")).to_contain_text("done")


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


def test_rows_of_each_table_are_kept_apart(open_page: OpenPage, owner: User) -> None:
    """Errors have two tables, each with a row more after the poll; the order of the groups has changed meanwhile."""
    made = make_workflow(owner, [Tag("fit", {"F": 4, "R": 1}, reasons=("memory", "exit"))])
    page = open_page(f"/workflows/{made.workflow.pk}/errors/")
    shown, texts = row_ids(page), page.locator("tbody tr th").all_inner_texts()
    least = ErrorGroup.objects.order_by("count_blocked", "attempts").first()
    ErrorGroup.objects.filter(pk=least.pk).update(count_blocked=77)
    ErrorGroup.objects.create(workflow=made.workflow, fingerprint="new", title="NewError: x", reason="exit", attempts=1,
                              first_seen_at=least.first_seen_at, last_seen_at=least.last_seen_at)  # fmt: skip
    JobInstance.objects.filter(status="R").update(status="E", reason="exit", ended_at=least.last_seen_at)
    Workflow.objects.update(change_no=2)
    ask(page)
    expect(page.get_by_role("link", name="1 new group: show")).to_be_visible()
    expect(page.get_by_role("link", name="1 new error: show")).to_be_visible()
    expect(page.locator(f"#group-{least.pk} td[data-label=Blocked]")).to_have_text("77")
    assert row_ids(page) == shown
    assert page.locator("tbody tr th").all_inner_texts() == texts
    assert page.locator("tr.gone").count() == 0


CELLS = """rows => rows.map(row => Array.from(row.cells).filter(cell => !cell.querySelector("time"))
    .map(cell => cell.innerText).join(" | "))"""


@pytest.mark.parametrize("path", ["/workflows/{workflow}/", "/jobs/{job}/"])
def test_no_row_becomes_another_one(open_page: OpenPage, owner: User, path: str) -> None:
    """What fails, and the attempts of a job: two rows and more."""
    made = make_workflow(owner, [Tag("fit", {"F": 4, "R": 1}, reasons=("memory", "exit"))])
    page = open_page(path.format(workflow=made.workflow.pk, job=made.job("F").pk))
    rows = page.locator("table[data-rows] tbody tr")
    shown = rows.evaluate_all(CELLS)
    assert len(set(shown)) > 1
    WorkflowRun.objects.update(max_concurrently_running=5)
    Workflow.objects.update(change_no=2)
    ask(page)
    expect(page.locator("[data-live-age]")).to_contain_text("updated")
    expect(page.locator("#live")).to_have_attribute("hx-get", re.compile("v=2$"))
    assert rows.evaluate_all(CELLS) == shown
    assert page.locator(".new-rows, tr.gone").count() == 0


PLACE = "() => document.querySelector('.tabs, .why, section.box').getBoundingClientRect().top"


@pytest.mark.parametrize("path", ["/workflows/", "/workflows/{workflow}/", "/workflows/{workflow}/jobs/",
                                  "/workflows/{workflow}/errors/", "/jobs/{job}/", "/workflow-runs/{run}/"])  # fmt: skip
def test_a_poll_takes_nothing_away_and_moves_nothing(open_page: OpenPage, owner: User, path: str) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 3, "R": 2})])
    page = open_page(path.format(workflow=made.workflow.pk, job=made.job("F").pk, run=made.run.pk))
    before, needing = page.evaluate(PLACE), page.locator("[data-needs-script]")
    count = needing.count()
    page.get_by_role("button", name="Pause updates").click()
    page.get_by_role("button", name="Continue updates").click()
    Workflow.objects.update(change_no=2)
    ask(page)
    expect(page.locator("[data-live-age]")).to_contain_text("updated")
    assert needing.count() == count
    assert all(node.is_visible() for node in needing.all())
    assert page.evaluate(PLACE) == before


def test_what_is_written_about_an_error_is_not_lost(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 3, "R": 2})])
    group = ErrorGroup.objects.get()
    url = f"/error-groups/{group.pk}/"
    assert open_page(url, javascript=False).locator("meta[http-equiv=refresh]").count() == 0
    page = open_page(url)
    page.get_by_label("Note").fill("the file server was away")
    page.get_by_label("acknowledged").check()
    ErrorGroup.objects.update(attempts=77)
    Workflow.objects.filter(pk=made.workflow.pk).update(change_no=2)
    ask(page)
    expect(page.get_by_text("77 attempts in all")).to_be_visible()
    assert page.get_by_label("Note").input_value() == "the file server was away"
    assert page.get_by_label("acknowledged").is_checked()


def test_nothing_is_asked_while_paused(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/")
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Continue updates")).to_have_attribute("aria-pressed", "true")
    asked = page.evaluate("""() => { let sent = 0; document.addEventListener("htmx:beforeSend", () => { sent += 1; });
        htmx.trigger("#live", "ask"); return sent; }""")
    assert asked == 0
    with page.expect_response(re.compile(r"[?&]v=1")) as answer:
        page.keyboard.press("p")
    assert answer.value.status == 204


SECONDS = [0, 5, 9.4, 10.2, 52, 59.2, 61, 100, 3_500, 3_610, 5_000, 80_000, 86_200, 100_000, 172_000, 173_000,
           1_000_000, 2_600_000, -4, -200, -7_500]  # fmt: skip
TIMES = """seconds => { const now = Date.parse(document.querySelector("footer time").dateTime);
    return seconds.map(age => { const node = document.createElement("time");
        node.dateTime = new Date(now - age * 1000).toISOString(); node.textContent = "3 min ago";
        document.querySelector("main").append(node); return node; }) && null; }"""


def test_times_go_on_in_the_words_of_the_server(open_page: OpenPage, owner: User) -> None:
    """By the server's clock: that of this reader stands still, and is years wrong."""
    made = make_workflow(owner, [Tag("fit", {"R": 1})])
    page = open_page(f"/jobs/{made.job('R').pk}/")
    page.clock.set_fixed_time("2020-01-01T00:00:00Z")
    page.reload()
    page.evaluate(TIMES, SECONDS)
    started = page.locator(".why time[data-for]")
    expect(started).to_have_count(1)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    assert page.locator("main > time").all_inner_texts() == [
        since(moment - timedelta(seconds=seconds), moment) for seconds in SECONDS
    ]
    before = started.inner_text()
    page.clock.set_fixed_time("2020-01-01T05:00:00Z")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert re.fullmatch(r"\d+ h( \d+ min)?", started.inner_text())
    assert started.inner_text() != before
