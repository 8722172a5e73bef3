"""Every page answers, for a workflow in the middle of its run and for empty ones."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import make_user, make_workflow
from tests.seed import seed

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(make_user())
    return client


def urls_of(made) -> list[str]:
    w, run, job, attempt = made.workflow.pk, made.run.pk, made.job("F").pk, made.instance("E").pk
    return [
        "/workflows/?mine=1", "/workflows/", f"/workflows/{w}/", f"/workflows/{w}/jobs/", f"/workflows/{w}/jobs/?status=F&tag=fit",
        f"/workflows/{w}/errors/", f"/workflows/{w}/graph/", f"/workflows/{w}/timeline/", f"/workflows/{w}/activity/",
        f"/workflows/{w}/resume/", f"/workflows/{w}/stop/", f"/workflow-runs/{run}/", f"/jobs/{job}/", f"/jobs/{job}/graph/",
        f"/job-instances/{attempt}/", f"/job-instances/{attempt}/log/stdout/", f"/job-instances/{attempt}/log/stderr/",
        "/executors/", "/account/", "/search/?q=fit", f"/search/?q={w}",
    ]  # fmt: skip


def test_every_page_answers(client: Client) -> None:
    from django.contrib.auth.models import User

    made = seed(User.objects.get(username="alice"))
    for url in urls_of(made):
        response = client.get(url)
        assert response.status_code == 200, url
        text = response.content.decode()
        assert "<h1" in text, url
        assert "style=" not in text, url


def test_pages_of_an_empty_workflow_answer(client: Client) -> None:
    from django.contrib.auth.models import User

    w = make_workflow(User.objects.get(username="alice"), [], status="C").workflow.pk
    for part in ("", "jobs/", "errors/", "graph/", "timeline/", "activity/", "resume/", "stop/"):
        assert client.get(f"/workflows/{w}/{part}").status_code == 200, part
