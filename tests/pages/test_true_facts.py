"""What two places say of the same thing agrees, and is so."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_workflow
from workflows.models import ErrorGroup, Job, JobGroup
from workflows.queries import graph

pytestmark = pytest.mark.django_db


def seen(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return str(answer.content.decode())


@pytest.fixture
def blocking(owner: User) -> Made:
    """Each job of `fit` needs one of `load`: one has failed, one runs."""
    return make_workflow(owner, [Tag("load", {"F": 1, "R": 1}), Tag("fit", {"G": 2}, ("load",))])


def test_a_blocked_job_is_blocked_wherever_it_is_shown(client: Client, blocking: Made) -> None:
    failed = blocking.job("F")
    behind = Job.objects.get(blocked_by=failed.pk)
    text = seen(client, f"/jobs/{failed.pk}/")
    downstream = text[text.index("<h2>Downstreams</h2>") :]
    assert "blocked" in downstream[: downstream.index(behind.name)] and "waiting" not in downstream
    picture = seen(client, f"/jobs/{failed.pk}/graph/?up=0&down=1")
    assert "<text>blocked</text>" in picture and "<text>waiting</text>" not in picture
    assert "blocked" in seen(client, f"/jobs/{failed.pk}/graph/?export=dot")
    assert "s-blocked" in seen(client, f"/jobs/{behind.pk}/graph/?up=0&down=0").split("</h1>")[1][:200]


def test_blocked_and_waiting_jobs_alike_are_two_boxes(
    client: Client, blocking: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "FOLD_FROM", 2)
    made = make_workflow(blocking.workflow.owner, [Tag("load", {"F": 1}), Tag("fit", {"G": 4}, ("load",))])
    Job.objects.filter(pk=made.jobs["fit"][0].pk).update(blocked_by=None)
    text = seen(client, f"/jobs/{made.jobs['load'][0].pk}/graph/?up=0&down=1")
    assert "tag=fit&amp;blocked=1" in text and "<text>waiting</text>" in text


def test_waiting_jobs_are_those_that_are_not_blocked(client: Client, blocking: Made) -> None:
    url = f"/workflows/{blocking.workflow.pk}/jobs/"
    assert "status: waiting or blocked" in seen(client, f"{url}?status=G")
    assert "<b>2</b> jobs match" in seen(client, f"{url}?status=G")
    legend = seen(client, f"/workflows/{blocking.workflow.pk}/")
    assert "?status=G&amp;blocked=0" in legend
    assert "<b>1</b> job match" in seen(client, f"{url}?status=G&blocked=0")


def test_the_graph_counts_the_ready_as_the_overview_does(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("load", {"D": 3, "R": 1}), Tag("fit", {"G": 4, "Q": 1}, ("load",))])
    ready = Job.objects.filter(dag_id=made.workflow.dag_id, status="G", upstreams_left=0).count()
    assert 0 < ready < 4
    text = seen(client, f"/workflows/{made.workflow.pk}/graph/")
    wait = "wait" if 4 - ready > 1 else "waits"
    assert f"{ready + 1} ready" in text and f"{4 - ready} {wait} for load (1 to come)" in " ".join(text.split())


def test_what_people_killed_comes_last_of_what_fails(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 2, "G": 1})], status="E")
    failed = ErrorGroup.objects.get()
    pk, now = made.workflow.pk, timezone.now()
    values = {"reason": "killed", "attempts": 99, "first_seen_at": now, "last_seen_at": now}
    ErrorGroup.objects.create(workflow=made.workflow, fingerprint="k", title="Killed by a person", **values)
    text = seen(client, f"/workflows/{pk}/")
    assert text.index(f"/error-groups/{failed.pk}/") < text.index("Killed by a person")
    ErrorGroup.objects.update(state="fixed")
    assert "2 jobs failed; what failed is marked fixed" in seen(client, f"/workflows/{pk}/")


def test_a_workflow_without_jobs_is_shown_everywhere(client: Client, owner: User) -> None:
    pk = make_workflow(owner, [], status="C").workflow.pk
    assert not JobGroup.objects.exists()
    assert f"/workflows/{pk}/" in seen(client, "/workflows/")
    assert "It has no jobs; there is nothing to run." in seen(client, f"/workflows/{pk}/")
    for part in ("jobs/", "errors/", "graph/", "timeline/", "resources/", "runs/", "activity/", "resume/"):
        seen(client, f"/workflows/{pk}/{part}")
