"""One running export per person: an export holds its place until it is read or left, and no crash keeps one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.test import Client

from tests.factories import Made, Tag, make_user, make_workflow

pytestmark = pytest.mark.django_db
HOLD = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def places(settings, tmp_path: Path) -> Path:
    settings.QUOTA_EXPORTS, settings.EXPORT_PLACES = 1, tmp_path / "exports"
    return settings.EXPORT_PLACES


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 2, "F": 1})])


@pytest.fixture
def export(made: Made) -> Iterator[Callable[..., HttpResponseBase]]:
    """Begins one, and reads no further than its headers."""
    begun: list[HttpResponseBase] = []

    def begin(client: Client, page: str = "jobs", kind: str = "csv") -> HttpResponseBase:
        begun.append(client.get(f"/workflows/{made.workflow.pk}/{page}/", {"export": kind}))
        return begun[-1]

    yield begin
    for answer in begun:
        leave(answer)


def leave(answer: HttpResponseBase) -> None:
    """As when the reader goes away; but for the connections, which belong to the test."""
    request_finished.disconnect(close_old_connections)
    try:
        answer.close()
    finally:
        request_finished.connect(close_old_connections)


def read(answer: HttpResponseBase) -> bytes:
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", ["jobs", "errors", "activity"])
def test_a_second_export_waits_for_the_first(
    client: Client, export: Callable[..., HttpResponseBase], page: str
) -> None:
    first = export(client, "jobs")
    refused = export(client, page, "jsonl")
    assert refused.status_code == 429
    assert refused["Retry-After"] == "10"
    assert "Another export of yours is running" in refused.content.decode()  # type: ignore[attr-defined]
    assert len(read(first).splitlines()) == 4
    assert export(client, page).status_code == 200


def test_one_that_is_left_gives_its_place_back(client: Client, export: Callable[..., HttpResponseBase]) -> None:
    leave(export(client))
    assert len(read(export(client)).splitlines()) == 4


def test_others_have_places_of_their_own(client: Client, made: Made, export: Callable[..., HttpResponseBase]) -> None:
    other = Client(HTTP_HOST="127.0.0.1")
    other.force_login(make_user("root", is_staff=True))
    assert export(client).status_code == export(other).status_code == 200
    assert export(other).status_code == 429


def test_pages_and_headers_need_no_place(client: Client, made: Made, export: Callable[..., HttpResponseBase]) -> None:
    export(client)
    path = f"/workflows/{made.workflow.pk}/jobs/"
    assert client.get(path).status_code == 200


def test_the_place_is_held_against_other_processes_and_goes_with_them(
    client: Client, owner: User, places: Path, export: Callable[..., HttpResponseBase]
) -> None:
    places.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(places / f"{owner.pk}.0")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert export(client).status_code == 429
    finally:
        other.kill()
        other.communicate()
    assert export(client).status_code == 200


def test_the_administrator_sets_how_many(client: Client, settings, export: Callable[..., HttpResponseBase]) -> None:
    settings.QUOTA_EXPORTS = 2
    assert [export(client).status_code for _ in range(3)] == [200, 200, 429]
    settings.QUOTA_EXPORTS = 0
    assert [export(client).status_code for _ in range(3)] == [200, 200, 200]


def test_where_places_cannot_be_kept_exports_go_on(
    client: Client, settings, tmp_path: Path, export: Callable[..., HttpResponseBase], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    settings.EXPORT_PLACES = tmp_path / "file" / "exports"
    assert [export(client).status_code for _ in range(2)] == [200, 200]
    assert "exports are not counted" in caplog.text
