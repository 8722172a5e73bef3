"""A database that is away: a page that says so and tries again, drawn without asking it."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.db.utils import InterfaceError
from django.test import Client, RequestFactory

from workflows.middleware import DatabaseAwayMiddleware, is_database_away

LOST = OperationalError(2006, "Server has gone away")


def refuse(*_: object) -> None:
    raise LOST


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/workflows/", "/account/", "/jobs/1/", "/executors/"])
def test_pages_say_that_the_database_is_away(client: Client, owner: User, url: str) -> None:
    client.raise_request_exception = False
    with connection.execute_wrapper(refuse):
        response = client.get(url)
    text = response.content.decode()
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert "its database is away" in text
    assert 'http-equiv="refresh"' in text
    assert "Traceback" not in text


@pytest.mark.django_db
def test_the_api_says_it_as_a_problem() -> None:
    answer = DatabaseAwayMiddleware(refuse).process_exception(RequestFactory().get("/api/v1/workflows/"), LOST)  # type: ignore[arg-type]
    assert answer is not None
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "unavailable")


def test_a_wrong_statement_is_not_an_absent_database() -> None:
    assert is_database_away(OperationalError("unable to open database file"))
    assert is_database_away(InterfaceError(0, ""))
    assert not is_database_away(OperationalError(1054, "Unknown column"))
    assert not is_database_away(OperationalError("no such table: job"))
    assert not is_database_away(ValueError("2006"))
