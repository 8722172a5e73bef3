"""Several values of one filter mean "or"; where only one can count, a second one is not understood and nothing is shown."""

from __future__ import annotations

import json
import uuid

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.pages.forms import press_filter
from workflows.filters import AttemptFilter, AuditFilter, ErrorFilter, OperationFilter, RunFilter
from workflows.job_filters import JobFilter
from workflows.models import Job, JobEdge, JobInstance, Operation, Workflow
from workflows.url_filters import UrlFilterSet, takes_many

pytestmark = pytest.mark.django_db
SINGLE = {
    JobFilter: {"blocked", "q", "attempts", "since"},
    RunFilter: {"since"},
    ErrorFilter: {"since"},
    AttemptFilter: {"since"},
    OperationFilter: {"since"},
    AuditFilter: {"since"},
}
TWO = {
    "blocked": "blocked=1&blocked=0",
    "attempts": "attempts=1&attempts=2",
    "q": "q=fit&q=clean",
    "since": "since=1d&since=9d",
}


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice", is_admin=True)


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"D": 3}), Tag("fit", {"F": 3}, ("clean",))])


def found(client: Client, path: str) -> set[int]:
    """The rows that the page's export holds."""
    join = "&" if "?" in path else "?"
    response = client.get(f"{path}{join}export=jsonl")
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    return {int(row.get("job_id") or row["id"]) for row in map(json.loads, lines)}


def test_which_filters_take_several_values() -> None:
    for filter_set, single in SINGLE.items():
        assert {name for name, one in filter_set.base_filters.items() if not takes_many(one.field)} == single, (
            filter_set
        )


def test_jobs_of_any_of_several_hosts_batches_or_runs(client: Client, made: Made, owner: User) -> None:
    path = f"/workflows/{made.workflow.pk}/jobs/"
    attempts = list(JobInstance.objects.filter(workflow_run=made.run).order_by("job_id"))
    for attempt in attempts:
        JobInstance.objects.filter(pk=attempt.pk).update(
            nodename=f"h{attempt.job_id % 3}", executor_id=f"b{attempt.job_id}"
        )
    one, two = found(client, f"{path}?host=h0"), found(client, f"{path}?host=h1")
    assert one and two and not one & two
    assert found(client, f"{path}?host=h0&host=h1") == one | two < found(client, path)
    ids = [attempts[0].job_id, attempts[-1].job_id]
    assert found(client, f"{path}?batch=b{ids[0]}&batch=b{ids[1]}") == set(ids)
    other = make_workflow(owner, [Tag("clean", {"D": 1})])
    everything = found(client, f"{path}?run={made.run.pk}")
    assert everything
    assert found(client, f"{path}?run={made.run.pk}&run={other.run.pk}") == everything
    assert found(client, f"{path}?run={other.run.pk}") == set()


def test_jobs_of_several_ids_kinds_and_neighbours(client: Client, made: Made) -> None:
    path = f"/workflows/{made.workflow.pk}/jobs/"
    ids = list(Job.objects.filter(dag_id=made.workflow.dag_id).order_by("pk").values_list("pk", flat=True))
    assert found(client, f"{path}?id={ids[0]},{ids[1]}&id={ids[2]}") == set(ids[:3])
    JobEdge.objects.all().delete()
    for up, down in ((0, 3), (1, 4), (2, 5)):
        JobEdge.objects.create(upstream_id=ids[up], downstream_id=ids[down])
    assert found(client, f"{path}?upstream_of={ids[3]}&upstream_of={ids[4]}") == set(ids[:2])
    assert found(client, f"{path}?downstream_of={ids[1]}&downstream_of={ids[2]}") == set(ids[4:])


