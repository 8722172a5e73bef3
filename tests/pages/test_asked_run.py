"""Pages of figures show the run and the tag of their address, or nothing: never those of another."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.models import WorkflowRun
from workflows.queries.timeline import RUNS_OFFERED

pytestmark = pytest.mark.django_db
PAGES = ("timeline", "resources")


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 2, "F": 1})], runs=RUNS_OFFERED + 3)


@pytest.mark.parametrize("page", PAGES)
def test_an_old_run_is_shown_by_its_address(client: Client, made: Made, page: str) -> None:
    oldest = WorkflowRun.objects.order_by("pk").first()
    shown = client.get(f"/workflows/{made.workflow.pk}/{page}/?run={oldest.pk}")
    assert shown.context["run"].pk == oldest.pk
    assert f'<option value="{oldest.pk}" selected>' in shown.content.decode()
    assert shown.context["filters"].chips == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("query", ["run=999999", "run=abc", "tag=fitt", "stauts=F", "run=²"])
def test_what_is_not_there_is_named_and_nothing_is_shown(client: Client, made: Made, page: str, query: str) -> None:
    shown = client.get(f"/workflows/{made.workflow.pk}/{page}/?{query}")
    text = shown.content.decode()
    assert shown.context["run"] is None
    assert f"not understood: {query}" in text
    assert "The address was not understood" in text
    assert "fit_0" not in text


@pytest.mark.parametrize("page", PAGES)
def test_a_run_of_another_workflow_is_not_shown(client: Client, made: Made, page: str) -> None:
    other = make_workflow(make_user("bob"), [Tag("fit", {"D": 1})]).run
    shown = client.get(f"/workflows/{made.workflow.pk}/{page}/?run={other.pk}")
    assert shown.context["run"] is None


@pytest.mark.parametrize("page", PAGES)
def test_of_two_runs_or_tags_none_is_shown(client: Client, made: Made, page: str) -> None:
    first, last = WorkflowRun.objects.order_by("pk").first().pk, WorkflowRun.objects.order_by("pk").last().pk
    for query in (f"run={first}&run={last}", "tag=fit&tag=fitt"):
        shown = client.get(f"/workflows/{made.workflow.pk}/{page}/?{query}")
        assert shown.context["run"] is None, query
        assert [chip.is_understood for chip in shown.context["filters"].chips] == [False], query
    again = client.get(f"/workflows/{made.workflow.pk}/{page}/?run={first}&run={first}")
    assert again.context["run"].pk == first


def test_half_a_window_of_time_is_named(client: Client, made: Made) -> None:
    shown = client.get(f"/workflows/{made.workflow.pk}/timeline/?from=5")
    assert [chip.label for chip in shown.context["filters"].chips] == ["not understood: from=5"]


def test_without_an_address_the_latest_run_is_shown(client: Client, made: Made) -> None:
    for page in PAGES:
        assert client.get(f"/workflows/{made.workflow.pk}/{page}/").context["run"] == made.run
