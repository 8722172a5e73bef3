"""The pages in Chromium: no error, no breach of the content security policy, nothing asked of other sites; usable
without JavaScript, by keyboard, and without serious findings of axe in both themes."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.factories import Made, Tag, make_user, make_workflow
from tests.pages.conftest import OpenPage, visit_all
from tests.pages.test_smoke import urls_of
from tests.seed import seed
from workflows import operations
from workflows.models import JobGroup, Operation, Workflow, WorkflowRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
AXE = Path(__file__).parent / "vendor/axe-core-4.14.1/axe.min.js"
RUN_AXE = """async () => (await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})).violations
    .filter(v => ["serious", "critical"].includes(v.impact))
    .map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | "))"""


@pytest.fixture
def owner(db: None) -> User:
    """Sees every page."""
    return make_user("alice", is_admin=True)


@pytest.fixture
def made(owner: User) -> Made:
    return seed(owner)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: OpenPage, made: Made, theme: str) -> None:
    findings = {}
    source = AXE.read_text(encoding="utf-8")
    for name, page in visit_all(open_page, urls_of(made), theme=theme):
        page.evaluate(source)
        found = page.evaluate(RUN_AXE)
        if found:
            findings[name] = found
    assert not findings


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_before_signing_in(open_page: OpenPage, theme: str) -> None:
    page = open_page("/account/", theme=theme)
    base = page.url.removesuffix("/account/")
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    for path in ("/login/", "/login/once/?code=none"):
        page.goto(base + path)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        assert page.evaluate(RUN_AXE) == [], path


@pytest.mark.parametrize("width", [320, 1440])
def test_no_page_is_wider_than_its_window(open_page: OpenPage, made: Made, width: int) -> None:
    for name, page in visit_all(open_page, urls_of(made), width=width):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_every_page_works_without_javascript(open_page: OpenPage, made: Made) -> None:
    for name, page in visit_all(open_page, urls_of(made), javascript=False):
        assert page.locator("h1").count() == 1, name


def test_stop_works_without_javascript(open_page: OpenPage, made: Made) -> None:
    page = open_page(f"/workflows/{made.workflow.pk}/", javascript=False)
    page.get_by_role("link", name="Stop…").click()
    page.get_by_text("Let running jobs finish").click()
    page.get_by_role("button", name="Stop this run").click()
    expect(page.get_by_text("Nothing more is submitted; what is submitted or runs may finish").first).to_be_visible()
    assert WorkflowRun.objects.get(pk=made.run.pk).stopping == "drain"


def test_filters_and_pages_work_without_javascript(open_page: OpenPage, made: Made) -> None:
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/?per_page=50", javascript=False)
    rows = page.locator("tbody tr")
    first = rows.first.get_attribute("id") or ""
    page.get_by_role("link", name="Next").click()
    expect(rows.first).not_to_have_attribute("id", first)
    page.get_by_role("link", name="Previous").click()
    expect(rows.first).to_have_attribute("id", first)
    page.get_by_label("failed", exact=True).check()
    page.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(9)
    page.get_by_role("link", name="remove status: failed").click()
    expect(rows).to_have_count(50)


def test_all_that_match_are_marked_done_without_javascript(open_page: OpenPage, owner: User) -> None:
    """From the filter over the confirm page to the outcome; a worker's part is played by calling it."""
    made = make_workflow(owner, [Tag("clean", {"D": 2, "F": 3}), Tag("fit", {"G": 60}, ("clean",))])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/?tag=fit", javascript=False)
    page.get_by_label("Do", exact=True).select_option("done")
    page.get_by_role("button", name="with all 60 matching").click()
    expect(page.get_by_role("heading", name="Mark done: 60 jobs")).to_be_visible()
    page.get_by_label("Why").fill("made by hand")
    page.get_by_role("button", name="Mark done 60 jobs").click()
    expect(page.get_by_text("Working: 0 of 60 jobs.")).to_be_visible()
    operations.carry_out(Operation.objects.get().pk)
    page.reload()
    expect(page.get_by_text("Finished: 60 jobs changed, 0 skipped.")).to_be_visible()
    assert JobGroup.objects.get(name="fit").count_d == 60


def test_ticks_follow_the_box_above_them(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 4})])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/")
    page.get_by_label("all 4 on this page").check()
    assert page.locator("input[name=job]:checked").count() == 4
    page.get_by_label("Do", exact=True).select_option("retry")
    page.get_by_role("button", name="with the ticked ones").click()
    expect(page.get_by_role("button", name="Retry 4 jobs")).to_be_visible()


def test_the_page_follows_the_run(open_page: OpenPage, owner: User) -> None:
    """What is opened and selected stays; the numbers change."""
    made = make_workflow(owner, [Tag("fit", {"D": 1, "F": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/")
    expect(page.get_by_text("1 of 4 jobs done")).to_be_visible()
    page.locator("summary").filter(has_text="newest text").first.click()
    note = "document.addEventListener('htmx:beforeSend', e => { window.wasBusy = e.target.getAttribute('aria-busy') })"
    page.evaluate(note)
    JobGroup.objects.update(count_d=2, count_r=1)
    Workflow.objects.update(change_no=2)
    expect(page.get_by_text("2 of 4 jobs done")).to_be_visible()
    assert page.locator("details[open] pre").first.is_visible()
    assert page.evaluate("window.wasBusy") == "true"


def test_a_finished_run_ends_the_poll(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 1})])
    page = open_page(f"/workflows/{made.workflow.pk}/")
    JobGroup.objects.update(count_d=2, count_r=0)
    WorkflowRun.objects.update(status="D", ended_at=made.workflow.created_date)
    Workflow.objects.update(change_no=2, status="D")
    page.evaluate("htmx.trigger('#live', 'ask')")
    expect(page.get_by_text("Done: all 2 jobs.")).to_be_visible()
    assert page.locator("[hx-trigger]").count() == 0


def test_keys_open_pages_and_change_nothing(open_page: OpenPage, made: Made) -> None:
    page = open_page(f"/workflows/{made.workflow.pk}/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.wait_for_url("**/jobs/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.picked")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search-box"


def test_auto_follows_the_system(open_page: OpenPage, made: Made) -> None:
    page = open_page("/workflows/", theme="auto")
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")


def test_the_description_of_the_api_is_readable_under_the_same_policy(open_page: OpenPage) -> None:
    """Its reader asks no other site and styles nothing from script."""
    page = open_page("/api/docs/")
    page.locator("text=/api/v1/workflows/{workflow_id}/").first.wait_for()
    expect(page.locator(".opblock").nth(50)).to_be_attached()
