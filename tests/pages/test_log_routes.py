"""Whatever stands in the address of a log, on the site and in the API: the attempt's own output is read, or nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponseBase
from django.test import Client

from executors.spool import attempt_folder
from tests.factories import Tag, make_workflow
from tests.pages.traversals import TRAVERSALS
from workflows.access import create_token
from workflows.logs import LogFile, LogUnavailable, read_piece

pytestmark = pytest.mark.django_db
OWN, FOREIGN = "said by this attempt", "not yours"
QUERIES = ("stream", "path", "file", "name", "offset", "find", "at")


@pytest.fixture
def number(owner: User, settings, tmp_path: Path) -> int:
    """An attempt with output, and files beside and above it that it must not lead to."""
    settings.SPOOL = tmp_path / "spool"
    attempt = make_workflow(owner, [Tag("fit", {"F": 1})]).instance("E")
    folder = attempt_folder(settings.SPOOL, attempt.pk)
    folder.mkdir(parents=True)
    for name in ("out", "err"):
        (folder / name).write_text(OWN)
    for place in (folder, folder.parent, folder.parent.parent, tmp_path):
        (place / "secret").write_text(FOREIGN)
    return attempt.pk


@pytest.fixture
def reader(client: Client, owner: User) -> Client:
    """For both: the session opens the pages, the token the API."""
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {create_token(owner, 'x')}"
    return client


def text_of(response: HttpResponseBase) -> str:
    parts = response.streaming_content if response.streaming else [response.content]  # type: ignore[attr-defined]
    return b"".join(parts).decode("utf-8", "replace")


def test_there_are_eighty_different_forms() -> None:
    assert len(set(TRAVERSALS)) == 80


@pytest.mark.parametrize("begin", ["", "/api/v1"], ids=["pages", "api"])
def test_no_address_leads_out_of_the_attempt(reader: Client, number: int, begin: str) -> None:
    for form in TRAVERSALS:
        for path in (f"{begin}/job-instances/{number}/log/{form}/", f"{begin}/job-instances/{form}/log/stdout/"):
            response = reader.get(path)
            assert response.status_code in (301, 400, 404), (path, response.status_code)
            found = text_of(response)
            assert FOREIGN not in found, path
            assert not re.search("root:.*:0:0:", found), path


@pytest.mark.parametrize("begin", ["", "/api/v1"], ids=["pages", "api"])
def test_no_question_leads_out_of_the_attempt(reader: Client, number: int, begin: str) -> None:
    answered = 0
    for turn, form in enumerate(TRAVERSALS):
        name = QUERIES[turn % len(QUERIES)]
        response = reader.get(f"{begin}/job-instances/{number}/log/stdout/?{name}={form}")
        found = text_of(response)
        assert response.status_code in (200, 400), (name, form, response.status_code)
        assert FOREIGN not in found, (name, form)
        assert not re.search("root:.*:0:0:", found), (name, form)
        answered += OWN in found
    assert answered, "what is asked is its own output, whatever else is said"


def test_the_reader_takes_none_of_them_for_a_name(number: int, settings) -> None:
    folder = attempt_folder(Path(settings.SPOOL), number)
    for form in TRAVERSALS:
        with pytest.raises(LogUnavailable):
            read_piece(LogFile(folder, (form,)))
