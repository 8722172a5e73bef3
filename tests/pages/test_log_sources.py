"""Where the file of a log is gone, the page shows what the database kept of it, and says that it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from executors.spool import find_output
from tests.factories import Made, Tag, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    monkeypatch.setattr(settings, "SPOOL", str(tmp_path))
    return make_workflow(owner, [Tag("fit", {"F": 1, "D": 1, "R": 1}, message="ValueError: no draws")])


def log(client: Client, made: Made, letter: str, stream: str) -> str:
    return client.get(f"/job-instances/{made.instance(letter).pk}/log/{stream}/").content.decode()


def test_the_kept_end_of_stderr_stands_in_for_the_file(client: Client, made: Made) -> None:
    text = log(client, made, "E", "stderr")
    assert "<h2>Removed</h2>" in text
    assert "What was kept when the attempt ended" in text
    assert "ValueError: no draws" in text
    assert "from the database" in text


def test_of_stdout_nothing_is_kept_but_how_it_ended(client: Client, made: Made) -> None:
    text = log(client, made, "E", "stdout")
    assert "ValueError" not in text
    assert "What is known of its end: exit file: exit" in text


def test_a_file_that_is_there_needs_no_stand_in(client: Client, made: Made, tmp_path: Path) -> None:
    path = find_output(tmp_path, made.instance("E").pk, "stderr")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("from the file\n")
    text = log(client, made, "E", "stderr")
    assert "from the file" in text
    assert "What was kept" not in text
    path.unlink()
    assert "<h2>No file</h2>" in log(client, made, "E", "stderr")


def test_the_page_of_an_attempt_names_its_folder(client: Client, made: Made, tmp_path: Path) -> None:
    instance = made.instance("E")
    folder = find_output(tmp_path, instance.pk, "stdout").parent
    text = client.get(f"/job-instances/{instance.pk}/").content.decode()
    assert f"<dd data-copy><code>{folder}</code></dd>" in text


def test_a_job_page_does_not_wait_for_its_output(client: Client, made: Made) -> None:
    job = made.job("F")
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert f'hx-get="/jobs/{job.pk}/?tails=1" hx-trigger="load"' in page
    assert "Last lines of stderr" not in page
    loaded = client.get(f"/jobs/{job.pk}/?tails=1", headers={"HX-Request": "true"}).content.decode()
    assert loaded.startswith('<div id="tails">')
    assert loaded.count("Last lines of std") == 2
    without_script = client.get(f"/jobs/{job.pk}/?tails=1").content.decode()
    assert "Last lines of stderr" in without_script
    assert 'hx-trigger="load"' not in without_script
    polled = client.get(f"/jobs/{job.pk}/?v=0", headers={"HX-Request": "true"}).content.decode()
    assert "Last lines of stderr" in polled
    assert f"/workflows/{made.workflow.pk}/resume/" not in page  # a run is live: a retry is a retry
    ended = make_workflow(made.workflow.owner, [Tag("fit", {"F": 1})], status="E")
    again = client.get(f"/jobs/{ended.job('F').pk}/").content.decode()
    assert f"/workflows/{ended.workflow.pk}/resume/?job={ended.job('F').pk}" in again
