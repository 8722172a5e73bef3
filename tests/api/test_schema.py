"""The published description is valid, and whatever Schemathesis thinks of is answered as it says."""

from __future__ import annotations

from functools import cache
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core import NotSet

from tests.api.answers import PROBLEM, description
from tests.api.caller import GRAPH, Caller
from tests.db.engine import drive, start
from tests.factories import make_user
from workflows.access import create_token
from workflows.models import Workflow

FEW = {"owner": 3, "stranger": 1, "anonymous": 1}
MANY = {"owner": 100, "stranger": 50, "staff": 50, "anonymous": 10}


def operations() -> list[str]:
    return sorted(f"{method.upper()} {path}" for path, methods in description()["paths"].items() for method in methods)


def test_the_description_is_valid_and_complete() -> None:
    output = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=output)
    assert "openapi: 3.0" in output.getvalue()


@pytest.mark.parametrize("operation", operations())
def test_every_operation_documents_its_refusals(operation: str) -> None:
    method, path = operation.split(" ")
    responses = description()["paths"][path][method.lower()]["responses"]
    for status in ("400", "401", "403", "503", *(["404"] if "{" in path else [])):
        assert list(responses[status]["content"]) == [PROBLEM]
    assert any(status < "300" for status in responses)


def test_the_description_can_be_fetched_by_whoever_is_signed_in(client: Any, owner: User) -> None:
    assert client.get("/api/schema/?format=json").status_code == 401
    client.force_login(owner)
    assert client.get("/api/schema/?format=json").json()["info"]["title"] == "Jobmon"


@pytest.fixture
def tokens(db: None, owner: User, api: Caller) -> dict[str, str]:
    """There is something to find: a workflow of the owner with ids that begin at 1."""
    start_run = start(Workflow.objects.get(pk=api.post("workflows/", GRAPH).body["id"]))
    drive(start_run)
    return {
        "owner": create_token(owner, "fuzz"),
        "stranger": create_token(make_user("bob"), "fuzz"),
        "staff": create_token(make_user("root", is_staff=True), "fuzz"),
        "anonymous": "",
    }


def by_part() -> dict[str, list[str]]:
    """`workflows`, `jobs`, …: the calls of a part share what there is to find, and each takes back what it did."""
    found: dict[str, list[str]] = {}
    for operation in operations():
        found.setdefault(operation.partition("/api/v1/")[2].partition("/")[0] or "server", []).append(operation)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("part", by_part())
def test_no_call_meets_an_undocumented_answer(tokens: dict[str, str], part: str) -> None:
    """In this process, as each kind of person. No 5xx, no status, media type or shape that is not described."""
    for operation in by_part()[part]:
        for who, examples in FEW.items():
            with transaction.atomic():
                call_operation(operation, Caller(tokens[who]), examples)
                transaction.set_rollback(True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.django_db
@pytest.mark.parametrize("operation", operations())
@pytest.mark.parametrize("who", MANY)
def test_no_call_of_many_meets_an_undocumented_answer(tokens: dict[str, str], who: str, operation: str) -> None:
    """The long form: `pytest -m slow tests/api/test_schema.py`, with `-k owner` for one kind of person."""
    call_operation(operation, Caller(tokens[who]), MANY[who])


@cache
def read_description() -> Any:
    return schemathesis.openapi.from_dict(description())


def call_operation(operation: str, caller: Caller, examples: int) -> None:
    method, path = operation.split(" ")
    for found in read_description().include(path=path, method=method).get_all_operations():
        call_often(found.ok(), caller, examples)


def call_often(operation: Any, caller: Caller, examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def call(case: schemathesis.Case) -> None:
        query = f"?{urlencode(case.query, doseq=True)}" if case.query else ""
        body = None if isinstance(case.body, NotSet) else case.body
        caller.call(case.method, case.formatted_path + query, body)

    call()
