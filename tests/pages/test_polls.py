"""The polls of live pages: what the server answers to them, and in Chromium what the reader is told when one fails."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from playwright.sync_api import Locator, Page, Route, expect

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.pages.conftest import OpenPage, Watched
from tests.pages.test_browser import AXE, RUN_AXE
from tests.pages.test_smoke import urls_of
from tests.seed import seed
from workflows.models import (
    HostExclusion,
    JobGroup,
    JobInstanceStatusLog,
    SystemState,
    Workflow,
    WorkflowRun,
)

HTMX = {"HX-Request": "true"}
LIVE = ("workflow-list", "workflow", "workflow-jobs", "workflow-errors", "error-group", "workflow-graph",
        "workflow-timeline", "workflow-resources", "workflow-runs", "workflow-activity", "workflow-run", "job", "job-graph",
        "operations", "executors", "executor", "hosts", "host", "audit")  # fmt: skip


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice", is_admin=True)


def poll_of(text: str) -> str:
    found = re.search(r'hx-get="([^"]+)"', text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def change_everything(made: Made) -> None:
    """One thing of each kind that a page may show has changed."""
    WorkflowRun.objects.filter(pk=made.run.pk).update(stopping="drain")
    Workflow.objects.filter(pk=made.workflow.pk).update(change_no=10_000)
    SystemState.objects.update_or_create(name="sweep", defaults={"at": made.workflow.created_date, "facts": {}})
    HostExclusion.objects.update(changed_at=made.workflow.created_date)
    JobInstanceStatusLog.objects.create(
        job_instance=made.instance("R"), status="R", status_time=made.workflow.status_date
    )
    made.workflow.operations.update(changed=3)
    make_audit(made.workflow)


@pytest.mark.django_db
def test_a_poll_is_answered_by_nothing_or_by_the_part_that_is_live(client: Client, owner: User) -> None:
    made = seed(owner)
    urls = urls_of(made)
    polls = {name: poll_of(client.get(urls[name]).content.decode()) for name in LIVE}
    unchanged = {name: client.get(url, headers=HTMX) for name, url in polls.items()}
    assert {name: (answer.status_code, answer.content) for name, answer in unchanged.items()} == dict.fromkeys(
        LIVE, (204, b"")
    )
    change_everything(made)
    for name, url in polls.items():
        changed = client.get(url, headers=HTMX)
        text = changed.content.decode()
        assert changed.status_code == 200, name
        assert text.lstrip().startswith('<div id="live"'), name
        assert text.count('id="live"') == 1, name
        assert "<html" not in text, name
        assert "HX-Request" in changed["Vary"], name
        assert poll_of(text) != url, name


@pytest.mark.django_db
def test_what_is_over_is_asked_about_no_more(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 3})], status="D")
    for part in ("", "jobs/", "errors/", "graph/", "timeline/", "resources/"):
        assert "hx-trigger" not in client.get(f"/workflows/{made.workflow.pk}/{part}").content.decode(), part


@pytest.mark.django_db
def test_a_stranger_is_led_to_the_sign_in_and_a_poll_is_only_told(owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 1})])
    url = f"/workflows/{made.workflow.pk}/"
    stranger = Client(HTTP_HOST="127.0.0.1")
    assert stranger.get(url)["Location"] == f"/login/?next={url}"
    answer = stranger.get(url, {"v": "1"}, headers=HTMX)
    assert (answer.status_code, answer.content) == (401, b"")


def ask(page: Page) -> None:
    page.evaluate("htmx.trigger('#live', 'ask')")


def note_of(page: Page) -> Locator:
    return page.locator("[data-live-note]")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_who_is_signed_out_keeps_what_they_read(open_page: OpenPage, watched: Watched, owner: User) -> None:
    watched.expected = ("401",)
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/?groups=all")
    Session.objects.all().delete()
    ask(page)
    link = note_of(page).get_by_role("link", name="Sign in again")
    expect(link).to_have_attribute("href", f"/login/?next=%2Fworkflows%2F{made.workflow.pk}%2F%3Fgroups%3Dall")
    expect(note_of(page)).to_contain_text("you are signed out")
    expect(page.get_by_text("1 of 3 jobs done")).to_be_visible()
    link.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_failed_poll_says_so_and_can_be_repeated(
    open_page: OpenPage, watched: Watched, owner: User, theme: str
) -> None:
    watched.expected = ("503", "ERR_FAILED", "htmx:sendError", "htmx:afterRequest")
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/", theme=theme)
    polls = re.compile(r"[?&]v=")
    page.route(polls, lambda route: route.fulfill(status=503, headers={"X-Request-ID": "abc123"}, body="busy"))
    ask(page)
    expect(note_of(page)).to_have_attribute("data-state", "failed")
    expect(note_of(page)).to_contain_text(re.compile(r"last updated .+: the server answered 503, request abc123"))
    expect(page.get_by_text("1 of 3 jobs done")).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
    page.unroute(polls)
    page.route(polls, lambda route: route.abort())
    page.get_by_role("button", name="Retry now").click()
    expect(note_of(page)).to_contain_text("the server did not answer")
    page.unroute(polls)
    JobGroup.objects.update(count_d=2, count_r=1)
    Workflow.objects.update(change_no=2)
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_text("2 of 3 jobs done")).to_be_visible()
    expect(page.get_by_role("button", name="Retry now")).to_be_hidden()
    expect(note_of(page)).to_have_text(re.compile(r"^updated (just now|\d+ s ago)"))


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_what_is_not_this_page_never_takes_its_place(open_page: OpenPage, watched: Watched, owner: User) -> None:
    """A sign-in in front of the server answers with its own form, and with 200."""
    watched.expected = ("Response Status Error Code 200",)
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/")
    form = "<html><body><form><input name=password></form></body></html>"
    page.route(re.compile(r"[?&]v="), lambda route: route.fulfill(status=200, content_type="text/html", body=form))
    ask(page)
    expect(note_of(page)).to_contain_text("what came is not this page")
    expect(page.get_by_text("1 of 3 jobs done")).to_be_visible()
    assert page.locator("input[name=password]").count() == 0


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_slow_poll_turns_a_spinner(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/")
    waiting: list[Route] = []
    polls = re.compile(r"[?&]v=")
    page.route(polls, lambda route: waiting.append(route))
    with page.expect_request(polls):
        ask(page)
    expect(note_of(page)).to_have_attribute("data-state", "busy")
    expect(page.locator("#live")).to_have_attribute("aria-busy", "true")
    for route in waiting:
        route.continue_()
    expect(note_of(page)).to_have_attribute("data-state", "")
    expect(page.locator("#live")).not_to_have_attribute("aria-busy", "true")
