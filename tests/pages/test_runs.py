"""The list of all runs of a workflow."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_workflow
from workflows.models import WorkflowRun

pytestmark = pytest.mark.django_db
RUNS = 13


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 2, "F": 1})], runs=RUNS)


def shown(client: Client, url: str) -> list[int]:
    return [row[0].pk for row in client.get(url).context["rows"]]


def test_all_runs_are_there_page_by_page(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/runs/"
    newest_first = list(WorkflowRun.objects.order_by("-pk").values_list("pk", flat=True))
    assert shown(client, url) == newest_first
    first = client.get(f"{url}?per_page=10")
    assert str(first.context["total"]) == str(RUNS)
    second = f"{url}?per_page=10&after={first.context['page'].next}"
    assert shown(client, f"{url}?per_page=10") + shown(client, second) == newest_first


def test_the_overview_and_the_tabs_lead_there(client: Client, made: Made) -> None:
    text = client.get(f"/workflows/{made.workflow.pk}/").content.decode()
    assert text.count(f'href="/workflows/{made.workflow.pk}/runs/"') == 2


def test_they_are_filtered(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/runs/"
    oldest = WorkflowRun.objects.order_by("pk").first()
    WorkflowRun.objects.filter(pk=oldest.pk).update(user="bob", executor="sge")
    assert shown(client, f"{url}?user=bob") == [oldest.pk]
    assert shown(client, f"{url}?executor=sge") == [oldest.pk]
    assert shown(client, f"{url}?user=nobody") == []
    assert "not understood: stauts=R" in client.get(f"{url}?stauts=R").content.decode()


def test_what_was_done_and_failed_is_that_of_the_end_of_each(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/runs/"
    oldest = WorkflowRun.objects.order_by("pk").first()
    WorkflowRun.objects.filter(pk=oldest.pk).update(final_counts={"D": 1, "F": 2})
    assert (1, 2) in [row[1:] for row in client.get(url).context["rows"] if row[0].pk == oldest.pk]
    lines = b"".join(client.get(f"{url}?export=jsonl").streaming_content).decode().splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    assert len(rows) == RUNS
    assert (rows[oldest.pk]["done"], rows[oldest.pk]["failed"]) == (1, 2)


def test_a_poll_brings_the_list_alone_and_only_when_something_changed(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/runs/"
    live = {"HTTP_HX_REQUEST": "true"}
    assert client.get(f"{url}?v={made.workflow.change_no}", **live).status_code == 204
    fragment = client.get(f"{url}?v=-1", **live).content.decode()
    assert "<html" not in fragment
    assert fragment.count('id="run-') == RUNS
