"""Executors are held and limited, and hosts taken out of use, by REST as by the pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.api.caller import Caller, caller_for
from tests.factories import make_user
from workflows import executor_control
from workflows.models import AuditEntry, ExecutorState

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(settings: Any) -> Caller:
    settings.EXECUTORS = ("dummy", "sge")
    for name in settings.EXECUTORS:
        ExecutorState.objects.create(name=name, kind=name, polled_at=timezone.now())
    root = make_user("root", is_staff=True)
    root.is_superuser = True
    root.save()
    return caller_for(root)


def shown(caller: Caller, name: str) -> dict[str, Any]:
    return {row["name"]: row for row in caller.get("executors/").body["results"]}[name]


def test_an_executor_is_held_limited_and_released(admin: Caller) -> None:
    assert admin.put("executors/sge/hold/", {"reason": " new  disks "}).body["hold_reason"] == "new disks"
    assert admin.put("executors/sge/limit/", {"max_live": 7}).body["max_live"] == 7
    assert executor_control.read_decided()["sge"] == executor_control.Decided(7, "new disks")
    assert (shown(admin, "sge")["max_live"], shown(admin, "dummy")["hold_reason"]) == (7, "")
    admin.put("executors/sge/hold/", {"reason": ""})
    admin.put("executors/sge/limit/", {"max_live": None})
    assert executor_control.read_decided() == {}
    assert AuditEntry.objects.filter(target="executor sge").count() == 4


def test_a_host_is_taken_out_of_use_and_used_again(admin: Caller) -> None:
    path = "hosts/sge/c041.example.org/exclusion/"
    for is_excluded in (True, True, False, False):
        answer = admin.put(path, {"is_excluded": is_excluded, "reason": "noisy"})
        assert (answer.status, answer.body["is_excluded"]) == (200, is_excluded)
        assert executor_control.read_excluded() == ({"sge": ("c041.example.org",)} if is_excluded else {})
    assert AuditEntry.objects.filter(target__startswith="host ").count() == 2, "what is so already is no change"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("hosts/dummy/vm/exclusion/", 409, "has only one host; hold it instead"),
        ("hosts/sge/c[1-9]/exclusion/", 409, "is not the name of a host"),
        ("hosts/none/c041/exclusion/", 404, "There is no such thing"),
    ],
)
def test_what_cannot_be_excluded(admin: Caller, path: str, status: int, words: str) -> None:
    answer = admin.put(path, {"is_excluded": True})
    assert (answer.status, words in answer.body["detail"]) == (status, True)
    assert executor_control.read_excluded() == {}


def test_limits_and_hosts_are_for_administrators(admin: Caller) -> None:
    staff = caller_for(make_user("carol", is_staff=True))
    assert staff.put("executors/sge/hold/", {"reason": "x"}).status == 200
    for path, body in (("executors/sge/limit/", {"max_live": 1}), ("hosts/sge/c041/exclusion/", {"is_excluded": True})):
        answer = staff.put(path, body)
        assert (answer.status, answer.body["detail"]) == (403, "Only administrators may do this.")
