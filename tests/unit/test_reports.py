"""A report of an error holds no value: neither a function's variables nor what was posted."""

from __future__ import annotations

import sys
import uuid

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

SECRET = uuid.uuid4().hex


def read_environment(environment: dict[str, str]) -> None:
    command = f"API_TOKEN={environment['API_TOKEN']} work"
    raise LookupError(len(command))


def report(debug: bool, settings: object) -> str:
    settings.DEBUG = debug  # type: ignore[attr-defined]
    request = RequestFactory().post("/account/tokens/", {"name": SECRET})
    request.user = "nobody"
    try:
        read_environment({"API_TOKEN": SECRET})
    except LookupError:
        reporter = ExceptionReporter(request, *sys.exc_info())
    return reporter.get_traceback_text() + reporter.get_traceback_html()


def test_no_value_is_in_a_report(settings: object) -> None:
    text = report(False, settings)
    assert "read_environment" in text
    assert SECRET not in text


def test_the_developer_sees_them(settings: object) -> None:
    """So the test above is about the filter."""
    assert SECRET in report(True, settings)


@pytest.mark.parametrize("debug", [False, True])
def test_the_line_that_failed_is_named(settings: object, debug: bool) -> None:
    assert "raise LookupError(len(command))" in report(debug, settings)
