"""A run from its submission to its end in Chromium, on a real server: looked at, resumed, killed and steered by pages alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jobmon import BashTask
from tests.e2e.clients import make_workflow
from tests.pages.conftest import Watched
from tests.services import EmbeddedServer
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
SLOW = 60_000


@pytest.fixture
def javascript() -> bool:
    return True


@pytest.fixture
def page(browser: Browser, embedded_server: EmbeddedServer, javascript: bool) -> Iterator[Page]:
    """Signed in by the link that the server prints. A console error or an outside request fails the test."""
    watched = Watched(embedded_server.url)
    context = browser.new_context(viewport={"width": 1440, "height": 900}, java_script_enabled=javascript)
    context.set_default_timeout(SLOW)
    page = context.new_page()
    watched.watch(page)
    page.goto(embedded_server.url + embedded_server.sign_in_link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/workflows/?mine=1")
    yield page
    context.close()
    assert not watched.problems, watched.problems


def tasks(folder: Path) -> list[BashTask]:
    """One fails until it is mended, one waits at a gate, twelve wait for both."""
    bad = BashTask(
        "echo reading the map; test -e mended || { echo no map here >&2; exit 3; }",
        name="bad",
        tag="read",
        max_attempts=1,
        mem_free=0.1,
    )
    gate = BashTask("touch started; while ! test -e go; do sleep 0.1; done", name="gate", tag="wait", mem_free=0.1)
    rest = [
        BashTask(f"echo {number}", name=f"rest_{number}", tag="rest", upstream_tasks=[bad, gate], mem_free=0.1)
        for number in range(12)
    ]
    return [bad, gate, *rest]


def test_a_run_from_its_submission_to_its_end(page: Page, embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    workflow = make_workflow(embedded_server, "story", tasks(tmp_path), tmp_path)
    workflow.run(wait=False)
    wait_until(lambda: (tmp_path / "started").exists(), 60, "the gate runs")

    # Watched without a reload: the mark on the window would not outlive one
    page.goto(f"{embedded_server.url}/workflows/{workflow.workflow_id}/")
    page.evaluate("window.isTheSamePage = true")
    expect(page.get_by_label("read, failed, 1")).to_be_visible(timeout=SLOW)
    expect(page.get_by_label("wait, running, 1")).to_be_visible(timeout=SLOW)
    assert page.evaluate("window.isTheSamePage") is True

    read_the_failure(page)
    kill_the_gate(page, embedded_server, workflow.workflow_id)
    mark_the_rest_done(page, embedded_server, workflow.workflow_id)
    (tmp_path / "mended").touch()
    (tmp_path / "go").touch()
    resume(page, embedded_server, workflow.workflow_id)


def read_the_failure(page: Page) -> None:
    """From the matrix to the job, its reason, and its log."""
    page.get_by_label("read, failed, 1").click()
    page.get_by_role("link", name="bad", exact=True).click()
    expect(page.get_by_text("Exit code 3").first).to_be_visible()
    expect(page.get_by_text("no map here").first).to_be_visible()
    page.get_by_role("link", name="stderr", exact=True).first.click()
    expect(page.get_by_role("region").or_(page.locator("pre")).filter(has_text="no map here").first).to_be_visible()


def kill_the_gate(page: Page, server: EmbeddedServer, workflow_id: int) -> None:
    """Filtered to what runs; killed for good, confirmed by the page of the job."""
    page.goto(f"{server.url}/workflows/{workflow_id}/jobs/")
    page.get_by_label("running", exact=True).check()
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="gate", exact=True).click()
    page.get_by_role("link", name="Kill attempt…").click()
    page.get_by_text("Leave it failed").click()
    page.get_by_role("button", name="Kill 1 attempt").click()
    expect(page.get_by_role("heading", name="gate").locator("..").get_by_text("failed", exact=True)).to_be_visible(
        timeout=SLOW
    )


def mark_the_rest_done(page: Page, server: EmbeddedServer, workflow_id: int) -> None:
    """All that match a filter, frozen, confirmed, and carried out by a worker."""
    page.goto(f"{server.url}/workflows/{workflow_id}/jobs/?tag=rest")
    page.get_by_label("Do", exact=True).select_option("done")
    page.get_by_role("button", name="with all 12 matching").click()
    page.get_by_label("Why").fill("made by hand")
    page.get_by_role("button", name="Mark done 12 jobs").click()
    expect(page.locator("#live").get_by_text("Finished: 12 jobs changed, 0 skipped.")).to_be_visible(timeout=SLOW)
    assert page.get_by_text("undo", exact=False).count() == 0  # what cannot be undone does not say so
    rows = server.query("SELECT count(*) FROM job WHERE status='D' AND marked_done_by<>''")
    assert rows[0][0] == 12


def resume(page: Page, server: EmbeddedServer, workflow_id: int) -> None:
    """What is kept and tried again is said first; then it runs to its end, and the page follows it there."""
    page.goto(f"{server.url}/workflows/{workflow_id}/")
    page.get_by_role("link", name="Resume…").click(timeout=SLOW)
    expect(page.get_by_text("12 jobs kept, 2 tried again")).to_be_visible()
    page.get_by_role("button", name="Resume 2 jobs").click()
    expect(page.get_by_text("14 of 14 jobs done")).to_be_visible(timeout=SLOW)
    wait_until(lambda: server.query("SELECT status FROM workflow")[0][0] == "D", 60, "the workflow is done")
    # and nothing undid the word of a person: they were not run
    assert server.query("SELECT count(*) FROM job WHERE status='D' AND marked_done_by<>''")[0][0] == 12
    assert server.query("SELECT count(*) FROM job_instance JOIN job USING (job_id) WHERE tag='rest'")[0][0] == 0
    page.goto(f"{server.url}/workflows/{workflow_id}/activity/")
    expect(page.get_by_text("killed", exact=True).first).to_be_visible()
    expect(page.get_by_text("marked done", exact=True).first).to_be_visible()


def reload_until(page: Page, text: str) -> None:
    """What a person without JavaScript does."""

    def has_come() -> bool:
        page.reload()
        return page.get_by_text(text).count() > 0

    wait_until(has_come, 60, f"the page says {text!r}")


@pytest.mark.parametrize("javascript", [False], ids=["no-javascript"])
def test_a_run_without_javascript(page: Page, embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    """Watched, read, killed and resumed by forms and links alone."""
    workflow = make_workflow(embedded_server, "plain", tasks(tmp_path), tmp_path)
    workflow.run(wait=False)
    wait_until(lambda: (tmp_path / "started").exists(), 60, "the gate runs")
    page.goto(f"{embedded_server.url}/workflows/{workflow.workflow_id}/")
    reload_until(page, "1 failed")
    read_the_failure(page)
    page.goto(f"{embedded_server.url}/workflows/{workflow.workflow_id}/jobs/?tag=wait")
    page.get_by_role("link", name="gate", exact=True).click()
    page.get_by_role("link", name="Kill attempt…").click()
    page.get_by_text("Leave it failed").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Kill 1 attempt").click()
    reload_until(page, "Killed by")
    (tmp_path / "mended").touch()
    (tmp_path / "go").touch()
    page.goto(f"{embedded_server.url}/workflows/{workflow.workflow_id}/")
    wait_until(lambda: embedded_server.query("SELECT status FROM workflow")[0][0] == "E", 60, "the run is over")
    page.reload()
    page.get_by_role("link", name="Resume…").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Resume 14 jobs").click()
    reload_until(page, "14 of 14 jobs done")
