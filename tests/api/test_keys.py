"""A key whose request died with its process: the same request again is carried out at once."""

from __future__ import annotations

import subprocess
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.api.caller import GRAPH, Caller
from workflows.api import idempotency
from workflows.models import IdempotencyRecord, Workflow

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
@pytest.mark.parametrize("host", [idempotency.HOST, "another-machine"])
def test_a_key_at_work_is_waited_for(api: Caller, host: str) -> None:
    record = leave_at_work(host, 1)
    refused = api.post("workflows/", GRAPH, **KEY)
    assert (refused.status, refused.code) == (409, "request-in-progress")
    assert not Workflow.objects.exists()
    record.created_at = timezone.now() - idempotency.ABANDONED - timedelta(seconds=1)
    record.save()
    assert api.post("workflows/", GRAPH, **KEY).status == 201
