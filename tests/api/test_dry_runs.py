"""`dry_run=1`: what a call would do, told by the planner that acts; nothing is stored, and no call takes it for an act."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.api.answers import description
from tests.api.caller import GRAPH, Answer, Caller, caller_for
from tests.db.engine import drive, job, make_actor, start, submit
from workflows import lifecycle
from workflows.models import AuditEntry, Draft, Job, TaskDag, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db
JOBS: list[dict[str, Any]] = [
    {"name": "a", "command": "ok a", "tag": "x"},
    {"name": "b", "command": "exit=1 until=4", "tag": "y", "upstreams": ["a"]},
    {"name": "c", "command": "ok c", "tag": "y", "upstreams": ["b"]},
]
BODY = {"workflow_args": "dry", "executor": "dummy", "jobs": JOBS}


def ask(api: Caller, body: Any = BODY) -> Answer:
    return api.post("workflows/?dry_run=1", body)


def groups(answer: Answer) -> set[tuple[str, str, int]]:
    return {(group["tag"], group["what"], group["jobs"]) for group in answer.body["groups"]}


def count_all() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Workflow, TaskDag, Job, Draft, AuditEntry, WorkflowRun))


def test_a_new_graph_is_told_and_not_stored(api: Caller) -> None:
    answer = ask(api)
    assert (answer.status, answer.body["outcome"], answer.body["workflow_id"]) == (200, "new", None)
    assert answer.body["sentence"] == "A new workflow of 3 jobs with 2 edges."
    assert groups(answer) == {("x", "first try", 1), ("y", "first try", 2)}
    assert count_all() == (0,) * 6
    assert api.post("workflows/", BODY).status == 201


def test_a_known_graph_tells_what_is_kept_and_what_runs_again_and_why(api: Caller) -> None:
    number = api.post("workflows/", BODY).body["id"]
    drive(start(Workflow.objects.get(pk=number)))
    stored = count_all()
    answer = ask(api, {**BODY, "jobs": [JOBS[0], {**JOBS[1], "mem_free": 9}, JOBS[2]]})
    assert (answer.status, answer.body["outcome"], answer.body["workflow_id"]) == (200, "resumed", number)
    assert "1 job kept, 1 tried again, 1 not done yet" in answer.body["sentence"]
    assert groups(answer) == {("x", "kept", 1), ("y", "tried again", 1), ("y", "not done yet", 1)}
    assert {"failed; gets all its attempts anew"} < {group["reason"] for group in answer.body["groups"]}
    assert any(warning.startswith("1 job ") for warning in answer.body["warnings"])
    assert (count_all(), Job.objects.get(name="b").mem_free) == (stored, 2.0)


def test_a_complete_graph_is_said_to_be_complete(api: Caller) -> None:
    number = api.post("workflows/", {**GRAPH, "executor": "dummy"}).body["id"]
    drive(start(Workflow.objects.get(pk=number)))
    answer = ask(api, {**GRAPH, "executor": "dummy"})
    assert (answer.body["outcome"], answer.body["workflow_id"]) == ("complete", number)
    assert answer.body["sentence"] == f"Workflow {number} is known. All 2 jobs are done; there is nothing to run."


def test_what_a_submission_refuses_its_dry_run_refuses(api: Caller, stranger: Caller, settings: Any) -> None:
    assert ask(api, {**BODY, "jobs": [JOBS[0], JOBS[0]]}).code == "invalid-graph"
    assert ask(api, {**BODY, "group": "nobody's"}).code == "invalid-graph"
    settings.QUOTA_JOBS = 2
    assert ask(api).code == "too-many-jobs"
    settings.QUOTA_JOBS = 0
    assert api.post("workflows/", BODY).status == 201
    assert (ask(stranger).status, ask(stranger).code) == (409, "workflow-in-use")


def test_a_draft_tells_before_it_is_committed_and_after(api: Caller) -> None:
    draft = api.post("drafts/", {"workflow_args": "dry", "executor": "dummy", "job_count": 3}).body["id"]
    api.put(f"drafts/{draft}/chunks/0/", {"jobs": JOBS})
    before = api.post(f"drafts/{draft}/commit/?dry_run=1")
    assert (before.status, before.body["outcome"], Workflow.objects.count()) == (200, "new", 0)
    number = api.post(f"drafts/{draft}/commit/").body["id"]
    after = api.post(f"drafts/{draft}/commit/?dry_run=1")
    assert (after.body["outcome"], after.body["workflow_id"]) == ("resumed", number)


@pytest.fixture
def failed(owner: User) -> Workflow:
    """a is done, b has failed, c waits for it."""
    workflow = submit([job("a", tag="x"), job("b", "a", command="exit=1 until=4", tag="y"), job("c", "b", tag="y")])
    drive(start(workflow))
    return workflow


def ids_of(*names: str) -> list[int]:
    return [int(Job.objects.get(name=name).pk) for name in names]


def test_a_reset_and_new_requests_tell_how_many_and_why(api: Caller, failed: Workflow) -> None:
    stored = (count_all(), sorted(Job.objects.values_list("name", "status", "slots")))
    reset = api.post(f"workflows/{failed.pk}/reset/?dry_run=1", {"job_ids": ids_of("a", "b")})
    assert reset.body["sentence"].startswith("2 jobs (")
    asked = {"job_ids": ids_of("a", "b"), "slots": 4}
    requests = api.post(f"workflows/{failed.pk}/requests/?dry_run=1", asked)
    assert requests.body["sentence"].startswith("1 of 2 chosen jobs (named by id). 1 job skipped: it is done.")
    assert (count_all(), sorted(Job.objects.values_list("name", "status", "slots"))) == stored
    assert api.post(f"workflows/{failed.pk}/requests/", asked).body["changed"] == 1


def test_limits_tell_what_they_mean_for_what_is_live(api: Caller, owner: User) -> None:
    workflow = submit(
        [job(name, command=f"runs=100000 said={name}", tag="y") for name in "abc"] + [job("d", "a", tag="x")]
    )
    assert drive(start(workflow), passes=1) == "R"
    lifecycle.set_limits(workflow.pk, make_actor(), None, {"y": 3})
    before, address = count_all(), f"workflows/{workflow.pk}/limits/"
    answer = api.put(f"{address}?dry_run=1", {"max_concurrently_running": 10, "tag_limits": {"y": 2, "x": None}})
    assert answer.body["sentence"] == (
        "Workflow: 10 at once instead of no limit; x: no limit, as now; y: 2 at once instead of 3 at once."
    )
    assert groups(answer) == {("", "live", 3), ("x", "live", 0), ("y", "live", 3)}
    assert answer.body["warnings"] == ["More are live now in y: they go on; nothing more is submitted until fewer are."]
    assert (count_all(), Workflow.objects.get(pk=workflow.pk).max_concurrently_running) == (before, None)
    unknown = api.put(f"{address}?dry_run=1", {"tag_limits": {"z": 1}})
    assert (unknown.status, unknown.code) == (409, "unknown-tag")


def calls() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, call)
        for path, methods in description()["paths"].items()
        for method, call in methods.items()
        if method != "get" and "/v1/" in path
    ]


def has_dry_run(call: dict[str, Any]) -> bool:
    return "dry_run" in {parameter["name"] for parameter in call.get("parameters", ())}


@pytest.mark.parametrize("call", [c for c in calls() if not has_dry_run(c[2])], ids=lambda c: f"{c[0]} {c[1]}")
def test_a_call_without_a_dry_run_refuses_to_act_when_one_is_asked_for(owner: User, call: Any) -> None:
    method, path, described = call
    values = {p["name"]: "1" for p in described.get("parameters", ()) if p["in"] == "path"}
    values |= {name: str(uuid.uuid4()) for name in ("key", "draft_id")}
    answer = caller_for(owner).call(method.upper(), path.format_map({**values, "id": "1"}) + "?dry_run=1", {})
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert "no dry run; nothing was done" in answer.body["detail"]


def test_the_calls_that_change_much_have_a_dry_run() -> None:
    wanted = {"submit_workflow", "commit_draft", "start_run", "stop_run", "rerun_job", "mark_job_done", "reset_jobs"}
    assert {call["operationId"] for _, _, call in calls() if has_dry_run(call)} >= wanted | {
        "change_requests", "set_limits", "draft_operation",
    }  # fmt: skip
