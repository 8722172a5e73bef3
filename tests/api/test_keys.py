"""Idempotency keys: every changing call acts once; a key whose request died with its process is free at once."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.api.caller import GRAPH, Caller
from tests.api.world import TABLE, World, snapshot
from workflows import drafts
from workflows.api import idempotency
from workflows.models import Draft, IdempotencyRecord, JobInstance, Workflow, WorkflowRun

KEY = {"Idempotency-Key": "one"}


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leave_at_work(host: str, pid: int) -> IdempotencyRecord:
    """What a request leaves behind whose process was killed before it had an answer."""
    alice = User.objects.get(username="alice")
    return IdempotencyRecord.objects.create(
        user=alice, key="one", fingerprint="f", created_at=timezone.now(), answer={"host": host, "pid": pid}
    )


@pytest.mark.django_db(transaction=True)
def test_a_key_of_a_dead_process_is_free_at_once(api: Caller, dead_pid: int) -> None:
    leave_at_work(idempotency.HOST, dead_pid)
    assert api.post("workflows/", GRAPH, **KEY).status == 201
    assert Workflow.objects.count() == 1
    again = api.post("workflows/", GRAPH, **KEY)
    assert (again.status, again.headers["Idempotent-Replay"]) == (201, "true")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("host", "patience"),
    [(idempotency.HOST, idempotency.LONGEST_WORK), ("another-machine", idempotency.ABANDONED)],
    ids=["living", "another-machine"],
)
def test_a_key_at_work_is_waited_for(api: Caller, host: str, patience: timedelta) -> None:
    record = leave_at_work(host, 1)
    refused = api.post("workflows/", GRAPH, **KEY)
    assert (refused.status, refused.code) == (409, "request-in-progress")
    assert not Workflow.objects.exists()
    record.created_at = timezone.now() - patience + timedelta(minutes=1)
    record.save()
    assert api.post("workflows/", GRAPH, **KEY).status == 409
    record.created_at = timezone.now() - patience - timedelta(seconds=1)
    record.save()
    assert api.post("workflows/", GRAPH, **KEY).status == 201


CHANGING = ("POST", "PUT", "PATCH", "DELETE")
CALLS = sorted(
    f"{method} {route}" for route, methods in TABLE["api"].items() for method in methods if method in CHANGING
)
SECRETS = {"POST v1/tokens/", "POST v1/login-links/"}
BODIES: dict[str, dict[str, object]] = {
    "POST v1/operations/<uuid:key>/confirm/": {},
    "POST v1/jobs/<int:job_id>/rerun/": {},
    "POST v1/jobs/<int:job_id>/done/": {},
    "PUT v1/workflows/<int:workflow_id>/sharing/": {"group": None},
}


def prepare(world: World, call: str) -> dict[str, object] | None:
    """Make the call possible; answers its body."""
    if call.endswith("/runs/"):
        JobInstance.objects.filter(status__in=["I", "B", "R"]).delete()
        WorkflowRun.objects.update(status="S", ended_at=timezone.now())
        Workflow.objects.update(status="S")
    if call.endswith("/commit/"):
        draft = Draft.objects.get()
        Draft.objects.update(header={"workflow_args": "d", "job_count": 1})
        drafts.store_chunk(draft, 0, b'[{"name": "a", "command": "ok"}]', 1)
    body: dict[str, object] | None = BODIES.get(call, TABLE["bodies"].get(call))
    if body and "job_ids" in body:
        body = {**body, "job_ids": [world.values["job_id"]]}
    return body


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("call", CALLS)
def test_every_changing_call_with_a_key_acts_once(world: World, call: str) -> None:
    """Walks the table that is held against the URL resolver: a new route is tested from its first day."""
    method, _, route = call.partition(" ")
    body = prepare(world, call)
    kind = str(TABLE["api"][route][method]).split()[0]
    caller = Caller(world.tokens[kind if kind in ("staff", "admin") else "owner"])
    url = world.url(f"api/{route}")
    first = caller.call(method, url, body, **KEY)
    assert first.status < 300, first.body
    after_first = snapshot()
    second = caller.call(method, url, body, **KEY)
    assert second.headers["Idempotent-Replay"] == "true"
    assert snapshot() == after_first
    if call in SECRETS:
        assert (second.status, second.code) == (409, "answer-not-kept")
    else:
        assert (second.status, second.body) == (first.status, first.body)
    other = caller.call(method, url, {**(body or {}), "strange": 1}, **KEY)
    assert (other.status, other.code) == (409, "idempotency-key-reused")
