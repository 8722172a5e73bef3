"""ETags: an answer that still holds is not made again, and every change makes another tag."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from tests.api.caller import Caller, graph
from tests.db.engine import start
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
CHANGES: dict[str, tuple[str, str, Any]] = {
    "note": ("PUT", "workflows/{workflow}/note/", {"note": "x"}),
    "limits": ("PUT", "workflows/{workflow}/limits/", {"max_concurrently_running": 3}),
    "sharing": ("PUT", "workflows/{workflow}/sharing/", {"group": "fits", "group_may_operate": True}),
    "hold": ("POST", "workflow-runs/{run}/hold/", {"reason": "wait"}),
    "drain": ("POST", "workflow-runs/{run}/stop/", {"mode": "drain"}),
    "kill": ("POST", "workflow-runs/{run}/stop/", {"mode": "kill"}),
    "done": ("POST", "jobs/{job}/done/", {}),
}


@pytest.fixture
def ids(api: Caller) -> dict[str, int]:
    workflow = Workflow.objects.get(pk=api.post("workflows/", graph("a", "b")).body["id"])
    workflow.owner.groups.add(Group.objects.create(name="fits"))
    run = start(workflow)
    return {"workflow": workflow.pk, "run": run.pk, "job": workflow.dag.jobs.order_by("pk")[0].pk}


def addresses(ids: dict[str, int]) -> list[str]:
    return [f"workflows/{ids['workflow']}/", "workflows/", "workflows/?status=R", f"workflow-runs/{ids['run']}/"]


def test_an_answer_that_still_holds_is_304_without_a_body(api: Caller, ids: dict[str, int]) -> None:
    for path in addresses(ids):
        tag = api.get(path).headers["ETag"]
        for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
            again = api.get(path, **{"If-None-Match": known})
            assert (again.status, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert api.get(path, **{"If-None-Match": '"other"'}).status == 200


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_makes_another_tag(api: Caller, ids: dict[str, int], change: str) -> None:
    before = {path: api.get(path) for path in addresses(ids)}
    method, path, body = CHANGES[change]
    assert api.call(method, path.format(**ids), body).status < 300
    for path, old in before.items():
        new = api.get(path, **{"If-None-Match": old.headers["ETag"]})
        assert (new.status, new.headers["ETag"] != old.headers["ETag"]) == (200, True), path


def test_a_new_workflow_and_a_renamed_group_make_another_list(api: Caller, ids: dict[str, int]) -> None:
    api.put(f"workflows/{ids['workflow']}/sharing/", {"group": "fits", "group_may_operate": False})
    first = api.get("workflows/").headers["ETag"]
    Group.objects.update(name="fitters")
    second = api.get("workflows/").headers["ETag"]
    api.post("workflows/", graph("a", args="another"))
    assert len({first, second, api.get("workflows/").headers["ETag"]}) == 3


def test_a_tag_is_of_one_address(api: Caller, ids: dict[str, int]) -> None:
    tags = [api.get(path).headers["ETag"] for path in addresses(ids)]
    assert len(set(tags)) == len(tags)


def test_what_may_not_be_seen_is_never_304(stranger: Caller, ids: dict[str, int]) -> None:
    assert stranger.get(f"workflows/{ids['workflow']}/", **{"If-None-Match": "*"}).status == 404
