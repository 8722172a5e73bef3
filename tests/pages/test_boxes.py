"""A part of a page whose read takes too long fails alone: the rest is drawn, and one line says where to see that part."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from tests.db.test_queries import ENDLESS
from tests.factories import Made, Tag, make_workflow
from workflows.models import Job
from workflows.queries import limits
from workflows.queries.limits import TooSlow, read_box, read_limit

pytestmark = pytest.mark.django_db
LATE = "This part took too long"


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(
        owner, [Tag("clean", {"D": 2}), Tag("fit", {"F": 2, "G": 1}, ("clean",)), Tag("end", {"G": 1}, ("fit",))]
    )


def run_endlessly() -> object:
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS)
        return cursor.fetchall()


def test_the_overview_goes_without_what_fails(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/workflows/{made.workflow.pk}/"
    whole = client.get(path).content.decode()
    assert LATE not in whole
    monkeypatch.setattr(limits, "BOX_SECONDS", 0)
    response = client.get(path)
    text = response.content.decode()
    assert response.status_code == 200
    assert text.count(LATE) == 1
    assert f'{LATE}: <a href="{path}errors/">show it by itself</a>' in text
    assert client.get(f"{path}errors/").status_code == 200
    for part in ("Runs", "fit", f"/workflow-runs/{made.run.pk if made.run else 0}/"):
        assert part in text and part in whole


def test_a_job_goes_without_its_neighbours(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made.job("F")
    path, base = f"/jobs/{job.pk}/", f"/workflows/{made.workflow.pk}/jobs/"
    assert LATE not in client.get(path).content.decode()
    monkeypatch.setattr(limits, "BOX_SECONDS", 0)
    response = client.get(path)
    text = response.content.decode()
    assert response.status_code == 200
    for name in ("upstream_of", "downstream_of"):
        assert f'{LATE}: <a href="{base}?{name}={job.pk}">show it by itself</a>' in text
        assert client.get(f"{base}?{name}={job.pk}").status_code == 200
    assert text.count(LATE) == 2
    assert "Attempts, newest first" in text and job.name in text


def test_a_job_that_waits_says_so_without_its_neighbours(
    client: Client, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job.objects.filter(dag_id=made.workflow.dag_id, name__startswith="end").get()
    Job.objects.filter(pk=job.pk).update(upstreams_left=3, blocked_by=None)
    monkeypatch.setattr(limits, "BOX_SECONDS", 0)
    text = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "of 0 upstreams" not in text


def test_rest_does_not_leave_anything_out(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made.job("F")
    before = client.get(f"/api/v1/jobs/{job.pk}/why/").json()
    monkeypatch.setattr(limits, "BOX_SECONDS", 0)
    assert client.get(f"/api/v1/jobs/{job.pk}/why/").json() == before


def test_a_slow_box_is_given_up_and_the_limit_of_the_page_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BOX_SECONDS", 0.05)
    with read_limit(600):
        assert read_box(run_endlessly) is None
        assert Job.objects.count() == 0
    with pytest.raises(TooSlow), read_limit(0.05):
        read_box(Job.objects.count)
        run_endlessly()
    assert connection.execute_wrappers == []
    assert Job.objects.count() == 0


def test_a_box_has_no_more_time_than_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BOX_SECONDS", 600)
    with read_limit(0.05):
        assert read_box(run_endlessly) is None
