"""What is in sight in windows of several widths, with long names too, and without JavaScript."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.factories import Made, Tag, make_workflow
from tests.pages.conftest import OpenPage, visit_all
from tests.seed import seed
from workflows.models import Job, JobGroup, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
HIDDEN = """() => [...document.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => `${(box.querySelector("caption, title") || box).textContent} +${box.scrollWidth - box.clientWidth}`)"""


def hidden(page: Page) -> list[str]:
    """What has to be scrolled sideways to be seen."""
    found: list[str] = page.evaluate(HIDDEN)
    return found


def test_a_small_laptop_shows_every_column(open_page: OpenPage, owner: User) -> None:
    made = seed(owner)
    workflow = f"/workflows/{made.workflow.pk}/"
    parts = {part: workflow + part for part in ("", "jobs/?tag=fit&status=F", "errors/", "resources/", "timeline/")}
    urls = {**parts, "list": "/workflows/", "job": f"/jobs/{made.job('F').pk}/"}
    assert {name: hidden(page) for name, page in visit_all(open_page, urls, width=1024)} == {name: [] for name in urls}


@pytest.fixture
def long(owner: User) -> Made:
    """Everything has a name without end."""
    made = make_workflow(owner, [Tag("fit", {"D": 30, "F": 2, "R": 2, "G": 3}), Tag("end", {"G": 2}, ("fit",))])
    Workflow.objects.update(name="w" * 250)
    Job.objects.filter(pk=made.job("F").pk).update(name="j" * 250)
    JobGroup.objects.filter(name="fit").update(name="t" * 190)
    return made


@pytest.mark.parametrize("width", [390, 1440])
def test_names_without_end_hide_nothing(open_page: OpenPage, long: Made, width: int) -> None:
    workflow = f"/workflows/{long.workflow.pk}/"
    parts = ("", "jobs/", "errors/", "graph/", "timeline/", "resources/", "resume/", "stop/", "activity/")
    urls = {"list": "/workflows/", **{part: workflow + part for part in parts}}
    for name, page in visit_all(open_page, urls, width=width):
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert name not in ("", "list") or not hidden(page), name


def test_a_card_of_a_job_begins_with_its_name(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 1})])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/", width=390)
    card = page.locator("table[data-rows=jobs] tbody tr")
    name, tick, badge = (card.locator(part).bounding_box() for part in ("th a", "input", ".st"))
    assert name
    assert tick
    assert badge
    assert tick["x"] + tick["width"] <= name["x"]
    assert abs(tick["y"] + tick["height"] / 2 - name["y"] - name["height"] / 2) < 6, "in one line"
    assert name["y"] + name["height"] <= badge["y"]
    assert (
        page.locator("td", has_text="3 / 3").evaluate("cell => getComputedStyle(cell, '::before').content")
        == '"Attempts"'
    )


def test_the_colours_of_a_time_line_stay_named(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 3, "R": 1})])
    page = open_page(f"/workflows/{made.workflow.pk}/timeline/", width=390)
    box = page.locator("section.picture", has_text="Attempts of run").locator(".legend").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    for word in ("in the queue", "running", "done", "failed"):
        expect(page.locator(".picture .legend").get_by_text(word, exact=True)).to_be_visible()


def test_an_action_is_asked_for_before_the_ticks_are_sent(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 2})])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/", javascript=False)
    url = page.url
    page.locator("input[name=job]").first.check()
    page.get_by_role("button", name="with the ticked ones").click()
    assert page.url == url
    assert page.locator("#bulk-action").evaluate("field => field.validity.valueMissing")
    assert page.locator("input[name=job]").first.is_checked()


def test_without_script_a_page_says_one_thing_about_its_updates(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 1})])
    page = open_page(f"/workflows/{made.workflow.pk}/", javascript=False)
    assert page.locator("[data-live-note]").inner_text().strip() == "reloads every 30 s"
