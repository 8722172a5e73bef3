"""Keys of logs, pictures and neighbours in Chromium. None changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.factories import Made, Tag, make_workflow
from tests.pages.conftest import OpenPage
from workflows.models import JobGroup, JobInstance, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
WHERE = "log => [log.scrollTop, log.scrollHeight - log.clientHeight]"


def make_log(owner: User, folder: Path, lines: int) -> str:
    """The address of the stdout of an attempt that wrote so many lines."""
    made = make_workflow(owner, [Tag("fit", {"D": 1})])
    file = folder / "fit.o1"
    file.write_text("".join(f"line {number:06}\n" for number in range(lines)))
    Workflow.objects.update(stdout=str(folder))
    JobInstance.objects.update(stdout_path=str(file))
    return f"/job-instances/{made.instance('D').pk}/log/stdout/"


def test_a_log_is_gone_through_by_keys(open_page: OpenPage, owner: User, tmp_path: Path) -> None:
    url = make_log(owner, tmp_path, 10_000)
    page = open_page(url)
    page.clock.set_fixed_time("2026-01-01T00:00:00Z")  # two keys belong together for a moment, which may pass here
    log = page.locator("pre.log")
    at, end = log.evaluate(WHERE)
    assert at == pytest.approx(end, abs=2), "it opens at its end"
    page.keyboard.type("gg")
    assert log.evaluate(WHERE)[0] == 0
    page.keyboard.press("G")
    at, end = log.evaluate(WHERE)
    assert at == pytest.approx(end, abs=2)
    page.keyboard.type("gg")
    page.keyboard.type("gg")
    page.wait_for_url("**/?offset=0")
    expect(page.get_by_text("line 000000")).to_be_visible()
    page.keyboard.press("G")
    page.keyboard.press("G")
    page.wait_for_url(f"**{url}?")
    expect(page.get_by_text("line 009999")).to_be_visible()


def test_the_end_of_a_jobs_output_is_in_sight(open_page: OpenPage, owner: User, tmp_path: Path) -> None:
    make_log(owner, tmp_path, 200)
    page = open_page(f"/jobs/{JobInstance.objects.get().job_id}/")
    tail = page.locator("pre[data-end]", has_text="line 000199")
    expect(tail).to_be_visible()
    assert tail.evaluate("log => log.scrollHeight > log.clientHeight"), "it is longer than its box"
    page.wait_for_function("""() => { const log = document.querySelector("pre[data-end]");
        return Math.abs(log.scrollHeight - log.clientHeight - log.scrollTop) < 2; }""")


def box(page: Page, name: str) -> str:
    return page.locator("svg.graph a", has=page.locator("text", has_text=name)).get_attribute("data-box") or ""


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.dataset.box"))


def test_arrows_go_along_the_edges_of_a_graph(open_page: OpenPage, owner: User) -> None:
    tags = [Tag("clean", {"D": 1}), Tag("fit", {"D": 1}, ("clean",)), Tag("plot", {"D": 1}, ("clean",)),
            Tag("paper", {"G": 1}, ("fit", "plot"))]  # fmt: skip
    made = make_workflow(owner, tags)
    page = open_page(f"/workflows/{made.workflow.pk}/graph/")
    page.keyboard.press("ArrowRight")
    assert focused(page) == box(page, "clean")
    page.keyboard.press("ArrowRight")
    first = focused(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown" if focused(page) == first else "ArrowUp")
    assert {first, focused(page)} == {box(page, "fit"), box(page, "plot")}
    page.keyboard.press("ArrowRight")
    assert focused(page) == box(page, "paper")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == box(page, "clean")


def test_a_graph_grows_and_shrinks_and_has_a_table(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("clean", {"D": 1}), Tag("fit", {"G": 2}, ("clean",))])
    page = open_page(f"/workflows/{made.workflow.pk}/graph/")
    width = "document.querySelector('svg.graph').getBoundingClientRect().width"
    drawn = page.evaluate(width)
    page.keyboard.press("+")
    assert page.evaluate(width) == pytest.approx(drawn * 1.25, rel=0.01)
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert page.evaluate(width) == pytest.approx(drawn / 1.25, rel=0.01)
    page.keyboard.press("0")
    assert page.evaluate(width) == pytest.approx(drawn, rel=0.01)
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    here = focused(page)
    JobGroup.objects.filter(name="fit").update(count_d=1, count_g=1)
    Workflow.objects.update(change_no=2)
    page.evaluate("htmx.trigger('#live', 'ask')")
    expect(page.get_by_text("1 of 2 done")).to_be_visible()
    assert page.evaluate(width) == pytest.approx(drawn * 1.25, rel=0.01), "an update keeps the size"
    assert focused(page) == here, "and the place"
    page.keyboard.press("t")
    assert page.evaluate("document.activeElement.querySelector('h2').textContent") == "The same as a table"


def neighbours(made: Made) -> list[int]:
    return list(made.workflow.dag.jobs.order_by("job_id").values_list("job_id", flat=True))


def test_brackets_lead_to_the_jobs_and_the_attempts_beside(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 3})])
    first, second, third = neighbours(made)
    page = open_page(f"/jobs/{second}/")
    page.keyboard.press("]")
    page.wait_for_url(f"**/jobs/{third}/")
    expect(page.get_by_role("link", name="job after")).to_have_count(0)
    page.keyboard.press("[")
    page.wait_for_url(f"**/jobs/{second}/")
    page.keyboard.press("[")
    page.wait_for_url(f"**/jobs/{first}/")
    attempts = list(JobInstance.objects.filter(job_id=first).order_by("pk").values_list("pk", flat=True))
    page.goto(page.url.replace(f"/jobs/{first}/", f"/job-instances/{attempts[0]}/"))
    page.keyboard.press("]")
    page.wait_for_url(f"**/job-instances/{attempts[1]}/")
    page.keyboard.press("[")
    page.wait_for_url(f"**/job-instances/{attempts[0]}/")
    expect(page.get_by_role("link", name="attempt before")).to_have_count(0)