def test_pages_and_api_find_the_same_in_other_lists(client: Client, made: Made, owner: User) -> None:
    entries = {name: make_audit(made.workflow, actor=name).pk for name in ("zoe", "yan", "xia")}
    wanted = {entries["zoe"], entries["yan"]}
    assert found(client, "/audit/?actor=zoe&actor=yan") == wanted
    answer = client.get("/api/v1/audit/?actor=zoe&actor=yan").json()
    assert {row["id"] for row in answer["results"]} == wanted
    other = make_workflow(owner, [Tag("fit", {"D": 1})])
    Workflow.objects.filter(pk=other.workflow.pk).update(user="bob")
    make_workflow(owner, [Tag("fit", {"D": 1})])
    Workflow.objects.exclude(pk__in=[made.workflow.pk, other.workflow.pk]).update(user="carol")
    assert found(client, "/workflows/?owner=alice&owner=bob") == {made.workflow.pk, other.workflow.pk}


def test_several_operations_of_the_audit(client: Client, made: Made, owner: User) -> None:
    wanted, keys = set(), [uuid.uuid4() for _ in range(3)]
    for number, key in enumerate(keys):
        Operation.objects.create(
            uuid=key,
            workflow=made.workflow,
            user=owner,
            action="retry",
            created_at=timezone.now(),
            request_id=f"r{number}",
        )
        entry = make_audit(made.workflow)
        type(entry).objects.filter(pk=entry.pk).update(request_id=f"r{number}")
        wanted.add(entry.pk) if number < 2 else None
    assert found(client, f"/audit/?operation={keys[0]}&operation={keys[1]}") == wanted


@pytest.mark.parametrize("name", sorted(TWO))
def test_two_values_where_one_counts_show_nothing_and_say_so(client: Client, made: Made, name: str) -> None:
    path = f"/workflows/{made.workflow.pk}/jobs/?{TWO[name]}"
    page = client.get(path)
    assert page.context["filters"].unknown == [name]
    assert list(page.context["page"].rows) == []
    assert page.context["actions"] == []
    assert [chip.is_understood for chip in page.context["filters"].chips] == [False, False]
    assert found(client, path) == set()
    answer = client.get(f"/api/v1/workflows/{made.workflow.pk}/jobs/?{TWO[name]}")
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == [name]
    assert "once" in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize("name", sorted(TWO))
def test_an_action_on_what_was_not_understood_is_refused(client: Client, made: Made, name: str) -> None:
    url = f"/workflows/{made.workflow.pk}/operations/"
    client.post(url, {"which": "all", "action": "retry", "query": TWO[name]})
    posted = {"action": "retry", "filters": {name: QueryDict(TWO[name]).getlist(name)}}
    answer = client.post(f"/api/v1/workflows/{made.workflow.pk}/operations/", posted, content_type="application/json")
    assert answer.status_code == 400
    assert Operation.objects.count() == 0


@pytest.mark.parametrize(
    "query", ["id=,", "host=%20", "q=%20", "run=0", "run=x", "run=9223372036854775808", "error=1&error=x"]
)
def test_values_that_say_nothing_do_not_widen(client: Client, made: Made, query: str) -> None:
    assert found(client, f"/workflows/{made.workflow.pk}/jobs/?{query}") == set()


def test_the_same_value_again_says_nothing_new(client: Client, made: Made) -> None:
    filters: UrlFilterSet = client.get(f"/workflows/{made.workflow.pk}/jobs/?since=9d&since=9d&since=").context[
        "filters"
    ]
    assert filters.unknown == []
    assert len(filters.chips) == 1


@pytest.mark.parametrize(
    "query", ["host=a&host=b", "host=a&host=", "since=1d&since=9d", "blocked=1&blocked=0", "q=a&q=b"]
)
def test_filter_sends_all_values_again(client: Client, made: Made, query: str) -> None:
    """The form shows the last one; the others must not be lost, and what was not understood must remain so."""
    sent = QueryDict(press_filter(client.get(f"/workflows/{made.workflow.pk}/jobs/?{query}").content.decode()))
    pairs = {(name, value) for name, values in sent.lists() for value in values if value}
    asked = {(name, value) for name, values in QueryDict(query).lists() for value in values if value}
    assert pairs == asked
