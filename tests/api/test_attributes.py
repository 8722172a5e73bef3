"""Attributes of workflows and jobs are filters of their lists; one FilterSet for page, API, CLI and export."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.caller import Caller
from workflows import filters, job_filters
from workflows.models import JobInstance
from workflows.queries.keyset import Order, paginate
from workflows.queries.workflows import with_error_text
from workflows.url_filters import UrlFilterSet

pytestmark = pytest.mark.django_db

NAMES = ["release", "2026", "two words", "dot.ted", "größe", "a__b", "%", "$", "under_score"]


def submit(api: Caller, args: str, attributes: dict[str, str], *jobs: dict[str, str]) -> int:
    body: dict[str, Any] = {"workflow_args": args, "attributes": attributes}
    body["jobs"] = [
        {"name": f"j{number}", "command": f"ok {number}", "attributes": job} for number, job in enumerate(jobs or [{}])
    ]
    return int(api.post("workflows/", body).body["id"])


def found_ids(api: Caller, query: str) -> list[int]:
    return sorted(row["id"] for row in api.get(f"workflows/?{query}").body["results"])


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_is_found_by_an_attribute_of_any_name(api: Caller, name: str) -> None:
    right = submit(api, "a", {name: "Fünf 5", "other": "x"})
    submit(api, "b", {name: "fünf 5"})
    submit(api, "c", {"other": "Fünf 5"})
    assert found_ids(api, f"attr.{quote(name)}={quote('Fünf 5')}") == [right]


def test_different_names_are_and_repeated_ones_are_or(api: Caller) -> None:
    one, two = submit(api, "a", {"x": "1", "y": "1"}), submit(api, "b", {"x": "2", "y": "1"})
    submit(api, "c", {"x": "3", "y": "1"})
    assert found_ids(api, "attr.x=1&attr.x=2") == [one, two]
    assert found_ids(api, "attr.x=1&attr.y=1") == [one]
    assert found_ids(api, "attr.x=1&attr.y=2") == []
    assert found_ids(api, "attr.none=1") == []


def test_more_attributes_than_allowed_are_not_understood(api: Caller) -> None:
    query = "&".join(f"attr.n{number}=1" for number in range(11))
    answer = api.get(f"workflows/?{query}")
    assert [error["path"] for error in answer.body["errors"]] == ["attr.n10"]


def test_jobs_are_found_by_their_attributes_in_api_page_and_export(api: Caller, owner: User, client: Client) -> None:
    workflow = submit(api, "a", {}, {"sex": "f", "age": "30"}, {"sex": "m"}, {"sex": "f"})
    path, query = f"workflows/{workflow}/jobs/", "attr.sex=f&status=G"
    assert [job["name"] for job in api.get(f"{path}?{query}").body["results"]] == ["j0", "j2"]
    client.force_login(owner)
    page = client.get(f"/{path}?{query}").content.decode()
    assert "sex: f" in page
    assert ">j2<" in page
    assert ">j1<" not in page
    lines = b"".join(client.get(f"/{path}?{query}&export=csv")).decode().splitlines()  # type: ignore[arg-type]
    assert [line.split(",")[1] for line in lines[1:]] == ["j0", "j2"]


def test_jobs_are_chosen_by_their_attributes(api: Caller) -> None:
    workflow = submit(api, "a", {}, {"sex": "f"}, {"sex": "m"}, {"sex": "f"})
    body = {"action": "done", "filters": {"attr.sex": ["f"]}}
    assert api.post(f"workflows/{workflow}/operations/", body).body["jobs"] == 2


LISTS: dict[str, tuple[str, type[UrlFilterSet]]] = {
    "/api/v1/workflows/": ("/workflows/", filters.WorkflowFilter),
    "/api/v1/workflows/{workflow}/runs/": ("", filters.RunFilter),
    "/api/v1/workflows/{workflow}/jobs/": ("/workflows/{workflow}/jobs/", job_filters.JobFilter),
    "/api/v1/workflows/{workflow}/job-instances/": ("", filters.AttemptFilter),
    "/api/v1/workflows/{workflow}/errors/": ("/workflows/{workflow}/errors/", filters.ErrorFilter),
    "/api/v1/workflows/{workflow}/error-groups/": ("", filters.ErrorGroupFilter),
    "/api/v1/workflows/{workflow}/activity/": ("/workflows/{workflow}/activity/", filters.AuditFilter),
    "/api/v1/operations/": ("/operations/", filters.OperationFilter),
    "/api/v1/audit/": ("/audit/", filters.AuditFilter),
}
"""List of the API → the page with the same list ('' where no page has one), and the FilterSet of both."""
VALUES = {
    "since": "7d",
    "created": "7d",
    "changed": "7d",
    "id": "1,2",
    "mine": "1",
    "needs": "1",
    "failures": "0",
    "blocked": "0",
    "memory": "1.5-3",
    "runtime": "60-",
    "operation": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
}


def value_for(filter_set: type[UrlFilterSet], name: str) -> str:
    choices = filter_set.base_filters[name].extra.get("choices")
    return str(choices[0][0]) if choices else VALUES.get(name, "1")


@pytest.mark.parametrize("path", sorted(LISTS))
def test_api_and_page_understand_the_same_filters(api: Caller, owner: User, client: Client, path: str) -> None:
    page, filter_set = LISTS[path]
    workflow = submit(api, "a", {}, {"sex": "f"})
    owner.is_superuser = True
    owner.save()
    client.force_login(owner)
    names = [*filter_set.base_filters, *(["attr.sex"] if filter_set.HAS_ATTRIBUTES else [])]
    for name in names:
        query = f"{name}={quote(value_for(filter_set, name) if name in filter_set.base_filters else 'f')}"
        assert api.get(f"{path.format(workflow=workflow)}?{query}").status == 200, query
        if page:
            shown = client.get(f"{page.format(workflow=workflow)}?{query}")
            assert shown.status_code == 200
            assert "not understood" not in shown.content.decode(), query
    assert api.get(f"{path.format(workflow=workflow)}?colour=red").status == 400
    if page:
        assert "not understood: colour" in client.get(f"{page.format(workflow=workflow)}?colour=red").content.decode()


def test_every_list_of_the_api_is_in_this_table() -> None:
    """A list that takes pages and is not here fails; tokens and executors are few and have none."""
    from tests.api.answers import description

    lists = {
        path
        for path, methods in description()["paths"].items()
        if any(parameter["name"] == "after" for parameter in methods.get("get", {}).get("parameters", []))
    }
    assert {path.replace("{workflow_id}", "{workflow}") for path in lists} - {"/api/v1/operations/{key}/jobs/"} == set(
        LISTS
    )


def test_a_value_that_is_not_understood_is_told_with_those_that_are(api: Caller) -> None:
    workflow = submit(api, "a", {})
    (error,) = api.get(f"workflows/{workflow}/errors/?reason=oom").body["errors"]
    assert (error["path"], error["detail"].startswith("oom is not one of exit, ")) == ("reason", True), error


def test_a_page_of_nothing_is_empty_where_rows_carry_more_than_their_columns() -> None:
    """No database has to be asked for it, and none is."""
    page = paginate(with_error_text(JobInstance.objects.none()), Order("job_instance_id"), "", "", 25)
    assert (page.rows, page.next, page.previous) == ([], "", "")
