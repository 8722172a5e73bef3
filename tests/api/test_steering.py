"""Previews, steering, looking closer, long polls and chosen fields."""

from __future__ import annotations

import threading

import pytest
from django.test import Client

from tests.api.caller import Caller, graph
from tests.db.engine import drive, job, make_actor, start, submit
from workflows import lifecycle
from workflows.models import ErrorGroup, Job, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(owner: object) -> Workflow:
    """a done, b failed, c waits for b."""
    workflow = submit([job("a", tag="x"), job("b", "a", command="exit=1 until=4", tag="y"), job("c", "b", tag="y")])
    drive(start(workflow))
    return workflow


def id_of(name: str) -> int:
    return int(Job.objects.get(name=name).pk)


def test_a_preview_changes_nothing_and_agrees_with_the_act(api: Caller, failed: Workflow) -> None:
    before = Workflow.objects.get(pk=failed.pk).change_no
    plan = api.call("POST", f"workflows/{failed.pk}/runs/?dry_run=1", {})
    assert plan.status == 200 and plan.body["dry_run"] is True
    assert plan.body["sentence"] == "1 job kept, 1 tried again, 1 not done yet."
    assert Workflow.objects.get(pk=failed.pk).change_no == before
    run = api.call("POST", f"workflows/{failed.pk}/runs/", {})
    assert run.status == 201
    assert drive(WorkflowRun.objects.get(pk=run.body["id"])) == "D"


def test_only_some_tags_are_resumed(api: Caller, failed: Workflow) -> None:
    answer = api.call("POST", f"workflows/{failed.pk}/runs/", {"tags": ["x"]})
    assert (answer.status, answer.code) == (409, "nothing-to-do")
    assert api.call("POST", f"workflows/{failed.pk}/runs/", {"tags": ["y"]}).status == 201


def test_a_job_runs_again_in_a_run_of_its_own(api: Caller, failed: Workflow) -> None:
    preview = api.call("POST", f"jobs/{id_of('a')}/rerun/?dry_run=1", {"downstream": True})
    assert preview.status == 200 and "2 jobs behind it" in preview.body["sentence"]
    answer = api.call("POST", f"jobs/{id_of('a')}/rerun/", {"downstream": False})
    assert answer.status == 202
    drive(WorkflowRun.objects.get(pk=answer.body["run_id"]))
    assert Job.objects.get(name="a").instances.count() == 2
    assert Job.objects.get(name="b").status == "F"


def test_a_job_is_done_on_my_word_once(api: Caller, failed: Workflow) -> None:
    assert api.call("POST", f"jobs/{id_of('b')}/done/", {"note": "by hand"}).status == 202
    again = api.call("POST", f"jobs/{id_of('b')}/done/", {})
    assert (again.status, again.code) == (409, "not-changed")


def test_limits_and_requests_change(api: Caller, failed: Workflow) -> None:
    limits = {"max_concurrently_running": 7, "tag_limits": {"y": 2}}
    assert api.call("PUT", f"workflows/{failed.pk}/limits/", limits).body == limits
    assert failed.dag.groups.get(name="y").max_concurrently_running == 2
    answer = api.call("POST", f"workflows/{failed.pk}/requests/", {"job_ids": [id_of("a"), id_of("b")], "mem_free": 9})
    assert answer.body == {"changed": 1, "skipped": {str(id_of("a")): "it is done"}}
    assert Job.objects.get(name="b").mem_free == 9
    foreign = api.call("POST", f"workflows/{failed.pk}/requests/", {"job_ids": [999999], "mem_free": 9})
    assert (foreign.status, foreign.code) == (400, "unknown-job")


def test_hold_and_release(api: Caller) -> None:
    run = start(submit([job("a")]))
    held = api.call("POST", f"workflow-runs/{run.pk}/hold/", {"reason": "the disk is full"})
    assert held.body["hold_reason"] == "the disk is full"
    assert drive(run, 3) == "R"
    assert api.call("POST", f"workflow-runs/{run.pk}/release/", {}).body["hold_reason"] == ""
    assert drive(run) == "D"


def test_reset_and_note(api: Caller, failed: Workflow) -> None:
    assert api.call("POST", f"workflows/{failed.pk}/reset/", {"job_ids": [id_of("a")]}).body["changed"] == 1
    assert Job.objects.get(name="b").upstreams_left == 1
    assert api.call("PUT", f"workflows/{failed.pk}/note/", {"note": "see ticket"}).status == 200
    assert api.call("GET", f"workflows/{failed.pk}/").body["note"] == "see ticket"


