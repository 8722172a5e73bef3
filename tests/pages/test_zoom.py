"""A drawn graph in Chromium: larger, smaller, moved, and where it was after an update."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from tests.factories import Tag, make_workflow
from tests.pages.conftest import OpenPage
from tests.pages.test_browser import AXE, RUN_AXE
from tests.pages.test_graph_size import SHAPES, make_graph
from workflows.models import JobGroup, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
WIDTH = "document.querySelector('svg.graph').getBoundingClientRect().width"
PLACE = "(() => { const frame = document.querySelector('svg.graph').parentNode; return [frame.scrollLeft, frame.scrollTop]; })()"
FITS = """(() => { const frame = document.querySelector('svg.graph').parentNode;
    return frame.scrollWidth <= frame.clientWidth && frame.scrollHeight <= frame.clientHeight; })()"""


@pytest.fixture
def url(owner: User) -> str:
    """A picture that is wider and higher than its frame."""
    made = make_graph(owner, [f"estimate_{number:02d}" for number in range(40)], SHAPES["crossing"](40))
    return f"/workflows/{made.workflow.pk}/graph/"


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Size of the picture").get_by_role("button", name=name)


def middle(page: Page, name: str) -> tuple[float, float]:
    area = page.locator("svg.graph a", has_text=name).locator("use").bounding_box()
    assert area
    return area["x"] + area["width"] / 2, area["y"] + area["height"] / 2


def test_buttons_make_it_larger_smaller_whole(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    drawn = page.evaluate(WIDTH)
    button(page, "Larger").click()
    assert page.evaluate(WIDTH) == pytest.approx(drawn * 1.25, rel=0.01)
    button(page, "Smaller").press("Enter")
    assert page.evaluate(WIDTH) == pytest.approx(drawn, rel=0.01)
    assert not page.evaluate(FITS)
    button(page, "Whole picture").click()
    assert page.evaluate(FITS)
    assert page.evaluate(WIDTH) < drawn / 2
    button(page, "As drawn").click()
    assert page.evaluate(WIDTH) == pytest.approx(drawn, rel=0.01)
    page.keyboard.press("0")
    assert page.evaluate(FITS)


def test_what_is_small_is_never_blown_up(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("clean", {"D": 1}), Tag("fit", {"G": 1}, ("clean",))])
    for path in (f"workflows/{made.workflow.pk}", f"jobs/{made.job('D').pk}"):
        page = open_page(f"/{path}/graph/")
        drawn = page.evaluate(WIDTH)
        button(page, "Larger").click()
        assert page.evaluate(WIDTH) > drawn
        button(page, "Whole picture").click()
        assert page.evaluate(WIDTH) == pytest.approx(drawn, rel=0.01)
        page.context.close()


def test_with_ctrl_the_wheel_zooms_where_the_pointer_is_and_alone_it_scrolls(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    drawn = page.evaluate(WIDTH)
    at = middle(page, "estimate_03")
    page.mouse.move(*at)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.wait_for_function(f"() => {WIDTH} > {drawn}")
    page.keyboard.up("Control")
    assert middle(page, "estimate_03") == pytest.approx(at, abs=3)
    larger, scrolled = page.evaluate(WIDTH), page.evaluate("window.scrollY")
    page.mouse.wheel(0, 120)
    page.wait_for_function(f"() => window.scrollY > {scrolled} || {PLACE}[1] > 0")
    assert page.evaluate(WIDTH) == larger


def test_it_is_moved_by_dragging_and_a_drag_opens_no_link(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    x, y = middle(page, "estimate_03")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y, steps=3)
    page.mouse.move(x - 160, y, steps=3)
    page.mouse.up()
    assert page.evaluate(PLACE)[0] == pytest.approx(160, abs=2)
    page.mouse.move(x - 300, y)
    assert page.evaluate(PLACE)[0] == pytest.approx(160, abs=2), "it was let go"
    assert page.url.endswith(url)
    page.mouse.click(x - 160, y)
    page.wait_for_url("**/jobs/?tag=estimate_03")


def test_two_fingers_zoom_between_them(open_page: OpenPage, url: str) -> None:
    page = open_page(url, width=390)
    page.locator("svg.graph").scroll_into_view_if_needed()
    drawn, frame = page.evaluate(WIDTH), page.locator(".scroll:has(> svg.graph)").bounding_box()
    assert frame
    x, y = frame["x"] + 150, frame["y"] + 60
    fingers = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function(f"() => Math.abs({WIDTH} - {drawn * 2}) < {drawn / 50}")


def test_an_update_keeps_size_and_place(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    button(page, "Larger").click()
    page.evaluate("document.querySelector('svg.graph').parentNode.scrollTo(700, 40)")
    width, place = page.evaluate(WIDTH), page.evaluate(PLACE)
    JobGroup.objects.filter(name="estimate_05").update(count_d=123, jobs=4567)
    Workflow.objects.update(change_no=2)
    page.evaluate("htmx.trigger('#live', 'ask')")
    expect(page.get_by_text("123 of 4,567 done")).to_be_visible()
    assert page.evaluate(WIDTH) == width
    assert page.evaluate(PLACE) == place
    x, y = middle(page, "estimate_05")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 100, y, steps=4)
    page.mouse.up()
    assert page.evaluate(PLACE)[0] == pytest.approx(place[0] - 100, abs=2), "and it still moves"


def test_without_script_it_scrolls_and_offers_nothing_else(open_page: OpenPage, url: str) -> None:
    page = open_page(url, javascript=False)
    expect(page.get_by_role("button", name="Larger")).to_be_hidden()
    frame = page.locator(".scroll:has(> svg.graph)")
    assert frame.evaluate("frame => frame.scrollWidth > frame.clientWidth")
    page.locator("svg.graph a", has_text="estimate_00").click()
    page.wait_for_url("**/jobs/?tag=estimate_00")


def test_lines_that_meet_in_a_point_are_followed_by_key(open_page: OpenPage, owner: User) -> None:
    made = make_graph(owner, [f"estimate_{number:02d}" for number in range(12)], SHAPES["two halves"](12))
    page = open_page(f"/workflows/{made.workflow.pk}/graph/")
    page.keyboard.press("ArrowRight")
    for key, half in (("ArrowRight", range(6, 12)), ("ArrowLeft", range(6)), ("ArrowDown", range(6))):
        page.keyboard.press(key)
        assert int(page.evaluate("document.activeElement.dataset.box")) in half, key
    ring = page.evaluate("getComputedStyle(document.activeElement.querySelector('use')).strokeWidth")
    assert ring == "4px", "the focus is seen"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_a_large_picture(open_page: OpenPage, url: str, theme: str) -> None:
    page = open_page(url, theme=theme)
    page.keyboard.press("0")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(RUN_AXE) == []
