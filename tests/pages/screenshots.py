"""Takes a picture of every page, wide and for a phone, light and dark: `python -m pytest tests/pages/screenshots.py`
(make screenshots).

Those of the guide go to docs/screenshots, all others to build/screenshots, which no commit takes. Not collected by the
test run: its name does not begin with test_. ONLY names the pages, or `guide`; SCREENSHOTS names one folder for all;
THEMES and SIZES choose among light, dark, wide, laptop, phone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page

from tests.factories import Made, make_audit, make_user
from tests.pages.conftest import OpenPage
from tests.pages.test_smoke import make_operation
from tests.seed import seed
from workflows import collecting, operations
from workflows.actor import Actor
from workflows.models import ExecutorState, Job, SystemState, Workflow

REPOSITORY = Path(__file__).parents[2]
GUIDE, ALL_OTHERS = REPOSITORY / "docs" / "screenshots", REPOSITORY / "build" / "screenshots"
IN_THE_GUIDE = (
    "workflows", "workflow", "jobs", "job", "errors", "error-group", "log", "graph", "timeline", "resources", "resume",
    "operation", "executors",
)  # fmt: skip
SIGNED_OUT = ("sign-in", "sign-in-once")
SIZES = {"wide": 1440, "laptop": 1024, "phone": 390}
COMMON, COLOURS = 128, 256
Colour = tuple[int, int, int]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


@pytest.fixture
def owner(db: None) -> User:
    """The one person of an embedded server: sees every page."""
    return make_user("alice", is_admin=True)


def places(owner: User) -> dict[str, str]:
    made = seed(owner)
    stopped = Workflow.objects.get(workflow_args="sensitivity --seed 7").pk
    return {**pages_of(made, stopped), **actions_of(made), **operations_of(made), **pages_of_the_site(made)}


def pages_of(made: Made, stopped: int) -> dict[str, str]:
    assert made.run is not None
    workflow, failed = made.workflow.pk, next(job for job in made.jobs["fit"] if job.status == "F")
    ended = next(instance for instance in made.instances if instance.job_id == failed.pk)
    return {
        "workflows": "/workflows/?mine=1",
        "workflow": f"/workflows/{workflow}/",
        "jobs": f"/workflows/{workflow}/jobs/?tag=fit&status=F&status=E&status=R",
        "job": f"/jobs/{failed.pk}/",
        "job-running": f"/jobs/{made.job('R').pk}/",
        "attempt": f"/job-instances/{ended.pk}/",
        "log": f"/job-instances/{ended.pk}/log/stdout/",
        "log-stderr": f"/job-instances/{ended.pk}/log/stderr/",
        "run": f"/workflow-runs/{made.run.pk}/",
        "errors": f"/workflows/{workflow}/errors/",
        "error-group": f"/error-groups/{made.workflow.error_groups.order_by('-attempts')[0].pk}/",
        "graph": f"/workflows/{workflow}/graph/",
        "job-graph": f"/jobs/{failed.pk}/graph/?up=2&down=2",
        "timeline": f"/workflows/{workflow}/timeline/",
        "timeline-of-a-tag": f"/workflows/{workflow}/timeline/?tag=clean",
        "resources": f"/workflows/{workflow}/resources/",
        "activity": f"/workflows/{workflow}/activity/",
        "resume": f"/workflows/{stopped}/resume/",
    }


def actions_of(made: Made) -> dict[str, str]:
    workflow, failed, running = made.workflow.pk, made.job("F").pk, made.job("R").pk
    return {
        "stop": f"/workflows/{workflow}/stop/",
        "hold": f"/workflows/{workflow}/hold/",
        "limits": f"/workflows/{workflow}/limits/",
        "note": f"/workflows/{workflow}/note/",
        "sharing": f"/workflows/{workflow}/sharing/",
        "retry": f"/jobs/{failed}/retry/",
        "rerun": f"/jobs/{made.job('D').pk}/rerun/",
        "mark-done": f"/jobs/{failed}/done/",
        "kill": f"/jobs/{running}/kill/",
        "requests": f"/jobs/{failed}/requests/",
        "executor-hold": "/executors/sge/hold/",
        "executor-limit": "/executors/sge/limit/",
        "host-exclude": "/hosts/sge/c117/exclude/",
    }


def operations_of(made: Made) -> dict[str, str]:
    """One that collects, one to confirm, one that is over."""
    draft, actor = make_operation(made), Actor(made.workflow.owner, "page")
    other = Workflow.objects.get(workflow_args="tune-2026-11-23")  # what is done to its jobs shows on no other picture
    done = operations.freeze(other, actor, "requests", Job.objects.filter(dag_id=other.dag_id), "all jobs")
    assert done is not None
    collected = collecting.begin(made.workflow, actor, "retry", "status: failed", "status=F")
    operations.confirm(done, {"values": {"mem_free": 6.0}}, actor)
    while operations.carry_out(done.pk):
        pass
    return {
        "operations": "/operations/",
        "operation": f"/operations/{draft.uuid}/",
        "operation-collecting": f"/operations/{collected.uuid}/",
        "operation-over": f"/operations/{done.uuid}/",
    }


def pages_of_the_site(made: Made) -> dict[str, str]:
    run, now = f"run {made.run.pk if made.run else 0}", timezone.now()
    make_audit(made.workflow, "hold", target=run, after={"hold": "disk is full"}, at=now - timedelta(minutes=41))
    make_audit(made.workflow, "release", target=run, before={"hold": "disk is full"}, at=now - timedelta(minutes=33))
    return {
        "executors": "/executors/",
        "executor": "/executors/sge/",
        "hosts": "/hosts/",
        "host": f"/hosts/sge/{made.instance('E').nodename}/",
        "audit": "/audit/",
        "search": "/search/?q=fit_01",
        "account": "/account/",
        "mail": "/account/mail/",
        "tokens": "/account/tokens/",
        "tokens-of-others": "/tokens/",
        "sessions": "/account/sessions/",
        "filters": "/account/filters/",
        "nothing-matches": "/workflows/?mine=1&q=nothing-like-this&status=E",
        "sign-in": "/login/",
        "sign-in-once": "/login/once/?code=none",
    }


def wanted(name: str) -> bool:
    only = os.environ.get("ONLY", "all").split(",")
    return "all" in only or name in only or ("guide" in only and name in IN_THE_GUIDE)


def folder_of(name: str) -> Path:
    own = os.environ.get("SCREENSHOTS")
    folder = Path(own) if own else GUIDE if name in IN_THE_GUIDE else ALL_OTHERS
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hear_of_the_server() -> None:
    """Nothing sweeps and asks while the pictures are taken; pages would warn of that after a while."""
    now = timezone.now()
    SystemState.objects.update(at=now - timedelta(seconds=11))
    ExecutorState.objects.update(polled_at=now - timedelta(seconds=4))


def keep(page: Page, path: Path) -> None:
    """In few colours: a third of the size, and what is filled keeps its own."""
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    counted = picture.getcolors(picture.width * picture.height) or []
    colours = [colour for _, colour in sorted(counted, reverse=True)]
    palette = choose(colours)
    index = {colour: nearest(colour, palette) for colour in colours}
    small = Image.new("P", picture.size)
    small.putpalette([part for colour in palette for part in colour])
    small.putdata([index[colour] for colour in picture.get_flattened_data()])
    small.save(path, optimize=True)


def choose(colours: Sequence[Colour]) -> list[Colour]:
    """The commonest, then those that are farthest from all that were chosen: rare words in a colour of their own."""
    palette = list(colours[:COMMON])
    left = {colour: distance(colour, palette[nearest(colour, palette)]) for colour in colours[COMMON:]}
    while left and len(palette) < COLOURS:
        chosen = max(left, key=lambda colour: left[colour])
        palette.append(chosen)
        del left[chosen]
        for colour, known in left.items():
            left[colour] = min(known, distance(colour, chosen))
    return palette


def nearest(colour: Colour, palette: Sequence[Colour]) -> int:
    distances = [distance(colour, other) for other in palette]
    return distances.index(min(distances))


def distance(one: Colour, other: Colour) -> int:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2


def test_take_screenshots(open_page: OpenPage, owner: User) -> None:
    urls = {name: url for name, url in places(owner).items() if wanted(name)}
    for theme in os.environ.get("THEMES", "light,dark").split(","):
        for size in os.environ.get("SIZES", "wide,phone").split(","):
            page = open_page("/account/", theme=theme, width=SIZES[size])
            base = page.url.removesuffix("/account/")
            for name, url in urls.items():
                if name in SIGNED_OUT:
                    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
                hear_of_the_server()
                page.goto(base + url)
                keep(page, folder_of(name) / f"{name}-{size}-{theme}.png")
            page.context.close()
