"""Lists of workflows, operations and resources as files, and how many rows each link says it leads to."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.pages.test_smoke import make_operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(
        owner, [Tag("clean", {"D": 3}), Tag("fit", {"F": 2, "G": 2, "R": 1}, ("clean",))], name="=fits"
    )


def export(client: Client, url: str, kind: str) -> str:
    response = client.get(f"{url}{'&' if '?' in url else '?'}export={kind}")
    assert response["Content-Disposition"].startswith("attachment")
    return b"".join(response.streaming_content).decode()


def read(client: Client, url: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export(client, url, "jsonl").splitlines()]


def said(client: Client, url: str) -> int:
    """The number of rows beside the link."""
    found = re.search(r"JSON lines</a> \(([\d,]+) rows?\)", client.get(url).content.decode())
    assert found is not None, url
    return int(found[1].replace(",", ""))


def test_workflows_with_their_counts(client: Client, owner: User, made: Made) -> None:
    for _ in range(30):
        make_workflow(owner, [Tag("one", {"D": 1})], status="D")
    make_workflow(make_user("bob"), [Tag("one", {"D": 1})])
    assert said(client, "/workflows/?mine=1") == len(read(client, "/workflows/?mine=1")) == 31
    assert said(client, "/workflows/?mine=1&status=D") == 30
    (row,) = [row for row in read(client, "/workflows/?mine=1") if row["id"] == made.workflow.pk]
    assert (row["jobs"], row["done"], row["failed"], row["running"]) == (8, 3, 2, 1)
    assert (row["waiting"] + row["blocked"], row["latest_run_id"]) == (2, made.run.pk)
    (line,) = [
        line
        for line in csv.DictReader(io.StringIO(export(client, "/workflows/?mine=1", "csv")))
        if line["failed"] == "2"
    ]
    assert line["name"] == "'=fits"


def test_operations_but_nobody_elses_drafts(client: Client, owner: User, made: Made) -> None:
    operation = make_operation(made)
    assert said(client, "/operations/") == 1
    assert [(row["id"], row["user"], row["state"]) for row in read(client, "/operations/")] == [
        (str(operation.uuid), "alice", "draft")
    ]
    staff = Client(HTTP_HOST="127.0.0.1")
    staff.force_login(make_user("sue", is_staff=True))
    assert read(staff, "/operations/") == []


def test_resources_by_tag(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/resources/"
    uses = client.get(url).context["uses"]
    rows = read(client, url)
    assert said(client, url) == len(rows) == len(uses) > 0
    assert [(row["tag"], row["memory_median"], row["over_memory"]) for row in rows] == [
        (use.tag, use.memory.median, use.over_memory) for use in uses
    ]
    assert {row["memory_suggested"] for row in rows} == {use.memory_hint.request for use in uses}


def test_activity_says_how_many_entries_there_are(client: Client, made: Made) -> None:
    for _ in range(60):
        make_audit(made.workflow)
    url = f"/workflows/{made.workflow.pk}/activity/"
    assert said(client, url) == len(read(client, url)) >= 60


def test_the_job_table_says_it_for_any_filter(client: Client, made: Made) -> None:
    for query in ("", "?status=F", "?q=fit"):
        url = f"/workflows/{made.workflow.pk}/jobs/{query}"
        text = client.get(url).content.decode()
        assert f"({len(read(client, url))} rows)" in text


def test_a_filter_that_is_not_understood_exports_nothing(client: Client, made: Made) -> None:
    for url in ("/workflows/?stauts=D", "/operations/?stauts=D", f"/workflows/{made.workflow.pk}/runs/?stauts=D"):
        assert read(client, url) == []