def test_strangers_find_nothing_to_steer(stranger: Caller, failed: Workflow) -> None:
    calls = [
        ("POST", f"workflows/{failed.pk}/runs/?dry_run=1", {}),
        ("POST", f"jobs/{id_of('a')}/rerun/", {}),
        ("POST", f"jobs/{id_of('b')}/done/", {}),
        ("POST", f"workflows/{failed.pk}/reset/", {"job_ids": [id_of("a")]}),
        ("PUT", f"workflows/{failed.pk}/limits/", {}),
        ("PUT", f"workflows/{failed.pk}/note/", {"note": "x"}),
        ("PATCH", f"error-groups/{ErrorGroup.objects.get().pk}/", {"state": "fixed"}),
        ("GET", f"error-groups/{ErrorGroup.objects.get().pk}/", None),
        ("GET", f"jobs/{id_of('a')}/tree/", None),
        ("GET", f"workflows/{failed.pk}/graph/", None),
    ]
    for method, path, body in calls:
        assert stranger.call(method, path, body).status == 404, path


def test_why_tree_and_graph(api: Caller, failed: Workflow) -> None:
    assert "b" in api.call("GET", f"jobs/{id_of('c')}/why/").body["why"]
    tree = api.call("GET", f"jobs/{id_of('b')}/tree/?up=1&down=1").body
    assert [(node["name"], node["distance"]) for node in tree["nodes"]] == [("a", -1), ("b", 0), ("c", 1)]
    shape = api.call("GET", f"workflows/{failed.pk}/graph/").body
    assert [node["name"] for node in shape["nodes"]] == ["x", "y"]
    assert shape["edges"] == [{"upstream": "x", "downstream": "y", "job_count": 1}]
    assert api.call("GET", f"jobs/{id_of('b')}/tree/?up=9").status == 400


def test_error_groups_are_a_work_queue(api: Caller, failed: Workflow) -> None:
    (group,) = api.call("GET", f"workflows/{failed.pk}/error-groups/").body["results"]
    assert (group["attempts"], group["jobs_failed"], group["state"]) == (3, 1, "open")
    changed = api.call("PATCH", f"error-groups/{group['id']}/", {"state": "acknowledged", "note": "bad node"})
    assert (changed.body["state"], changed.body["note"]) == ("acknowledged", "bad node")
    assert api.call("PATCH", f"error-groups/{group['id']}/", {"state": "gone"}).status == 400


def test_only_chosen_fields_are_answered(api: Caller, failed: Workflow) -> None:
    client, headers = Client(HTTP_HOST="127.0.0.1"), {"Authorization": f"Bearer {api.token}"}
    listed = client.get(f"/api/v1/workflows/{failed.pk}/jobs/?fields=name,status", headers=headers).json()
    assert listed["results"][0] == {"name": "a", "status": "D"}
    assert client.get(f"/api/v1/workflows/{failed.pk}/?fields=id", headers=headers).json() == {"id": failed.pk}
    wrong = client.get(f"/api/v1/workflows/{failed.pk}/?fields=id,stauts", headers=headers)
    assert wrong.status_code == 400 and "stauts" in wrong.json()["detail"]


@pytest.mark.django_db(transaction=True)
def test_a_long_poll_ends_with_the_change(api: Caller) -> None:
    run = start(submit([job("a")]))
    known = Workflow.objects.get().change_no
    actor = make_actor()
    change = threading.Timer(0.3, lambda: lifecycle.set_note(run.workflow_id, "now", actor))
    change.start()
    answer = api.call("GET", f"workflow-runs/{run.pk}/?v={known}&wait=20")
    change.join()
    assert answer.status == 200 and answer.body["change_no"] > known
    assert api.call("GET", f"workflow-runs/{run.pk}/?v={answer.body['change_no']}&wait=0").status == 204


def test_executors_and_tokens(api: Caller) -> None:
    names = [row["name"] for row in api.call("GET", "executors/").body["results"]]
    assert "local" in names
    made = api.call("POST", "tokens/", {"name": "cron", "scope": "read", "days": 3})
    assert made.status == 201 and made.body["token"].startswith("jm_")
    reader = Caller(token=made.body["token"])
    assert reader.call("GET", "workflows/").status == 200
    assert reader.call("POST", "workflows/", graph("a")).status == 403
    assert reader.call("POST", "tokens/", {"name": "wider", "scope": "operate"}).status == 403
    assert api.call("DELETE", f"tokens/{made.body['prefix']}/").status == 204
    assert reader.call("GET", "workflows/").status == 401
    assert api.call("DELETE", f"tokens/{made.body['prefix']}/").status == 404
