"""The job table keeps its size whatever stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_workflow
from workflows.models import Job, JobInstance
from workflows.tables import JobTable

pytestmark = pytest.mark.django_db
MOST_BYTES = 60 * 1024
SAID = 'it\'s not an "account" of <partition> ' * 12


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"F": 55}, reasons=("memory",), mem_free=12)])


def size_of(client: Client, made: Made) -> int:
    answer = client.get(f"/workflows/{made.workflow.pk}/jobs/?tag=fit&status=F")
    assert len(answer.context["page"].rows) == 50
    return len(answer.content)


def test_fifty_jobs_with_long_reasons_fit(client: Client, made: Made) -> None:
    assert size_of(client, made) < MOST_BYTES
    JobInstance.objects.update(reason="refused", evidence=f"Refused: {SAID}")
    assert size_of(client, made) < MOST_BYTES


def test_fifty_jobs_with_long_names_fit(client: Client, made: Made) -> None:
    for number, job in enumerate(Job.objects.order_by("pk")):
        job.name = f"{'location_' * 27}{number:04}"
        job.save(update_fields=["name"])
    assert size_of(client, made) < MOST_BYTES
    text = client.get(f"/workflows/{made.workflow.pk}/jobs/").content.decode()
    assert "location_0001</a>" in text, "what differs is in sight"


def test_fifty_jobs_of_two_hundred_tags_fit(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag(f"location_{number:03}", {"F": 1}, reasons=("memory",)) for number in range(200)])
    assert len(client.get(f"/workflows/{made.workflow.pk}/jobs/").content) < MOST_BYTES


def test_a_resume_of_two_hundred_tags_fits(client: Client, owner: User) -> None:
    """Its first rows one by one, the others summed up; each job is counted once."""
    tags = [Tag(f"location_{number:03}", {"F": 2, "D": 3}) for number in range(200)]
    made = make_workflow(owner, tags, status="E")
    text = client.get(f"/workflows/{made.workflow.pk}/resume/").content
    assert len(text) < MOST_BYTES
    rows = re.findall(
        r'<th scope="row">([^<]*)</th><td data-label="What">([^<]*)</td><td class="num" data-label="Jobs">([\d,]+)',
        text.decode(),
    )
    assert rows[-2:] == [("140 more tags", "tried again", "280"), ("200 more tags", "kept", "600")]
    assert sum(int(count) for _, what, count in rows if what == "tried again") == 400


def test_cards_name_the_usual_columns_by_their_place() -> None:
    """The style sheet does it for the usual columns; others say it themselves."""
    css = (Path(__file__).parents[2] / "static/css/app.css").read_text(encoding="utf-8")
    rules = {
        int(place): word
        for place, word in re.findall(r"\.usual td:nth-last-child\((\d+)\)::before { content: \"([^\"]+)\"", css)
    }
    columns = [JobTable.base_columns[name] for name in JobTable.DEFAULT]
    words = {len(columns) - index: str(column.verbose_name) for index, column in enumerate(columns)}
    del words[len(columns) - JobTable.DEFAULT.index("name")]  # the heading of the card
    assert rules == words


def test_other_columns_say_what_they_are(client: Client, made: Made) -> None:
    text = client.get(f"/workflows/{made.workflow.pk}/jobs/?cols=name,slots").content.decode()
    assert 'data-label="Slots"' in text
