"""Actions on many jobs by the API: frozen, confirmed, carried out, and told job by job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.api.caller import Caller, caller_for
from tests.factories import Made, Tag, make_user, make_workflow
from workflows import collecting, operations
from workflows.models import Job, Operation, OperationItem

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"D": 3, "F": 4, "R": 1}), Tag("fit", {"G": 8}, ("clean",))])


def draft(api: Caller, made: Made, action: str = "retry", **selection: object) -> dict[str, Any]:
    answer = api.post(f"workflows/{made.workflow.pk}/operations/", {"action": action, **selection})
    assert answer.status == 201, answer.body
    return dict(answer.body)


def carry_out(operation_id: str) -> None:
    pk = Operation.objects.get(uuid=operation_id).pk
    while operations.carry_out(pk):
        pass


def test_a_draft_freezes_the_ids_and_tells_what_it_would_do(api: Caller, made: Made) -> None:
    found = draft(api, made, filters={"status": ["F", "D"], "tag": ["clean"]})
    assert (found["state"], found["jobs"], found["changed"], found["via"]) == ("draft", 7, 0, "api")
    assert [(group["what"], group["jobs"]) for group in found["plan"]["groups"]] == [("skipped", 3), ("retry", 4)]
    assert OperationItem.objects.count() == 7
    assert Job.objects.filter(status="F").count() == 4


def test_a_dry_run_counts_as_the_draft_does_and_leaves_nothing(api: Caller, made: Made) -> None:
    body = {"action": "retry", "filters": {"status": ["F", "D"]}}
    dry = api.post(f"workflows/{made.workflow.pk}/operations/?dry_run=1", body)
    assert (dry.status, dry.body["dry_run"], Operation.objects.count()) == (200, True, 0)
    plan = draft(api, made, filters={"status": ["F", "D"]})["plan"]
    assert {**plan, "dry_run": True} == dry.body


def test_confirmed_it_acts_on_the_frozen_jobs_only_and_tells_each(api: Caller, made: Made) -> None:
    found = draft(api, made, filters={"status": ["F", "D"]})
    late = made.job("R")
    Job.objects.filter(pk=late.pk).update(status="F")
    for _ in range(2):
        assert api.post(f"operations/{found['id']}/confirm/", {}).status == 202
    carry_out(found["id"])
    ended = api.get(f"operations/{found['id']}/").body
    assert (ended["state"], ended["changed"], ended["skipped"]) == ("finished", 4, 3)
    assert list(Job.objects.filter(status="F")) == [late]
    skipped = api.get(f"operations/{found['id']}/jobs/?outcome=skipped").body["results"]
    assert {(row["outcome"], row["why"]) for row in skipped} == {("skipped", "it has not failed")}
    assert len(skipped) == 3


def test_outcomes_come_in_pages(api: Caller, made: Made) -> None:
    found = draft(api, made, filters={})
    seen, url = [], f"operations/{found['id']}/jobs/?per_page=5"
    while url:
        body = api.get(url).body
        seen += [(row["job_id"], row["outcome"]) for row in body["results"]]
        url = (body["next"] or "").partition("127.0.0.1")[2]
    assert seen == [(job.pk, "waiting") for job in Job.objects.order_by("pk")]


def test_jobs_by_their_ids(api: Caller, made: Made, stranger: Caller) -> None:
    ids = [job.pk for job in made.all_jobs if job.status == "F"][:2]
    found = draft(api, made, job_ids=ids)
    assert sorted(OperationItem.objects.values_list("job_id", flat=True)) == sorted(ids)
    assert found["said"] == "2 jobs named by id"
    unknown = api.post(f"workflows/{made.workflow.pk}/operations/", {"action": "retry", "job_ids": [*ids, 10**9]})
    assert (unknown.status, unknown.code) == (400, "unknown-job")


@pytest.mark.parametrize(
    ("selection", "path"),
    [
        ({}, None),
        ({"filters": {}, "job_ids": [1]}, None),
        ({"filters": {"stauts": ["F"]}}, "stauts"),
        ({"filters": {"status": ["X"]}}, "status"),
        ({"filters": {"status": []}}, "status"),
        ({"filters": {"tag": [""]}}, "filters"),
        ({"filters": {"per_page": ["5"]}}, "per_page"),
        ({"filters": {"status": "F"}}, "filters"),
        ({"job_ids": []}, "job_ids"),
    ],
)
def test_what_is_not_understood_is_never_all(
    api: Caller, made: Made, selection: dict[str, object], path: str | None
) -> None:
    answer = api.post(f"workflows/{made.workflow.pk}/operations/", {"action": "retry", **selection})
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert path is None or path in [error["path"] for error in answer.body["errors"]]
    assert not Operation.objects.exists()


def test_nothing_chosen_is_refused(api: Caller, made: Made) -> None:
    answer = api.post(f"workflows/{made.workflow.pk}/operations/", {"action": "retry", "filters": {"tag": ["no"]}})
    assert (answer.status, answer.code) == (409, "no-jobs")


@pytest.mark.parametrize(
    ("action", "options", "status"),
    [
        ("kill", {}, 400),
        ("kill", {"then": "retry"}, 202),
        ("requests", {}, 400),
        ("requests", {"mem_free": 8}, 202),
        ("requests", {"then": "fail"}, 400),
        ("done", {"note": "by hand"}, 202),
        ("done", {"slots": 2}, 400),
        ("rerun", {}, 202),
        ("retry", {"note": "x"}, 400),
    ],
)
def test_an_action_takes_its_own_options(
    api: Caller, made: Made, action: str, options: dict[str, object], status: int
) -> None:
    found = draft(api, made, action, filters={})
    assert api.post(f"operations/{found['id']}/confirm/", options).status == status
    assert Operation.objects.get().state == ("working" if status == 202 else "draft")


def test_the_rest_can_be_stopped(api: Caller, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CHUNK", 2)
    found = draft(api, made, "done", filters={"tag": ["fit"]})
    api.post(f"operations/{found['id']}/confirm/", {})
    operation = Operation.objects.get()
    operations._take_chunk(operation.pk)
    assert api.post(f"operations/{found['id']}/stop/").body["state"] == "stopped"
    carry_out(found["id"])
    assert api.get(f"operations/{found['id']}/").body["changed"] == 2


def test_a_draft_expires(api: Caller, made: Made) -> None:
    found = draft(api, made, filters={})
    Operation.objects.update(created_at=timezone.now() - operations.DRAFT_LIFE - timedelta(seconds=1))
    assert api.get(f"operations/{found['id']}/").body["state"] == "expired"
    late = api.post(f"operations/{found['id']}/confirm/", {})
    assert (late.status, late.code) == (409, "draft-expired")


def test_a_large_selection_is_collected_first(api: Caller, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(collecting, "BATCH", 5)
    found = draft(api, made, filters={"status": ["F", "D"]})
    assert (found["state"], found["jobs"], found["plan"]) == ("collecting", 0, None)
    early = api.post(f"operations/{found['id']}/confirm/", {})
    assert (early.status, early.code) == (409, "still-collecting")
    assert [row["state"] for row in api.get("operations/?state=collecting").body["results"]] == ["collecting"]
    while collecting.collect(Operation.objects.get().pk):
        pass
    told = api.get(f"operations/{found['id']}/").body
    assert (told["state"], told["jobs"]) == ("draft", 7)
    assert [(group["what"], group["jobs"]) for group in told["plan"]["groups"]] == [("skipped", 3), ("retry", 4)]
    assert api.post(f"operations/{found['id']}/confirm/", {}).status == 202


def test_a_draft_is_its_makers_alone_and_progress_everybodys_who_sees_the_workflow(
    api: Caller, stranger: Caller, staff: Caller, made: Made
) -> None:
    found = draft(api, made, filters={})
    for caller in (stranger, staff):
        assert caller.get(f"operations/{found['id']}/").status == 404
        assert caller.get("operations/").body["results"] == []
    api.post(f"operations/{found['id']}/confirm/", {})
    assert stranger.get(f"operations/{found['id']}/").status == 404
    assert [row["id"] for row in staff.get("operations/").body["results"]] == [found["id"]]
    assert staff.post(f"operations/{found['id']}/stop/").status == 403
    assert staff.post(f"workflows/{made.workflow.pk}/operations/", {"action": "retry", "filters": {}}).status == 403
    assert stranger.post(f"workflows/{made.workflow.pk}/operations/", {"action": "done", "filters": {}}).status == 404


def test_operations_are_filtered(api: Caller, made: Made) -> None:
    for action in ("retry", "done", "done"):
        draft(api, made, action, filters={})
    assert len(api.get("operations/?action=done&state=draft").body["results"]) == 2
    assert api.get(f"operations/?workflow={made.workflow.pk + 1}").body["results"] == []


def test_what_was_done_is_told_to_who_may_see_it(api: Caller, stranger: Caller, staff: Caller, made: Made) -> None:
    path = f"workflows/{made.workflow.pk}"
    api.put(f"{path}/note/", {"note": "wait"})
    staff.put(f"{path}/note/", {"note": "no, go on"})
    told = api.get(f"{path}/activity/?action=set-note").body["results"]
    assert [(row["actor"], row["after"]) for row in told] == [
        ("root", {"note": "no, go on"}),
        ("alice", {"note": "wait"}),
    ]
    assert stranger.get(f"{path}/activity/").status == 404
    assert (api.get("audit/").status, staff.get("audit/").status) == (403, 403)
    admin = caller_for(make_user("ada", is_admin=True))
    assert [row["actor"] for row in admin.get("audit/?actor=alice").body["results"]] == ["alice"]
