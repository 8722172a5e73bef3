"""Exports of failed attempts and of what people changed: all that matches, as the filters of the page say."""

from __future__ import annotations

import csv
import io
import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from workflows import operations
from workflows.models import AuditEntry, JobInstance, Operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"F": 3, "D": 2}), Tag("fit", {"F": 2}, reasons=("memory",))])


def read_csv(client: Client, path: str, **query: str) -> list[dict[str, Any]]:
    answer = client.get(path, {**query, "export": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[arg-type]


def read_lines(client: Client, path: str, **query: str) -> list[dict[str, Any]]:
    answer = client.get(path, {**query, "export": "jsonl"})
    return [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]  # type: ignore[arg-type]


def test_failed_attempts_are_exported_as_they_are_filtered(client: Client, made: Made) -> None:
    path = f"/workflows/{made.workflow.pk}/errors/"
    failed = JobInstance.objects.filter(status="E")
    assert [int(row["job_instance_id"]) for row in read_csv(client, path)] == list(
        failed.order_by("-pk").values_list("pk", flat=True)
    )
    rows = read_lines(client, path, reason="memory", tag="fit")
    assert len(rows) == failed.filter(reason="memory").count() > 0
    assert {row["tag"] for row in rows} == {"fit"}
    assert all(row["why"].startswith("Over memory") and row["status"] == "F" for row in rows)
    assert any(row["error"] for row in rows)
    assert read_csv(client, path, stauts="F") == []
    assert "export=csv" in client.get(path, {"reason": "memory"}).content.decode()


def test_the_last_words_of_a_job_are_no_formula(client: Client, made: Made) -> None:
    attempt = made.instance("E")
    attempt.errors.create(error_time=attempt.ended_at, description='=HYPERLINK("http://x")')
    rows = read_csv(client, f"/workflows/{made.workflow.pk}/errors/")
    assert [row["error"] for row in rows if int(row["job_instance_id"]) == attempt.pk] == ['\'=HYPERLINK("http://x")']


def test_what_people_changed_is_exported_with_its_result(client: Client, owner: User, made: Made) -> None:
    make_audit(made.workflow, "hold", target="run 1", after={"hold": "x"}, address="10.1.2.3")
    AuditEntry.objects.create(
        at=timezone.now(),
        actor="eve",
        via="page",
        action="sign-in-failed",
        target="sign-in",
        result="refused",
    )
    path = f"/workflows/{made.workflow.pk}/activity/"
    assert [(row["action"], row["after"]) for row in read_csv(client, path)] == [("hold", '{"hold": "x"}')]
    for kind in ("csv", "jsonl"):
        text = b"".join(client.get(f"{path}?export={kind}").streaming_content).decode()  # type: ignore[attr-defined]
        assert "address" not in text, "from where is for administrators alone"
        assert "10.1.2.3" not in text
    assert client.get("/audit/?export=csv").status_code == 403
    admin = Client(HTTP_HOST="127.0.0.1")
    admin.force_login(make_user("sue", is_admin=True))
    assert [row["actor"] for row in read_lines(admin, "/audit/", result="refused")] == ["eve"]
    assert len(read_lines(admin, "/audit/")) == AuditEntry.objects.count()
    assert "10.1.2.3" in [row["address"] for row in read_lines(admin, "/audit/")]
    assert "refused" in admin.get("/audit/").content.decode()


def test_the_activity_of_one_operation_is_found_by_its_id(client: Client, made: Made) -> None:
    for query in ("tag=clean&status=F", "tag=fit&status=F"):
        client.post(f"/workflows/{made.workflow.pk}/operations/", {"which": "all", "action": "retry", "query": query})
    for operation in Operation.objects.all():
        client.post(f"/operations/{operation.uuid}/")
        while operations.carry_out(operation.pk):
            pass
    path = f"/workflows/{made.workflow.pk}/activity/"
    for operation in Operation.objects.all():
        rows = read_lines(client, path, operation=str(operation.uuid))
        assert [(row["action"], row["job_count"]) for row in rows] == [
            ("reset", operation.jobs), ("confirm-operation", operation.jobs),
        ]  # fmt: skip
        assert f"operation={operation.uuid}" in client.get(f"/operations/{operation.uuid}/").content.decode()
    assert read_lines(client, path, operation=str(uuid.uuid4())) == []
