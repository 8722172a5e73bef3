"""Pressing Filter on a list never drops a filter that the form has no field for: what is acted on would widen."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from tests.factories import Made, Tag, make_user, make_workflow
from tests.pages.forms import press_filter
from workflows.filters import AuditFilter, ErrorFilter, WorkflowFilter
from workflows.job_filters import JobFilter
from workflows.url_filters import MAX_VALUES

pytestmark = pytest.mark.django_db
VALUES = {
    "status": "F", "blocked": "0", "reason": "memory", "attempts": "2", "since": "24h", "created": "7d", "changed": "7d",
    "mine": "1", "needs": "1", "failures": "1", "error": "3", "run": "4", "id": "1,2", "upstream_of": "5",
    "downstream_of": "6", "operation": "6a1f0d5e-0000-4000-8000-000000000000", "workflow": "7",
}  # fmt: skip


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice", is_admin=True)


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"D": 2}), Tag("fit", {"F": 2, "G": 1}, ("clean",))])


def lists(made: Made) -> dict[str, type]:
    path = f"/workflows/{made.workflow.pk}"
    return {
        "/workflows/": WorkflowFilter,
        f"{path}/jobs/": JobFilter,
        f"{path}/errors/": ErrorFilter,
        f"{path}/activity/": AuditFilter,
        "/audit/": AuditFilter,
    }


def sent(client: Client, url: str) -> set[tuple[str, str]]:
    """What Filter sends when nothing in the form is touched."""
    query = QueryDict(press_filter(client.get(url).content.decode()))
    return {(name, value) for name, values in query.lists() for value in values if value}


def test_every_filter_of_every_list_stays(client: Client, made: Made) -> None:
    for path, filter_set in lists(made).items():
        for name in filter_set.base_filters:
            value = VALUES.get(name, "some text")
            assert sent(client, f"{path}?{name}={value}") == {(name, value)}, (path, name)


def test_what_was_not_understood_stays_and_still_shows_nothing(client: Client, made: Made) -> None:
    for path, filter_set in lists(made).items():
        names = [
            "stauts",
            *(name for name in ("status", "since", "attempts", "run") if name in filter_set.base_filters),
        ]
        for name in names:
            assert sent(client, f"{path}?{name}=odd") == {(name, "odd")}, (path, name)


def test_several_values_and_attributes_stay(client: Client, made: Made) -> None:
    asked = {("error", "3"), ("tag", "fit"), ("tag", "clean"), ("tag", "gone"), ("reason", "memory"), ("reason", "exit"),
             ("status", "F"), ("status", "Z"), ("attr.release", "2026"), ("tag__n", "late"), ("tag__n", "early"),
             ("sort", "name"), ("cols", "name,status")}  # fmt: skip
    query = QueryDict(mutable=True)
    for name, value in asked:
        query.appendlist(name, value)
    assert sent(client, f"/workflows/{made.workflow.pk}/jobs/?{query.urlencode()}&after=x") == asked


def test_more_values_than_are_read_are_not_understood(client: Client, made: Made) -> None:
    """The 51st "not this tag" would be left out, and the list would be wider than its chips say."""
    query = QueryDict(mutable=True)
    query.setlist("tag__n", [f"tag{number}" for number in range(MAX_VALUES)])
    path = f"/workflows/{made.workflow.pk}/jobs/"
    assert client.get(f"{path}?{query.urlencode()}").context["filters"].unknown == []
    query.appendlist("tag__n", "fit")
    page = client.get(f"{path}?{query.urlencode()}")
    assert page.context["filters"].unknown == ["tag__n"]
    assert list(page.context["page"].rows) == []
    assert page.context["actions"] == []


def test_a_saved_filter_opened_beside_others_drops_none(client: Client, made: Made) -> None:
    path = f"/workflows/{made.workflow.pk}/jobs/"
    client.post(
        "/account/filters/", {"list": "jobs", "workflow": made.workflow.pk, "name": "failed", "query": "status=F"}
    )
    slug = client.get("/account/filters/").context["mine"][0][0].slug
    assert client.get(f"{path}?filter={slug}")["Location"] == f"{path}?status=F"
    assert client.get(f"{path}?filter={slug}&tag=fit")["Location"] == f"{path}?status=F&tag=fit"
    unclear = client.get(f"{path}?filter={slug}&status=G")
    assert unclear.context["filters"].unknown == ["filter"]
    assert list(unclear.context["page"].rows) == []
