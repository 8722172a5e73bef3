"""Takes the pictures of docs/screenshots: `python -m pytest tests/pages/screenshots.py` (make screenshots).

Not collected by the test run: its name does not begin with test_. ONLY=all takes every page; SCREENSHOTS names another
folder; THEMES and SIZES choose among light, dark, wide, phone.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from tests.pages.conftest import OpenPage
from tests.pages.test_smoke import make_operation
from tests.seed import seed

FOLDER = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parents[2] / "docs" / "screenshots")
DOCUMENTED = "workflows,workflow,jobs,job,errors,error-group,log,graph,timeline,resources,resume,executors"
SIZES = {"wide": 1440, "phone": 390}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def places(owner: User) -> dict[str, str]:
    made = seed(owner)
    workflow, run, failed = made.workflow.pk, made.run.pk, next(job for job in made.jobs["fit"] if job.status == "F")
    ended = next(instance for instance in made.instances if instance.job_id == failed.pk)
    return {
        "workflows": "/workflows/?mine=1",
        "workflow": f"/workflows/{workflow}/",
        "jobs": f"/workflows/{workflow}/jobs/?tag=fit&status=F&status=E&status=R",
        "job": f"/jobs/{failed.pk}/",
        "attempt": f"/job-instances/{ended.pk}/",
        "log": f"/job-instances/{ended.pk}/log/stdout/",
        "run": f"/workflow-runs/{run}/",
        "errors": f"/workflows/{workflow}/errors/",
        "error-group": f"/error-groups/{made.workflow.error_groups.order_by('-attempts')[0].pk}/",
        "graph": f"/workflows/{workflow}/graph/",
        "job-graph": f"/jobs/{failed.pk}/graph/?up=2&down=2",
        "timeline": f"/workflows/{workflow}/timeline/",
        "activity": f"/workflows/{workflow}/activity/",
        "stop": f"/workflows/{workflow}/stop/",
        "resume": f"/workflows/{workflow - 2}/resume/",
        "executors": "/executors/",
        "executor": "/executors/sge/",
        "hosts": "/hosts/",
        "filters": "/account/filters/",
        "operations": "/operations/",
        "resources": f"/workflows/{workflow}/resources/",
        "tokens": "/account/tokens/",
        "limits": f"/workflows/{workflow}/limits/",
        "operation": f"/operations/{make_operation(made).uuid}/",
        "kill": f"/jobs/{made.job('R').pk}/kill/",
        "account": "/account/",
        "search": "/search/?q=fit_01",
        "first-visit": "/workflows/?mine=1&q=nothing-like-this",
    }


def test_take_screenshots(open_page: OpenPage, owner: User) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    only = set(os.environ.get("ONLY", DOCUMENTED).split(","))
    themes = os.environ.get("THEMES", "light,dark").split(",")
    sizes = os.environ.get("SIZES", "wide,phone").split(",")
    for name, url in places(owner).items():
        if "all" not in only and name not in only:
            continue
        for theme in themes:
            for size in sizes:
                page = open_page(url, theme=theme, width=SIZES[size])
                page.screenshot(path=FOLDER / f"{name}-{size}-{theme}.png", full_page=True)
                page.context.close()
