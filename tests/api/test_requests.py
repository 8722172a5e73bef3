"""Bodies, filters, pages, drafts and logs: what is understood, and how the rest is refused."""

from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from tests.api.answers import check_problem
from tests.api.caller import GRAPH, Caller, graph
from tests.db.engine import drive, start
from tests.factories import Tag, make_workflow
from workflows.models import (
    ApiToken,
    Draft,
    DraftChunk,
    IdempotencyRecord,
    Job,
    JobEdge,
    JobInstance,
    SignInLink,
    Workflow,
    WorkflowRun,
)

pytestmark = pytest.mark.django_db


def test_who_am_i(api: Caller) -> None:
    body = api.get("").body
    assert (body["user"], body["default_executor"]) == ("alice", "dummy")
    assert "dummy" in body["executors"]
    assert body["url"] == "http://127.0.0.1"


def test_a_graph_is_stored_once_however_often_it_is_posted(api: Caller) -> None:
    first = api.post("workflows/", GRAPH)
    assert (first.status, first.body["created"], first.body["counts"]["G"]) == (201, True, 2)
    assert (first.body["edge_count"], first.body["latest_run"]) == (1, None)
    turned = {**GRAPH, "jobs": GRAPH["jobs"][::-1]}
    for body in (GRAPH, turned):
        again = api.post("workflows/", body)
        assert (again.status, again.body["created"], again.body["id"]) == (200, False, first.body["id"])
    assert Workflow.objects.count() == 1


def test_the_same_graph_of_somebody_else_is_not_shown(api: Caller, stranger: Caller) -> None:
    made = api.post("workflows/", GRAPH).body
    answer = stranger.post("workflows/", GRAPH)
    assert (answer.status, answer.code) == (409, "workflow-in-use")
    assert str(made["id"]) not in answer.body["detail"]
    assert "alice" not in str(answer.body)


def test_a_run_from_start_to_end(api: Caller) -> None:
    workflow = api.post("workflows/", GRAPH).body["id"]
    run = api.post(f"workflows/{workflow}/runs/", {"hostname": "login1", "pid": 4711})
    assert (run.status, run.body["status"], run.body["hostname"]) == (201, "R", "login1")
    again = api.post(f"workflows/{workflow}/runs/")
    assert (again.status, again.code, again.body["run_id"]) == (409, "workflow-running", run.body["id"])
    assert drive(WorkflowRun.objects.get()) == "D"
    shown = api.get(f"workflow-runs/{run.body['id']}/").body
    assert (shown["status"], shown["counts"]["D"]) == ("D", 2)
    over = api.post(f"workflows/{workflow}/runs/", {})
    assert (over.status, over.code) == (409, "workflow-already-complete")
    stop = api.post(f"workflow-runs/{run.body['id']}/stop/", {"mode": "kill"})
    assert (stop.status, stop.code) == (409, "run-over")


def test_stopping_again_is_the_same_stop(api: Caller) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    run = api.post(f"workflows/{workflow}/runs/").body["id"]
    for mode, expected in (("drain", "drain"), ("drain", "drain"), ("kill", "kill"), ("drain", "kill")):
        answer = api.post(f"workflow-runs/{run}/stop/", {"mode": mode})
        assert (answer.status, answer.body["stopping"]) == (202, expected)


def test_nothing_new_is_204(api: Caller) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    run = api.post(f"workflows/{workflow}/runs/").body
    path = f"workflow-runs/{run['id']}/"
    assert api.get(f"{path}?v={run['change_no']}").status == 204
    for known in ("0", "", str(run["change_no"] + 1)):
        assert api.get(f"{path}?v={known}").status == 200
    assert api.get(f"{path}?v=x").status == 400
    drive(WorkflowRun.objects.get())
    assert api.get(f"{path}?v={run['change_no']}").status == 200


def test_failed_attempts_are_listed_with_their_last_lines(api: Caller) -> None:
    body = {"workflow_args": "e", "jobs": [{"name": "a", "command": "exit=3 said=oops", "max_attempts": 2, "tag": "x"}]}
    workflow = Workflow.objects.get(pk=api.post("workflows/", body).body["id"])
    assert drive(start(workflow)) == "E"
    rows = api.get(f"workflows/{workflow.pk}/errors/").body["results"]
    assert [(row["job_name"], row["exit_code"], row["job_status"], row["stderr_tail"]) for row in rows] == [
        ("a", 3, "F", "oops")
    ] * 2
    assert rows[0]["job_instance_id"] > rows[1]["job_instance_id"]
    job = api.get(f"jobs/{rows[0]['job_id']}/").body
    assert [attempt["reason"] for attempt in job["instances"]] == ["exit", "exit"]
    assert api.get(f"job-instances/{rows[0]['job_instance_id']}/").body["error"].endswith("oops")


BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"\xff\xfe",
    b"{}{}",
    b'{"workflow_args": "a"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
]
POSTS = ["workflows/", "drafts/", "workflows/{workflow}/runs/", "workflow-runs/{run}/stop/"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_a_bad_body_is_400_and_changes_nothing(api: Caller, path: str, body: bytes) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    ids = {"workflow": workflow, "run": 0}
    if "stop" in path:
        ids["run"] = api.post(f"workflows/{workflow}/runs/").body["id"]
    answer = api.post(path.format(**ids), body)
    if (path, body) in (("drafts/", b'{"workflow_args": "a"}'), (POSTS[2], b"")):
        assert answer.status == 201
    else:
        assert answer.status == 400
        assert answer.code in ("invalid-graph", "invalid-request")
        assert Workflow.objects.count() == 1
        assert not Draft.objects.exists()
        assert not WorkflowRun.objects.exclude(stopping="").exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"resume": "warm"}, "resume"),
        ({"resum": "hot"}, "resum"),
        ({"resume": "\ud800"}, "resume"),
        ({"executor": "pbs"}, "executor"),
        ({"stdout": "relative"}, "stdout"),
        ({"stderr": "/a\nb"}, "stderr"),
        ({"working_dir": "../x"}, "working_dir"),
        ({"home": "x" * 2000}, "home"),
        ({"project": "-P x"}, "project"),
        ({"project": "a b"}, "project"),
        ({"max_concurrently_running": 0}, "max_concurrently_running"),
        ({"max_concurrently_running": 2**31}, "max_concurrently_running"),
        ({"max_concurrently_running": "many"}, "max_concurrently_running"),
        ({"pid": -1}, "pid"),
        ({"pid": 2**40}, "pid"),
        ({"hostname": "x" * 256}, "hostname"),
        ({"hostname": "a\0b"}, "hostname"),
    ],
)
def test_options_of_a_run_are_checked(api: Caller, body: dict[str, object], field: str) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    answer = api.post(f"workflows/{workflow}/runs/", body)
    assert answer.status == 400
    assert field in [error["path"] for error in answer.body["errors"]]
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("mode", ["", "stop", None, 5, ["kill"], {"kill": 1}, "\ud800"])
def test_a_stop_names_its_mode(api: Caller, mode: object) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    run = api.post(f"workflows/{workflow}/runs/").body["id"]
    assert api.post(f"workflow-runs/{run}/stop/", {"mode": mode}).status == 400


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""],
)
def test_other_kinds_of_body_are_415(api: Caller, kind: str) -> None:
    for path in ("workflows/", "drafts/"):
        answer = api.post(path, b'{"workflow_args": "a"}', content_type=kind)
        assert answer.status in (400, 415), kind
    assert not Workflow.objects.exists()


def test_only_json_can_be_had(api: Caller) -> None:
    assert api.get("workflows/", Accept="text/html").status == 406
    assert api.get("workflows/", Accept="*/*").status == 200


def test_packed_bodies(api: Caller) -> None:
    assert api.post_gzip("workflows/", GRAPH).status == 201
    draft = api.post_gzip("drafts/", {"workflow_args": "d"}).body["id"]
    call = api.put(f"drafts/{draft}/chunks/0/", gzip.compress(b'{"jobs":[]}'), **{"Content-Encoding": "gzip"})
    assert call.status == 204


PACKED = gzip.compress(b'{"workflow_args": "a", "jobs": [{"name": "a", "command": "x"}]}', mtime=0)


@pytest.mark.parametrize(
    "body",
    [PACKED[:-9], PACKED[:10], PACKED[:3], b"", b"x" * 50, zlib.compress(b"{}"), PACKED[:20] + b"x" + PACKED[21:]],
)
def test_a_broken_packed_body_is_400(api: Caller, body: bytes) -> None:
    answer = api.post_gzip("workflows/", body)
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert not Workflow.objects.exists()


def test_a_gzip_bomb_is_413(api: Caller, settings: LazySettings) -> None:
    settings.MAX_BODY_BYTES = 1024 * 1024
    answer = api.post_gzip("workflows/", gzip.compress(b" " * (64 * 1024 * 1024)))
    assert (answer.status, answer.code) == (413, "too-large")


def test_a_large_body_is_413(api: Caller, settings: LazySettings) -> None:
    settings.MAX_BODY_BYTES = 1000
    assert api.post("workflows/", b" " * 1001).status == 413
    assert api.post("workflows/", graph("a")).status == 201


def test_an_unknown_encoding_is_refused(api: Caller) -> None:
    assert api.post("workflows/", b"x", **{"Content-Encoding": "br"}).status in (400, 415)


# From another site


FOREIGN = [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
           {"Origin": "http://127.0.0.1:9999"}, {"Origin": "https://127.0.0.1"}]  # fmt: skip


@pytest.fixture
def browser(owner: User) -> Caller:
    """Signed in by a cookie, as a page is."""
    caller = Caller()
    caller.client.force_login(owner)
    return caller


def csrf(browser: Caller) -> dict[str, str]:
    browser.client.get("/account/")
    name = next(name for name in browser.client.cookies if "csrf" in name)
    return {"X-CSRFToken": browser.client.cookies[name].value}


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_sites_page_gets_nothing(browser: Caller, headers: dict[str, str]) -> None:
    token = csrf(browser)
    for method, path, body in (("GET", "workflows/", None), ("POST", "workflows/", GRAPH), ("GET", "", None)):
        answer = browser.call(method, path, body, **headers, **token)
        assert (answer.status, answer.code) == (403, "not-allowed"), (method, path)
    assert not Workflow.objects.exists()


def test_our_own_page_may_read_and_with_its_csrf_token_write(browser: Caller) -> None:
    own = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert browser.get("workflows/", **own).status == 200
    assert browser.post("workflows/", GRAPH, **own).status == 403
    assert browser.post("workflows/", GRAPH, **own, **{"X-CSRFToken": "x" * 32}).status == 403
    assert browser.post("workflows/", GRAPH, **own, **csrf(browser)).status == 201


def test_a_script_needs_no_csrf_token(api: Caller) -> None:
    assert api.post("workflows/", GRAPH, Origin="http://elsewhere.example").status == 201


# Problems everywhere


@pytest.mark.parametrize("path", ["/api/", "/api/v1/nothing/", "/api/v2/", "/api/v1/workflows/x/", "/api/v1/jobs/-1/", "/api/v1/drafts/1/commit/",
                                  "/api/v1/job-instances/1/log/etc/", "/api/v1/job-instances/1/log/stdout/x"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_address_is_a_problem_too(api: Caller, nobody: Caller, method: str, path: str) -> None:
    for caller in (api, nobody):
        answer = caller.call(method, path)
        assert (answer.status, answer.code) == (404, "not-found")


def test_a_missing_slash_loses_no_body(api: Caller) -> None:
    """A redirect would turn the POST into a GET without a word."""
    response = api.client.post(
        "/api/v1/workflows", GRAPH, "application/json", headers={"Authorization": f"Bearer {api.token}"}
    )
    assert response.status_code == 404
    check_problem(response)


def test_a_foreign_host_is_a_problem(api: Caller) -> None:
    response = api.client.get("/api/v1/", headers={"Host": "evil.example", "Authorization": f"Bearer {api.token}"})
    assert response.status_code == 400
    check_problem(response)


# Lists


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("workflows/?colour=red", "colour"),
        ("workflows/?status=Z", "status"),
        ("workflows/{workflow}/jobs/?nmae=a", "nmae"),
        ("workflows/{workflow}/jobs/?status=X", "status"),
        ("workflows/{workflow}/jobs/?sort=colour", "sort"),
        ("workflows/{workflow}/errors/?x=1", "x"),
        ("workflows/{workflow}/runs/?x=1", "x"),
        ("workflows/{workflow}/job-instances/?stauts=E", "stauts"),
        ("workflows/{workflow}/error-groups/?state=lost", "state"),
        ("workflows/{workflow}/activity/?who=bob", "who"),
        ("operations/?state=lost", "state"),
        ("workflows/?attr.=x", "attr."),
        ('workflows/?attr.a"b=x', 'attr.a"b'),
        ("workflows/{workflow}/runs/?attr.a=x", "attr.a"),
    ],
)
def test_an_unknown_filter_is_400(api: Caller, path: str, name: str) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    answer = api.get(path.format(workflow=workflow))
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert [error["path"] for error in answer.body["errors"]] == [name]


@pytest.mark.parametrize(
    "query",
    [
        "per_page=0",
        "per_page=1001",
        "per_page=x",
        "per_page=-5",
        "per_page=9999999999",
        "after=x",
        "after=bnVsbA",
        "after=%00",
    ],
)
def test_a_page_that_cannot_be_is_400(api: Caller, query: str) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    for path in (
        "workflows/",
        f"workflows/{workflow}/jobs/",
        f"workflows/{workflow}/errors/",
        f"workflows/{workflow}/runs/",
    ):
        assert api.get(f"{path}?{query}").status == 400, path


@pytest.mark.parametrize("per_page", [1000, 100, 37, 249, 250])
def test_pages_lead_through_all_jobs(api: Caller, owner: User, per_page: int) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 120, "F": 5, "G": 125})])
    seen: list[int] = []
    url = f"/api/v1/workflows/{made.workflow.pk}/jobs/?per_page={per_page}"
    pages = 0
    while url:
        page = api.get(url.removeprefix("http://127.0.0.1")).body
        seen += [row["job_id"] for row in page["results"]]
        url, pages = page["next"], pages + 1
    assert sorted(seen) == sorted(Job.objects.values_list("pk", flat=True))
    assert len(set(seen)) == 250
    assert pages == -(-250 // per_page)


def test_a_filter_stays_on_the_next_page(api: Caller, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 20, "F": 20})])
    page = api.get(f"workflows/{made.workflow.pk}/jobs/?status=F&status=E&per_page=15").body
    more = api.get(page["next"].removeprefix("http://127.0.0.1")).body
    rows = page["results"] + more["results"]
    assert (len(rows), {row["status"] for row in rows}, more["next"]) == (20, {"F"}, None)


def test_workflows_newest_first(api: Caller) -> None:
    made = [api.post("workflows/", graph("a", args=str(number))).body["id"] for number in range(5)]
    page = api.get("workflows/?per_page=2").body
    assert [row["id"] for row in page["results"]] == [made[4], made[3]]
    assert api.get("workflows/?status=C").body["results"]
    assert api.get("workflows/?status=R").body["results"] == []


def test_runs_tell_how_often_by_whom_and_when(api: Caller) -> None:
    body = {"workflow_args": "a", "jobs": [{"name": "a", "command": "exit=1", "max_attempts": 1}]}
    workflow = Workflow.objects.get(pk=api.post("workflows/", body).body["id"])
    for _ in range(2):
        drive(start(workflow))
    runs = api.get(f"workflows/{workflow.pk}/runs/?status=E&since=1h").body["results"]
    assert [(run["user"], run["status"]) for run in runs] == [("alice", "E")] * 2
    assert runs[0]["created_date"] >= runs[1]["ended_at"] > runs[1]["created_date"]
    attempts = api.get(f"workflows/{workflow.pk}/job-instances/?run={runs[1]['id']}").body["results"]
    assert [(row["workflow_run_id"], row["status"], row["exit_code"]) for row in attempts] == [(runs[1]["id"], "E", 1)]
    assert "Exit code 1" in attempts[0]["evidence"]


@pytest.mark.parametrize(
    ("query", "count"),
    [("user=alice", 2), ("user=bob", 0), ("name=N", 1), ("name=n", 0), ("workflow_args=1", 1), ("workflow_args=1&workflow_args=2", 2),
     ("workflow_args=1&name=N", 0), ("name=", 2)],
)  # fmt: skip
def test_workflows_are_found_by_what_they_are(api: Caller, query: str, count: int) -> None:
    api.post("workflows/", graph("a", args="1"))
    api.post("workflows/", graph("a", args="2", name="N"))
    assert len(api.get(f"workflows/?{query}").body["results"]) == count


def test_a_job_is_found_by_its_name(api: Caller) -> None:
    workflow = api.post("workflows/", graph("a", "ab")).body["id"]
    assert [row["name"] for row in api.get(f"workflows/{workflow}/jobs/?name=a").body["results"]] == ["a"]


# Drafts


def draft_of(api: Caller, count: int | None = None, **header: object) -> str:
    body = {"workflow_args": "draft", **header, **({} if count is None else {"job_count": count})}
    return str(api.post("drafts/", body).body["id"])


CHAIN = [{"name": f"j{n}", "command": f"ok {n}", "upstreams": [n - 1] if n else []} for n in range(40)]


def put(api: Caller, draft: str, number: int, size: int = 10) -> int:
    return api.put(f"drafts/{draft}/chunks/{number}/", {"jobs": CHAIN[number * size : (number + 1) * size]}).status


def test_chunks_in_any_order_each_repeated(api: Caller) -> None:
    whole = api.post("workflows/", {"workflow_args": "draft", "jobs": CHAIN}).body
    for seed in range(3):
        draft = draft_of(api, 40)
        order = [0, 1, 2, 3, 1, 3, 3]
        random.Random(seed).shuffle(order)
        assert {put(api, draft, number) for number in order} == {204}
        answer = api.post(f"drafts/{draft}/commit/")
        assert (answer.status, answer.body["id"], answer.body["dag_hash"]) == (200, whole["id"], whole["dag_hash"])
    assert JobEdge.objects.count() == 39


def test_a_repeated_chunk_replaces_the_one_before(api: Caller) -> None:
    draft = draft_of(api)
    api.put(f"drafts/{draft}/chunks/0/", {"jobs": [{"name": "old", "command": "old"}]})
    api.put(f"drafts/{draft}/chunks/0/", {"jobs": [{"name": "new", "command": "new"}]})
    api.post(f"drafts/{draft}/commit/")
    assert list(Job.objects.values_list("name", flat=True)) == ["new"]


def test_a_second_commit_answers_the_same_workflow(api: Caller) -> None:
    draft = draft_of(api)
    put(api, draft, 0)
    first = api.post(f"drafts/{draft}/commit/")
    second = api.post(f"drafts/{draft}/commit/")
    assert (first.status, second.status, second.body["id"]) == (201, 200, first.body["id"])
    assert not DraftChunk.objects.exists()
    late = api.put(f"drafts/{draft}/chunks/1/", {"jobs": []})
    assert (late.status, late.code) == (409, "draft-committed")


@pytest.mark.parametrize(
    ("numbers", "count", "code", "words"),
    [
        ([0, 2], None, "missing-chunk", "Chunk 1"),
        ([1], None, "missing-chunk", "Chunk 0"),
        ([0], 40, "missing-jobs", "40 jobs were announced, 10 have arrived"),
        ([0, 1], 5, "missing-jobs", "5 jobs were announced, 20 have arrived"),
        ([], None, "missing-jobs", "at least one"),
        ([], 0, "missing-jobs", "at least one"),
        ([1, 2, 3], 30, "missing-chunk", "Chunk 0"),
    ],
)
def test_an_incomplete_draft_is_not_committed(
    api: Caller, numbers: list[int], count: int | None, code: str, words: str
) -> None:
    draft = draft_of(api, count)
    for number in numbers:
        put(api, draft, number)
    answer = api.post(f"drafts/{draft}/commit/")
    assert (answer.status, answer.body["errors"][0]["code"]) == (400, code)
    assert words in answer.body["errors"][0]["detail"]
    assert not Workflow.objects.exists()
    for number in range(4):
        put(api, draft, number)
    retried = api.post(f"drafts/{draft}/commit/")
    assert retried.status == (201 if count in (None, 40) else 400)


@pytest.mark.parametrize("header", [{"job_count": -1}, {"job_count": "5"}, {"job_count": True}, {"job_count": 1.5}, {"jobs": []}, {"workflow_args": ""},
                                    {"executor": "pbs"}, {"colour": 1}, {"stdout": "x"}])  # fmt: skip
def test_a_draft_with_a_wrong_header_is_refused(api: Caller, header: dict[str, object]) -> None:
    assert api.post("drafts/", {"workflow_args": "d", **header}).status == 400
    assert not Draft.objects.exists()


def test_a_chunk_holds_jobs_and_nothing_else(api: Caller) -> None:
    draft = draft_of(api)
    for body in ({}, {"jobs": 5}, {"jobs": [5]}, {"jobs": [{"name": "a"}]}, {"jobs": [], "name": "x"}, [], b"", b"{"):
        assert api.put(f"drafts/{draft}/chunks/0/", body).status == 400, body
    assert api.put(f"drafts/{draft}/chunks/10000/", {"jobs": []}).status == 400
    assert not DraftChunk.objects.exists()


def test_errors_in_chunks_are_named_by_their_place_in_the_whole(api: Caller) -> None:
    draft = draft_of(api)
    put(api, draft, 0)
    api.put(f"drafts/{draft}/chunks/1/", {"jobs": [{"name": "k", "command": "k", "upstreams": ["nobody"]}]})
    (error,) = api.post(f"drafts/{draft}/commit/").body["errors"]
    assert (error["code"], error["path"], error["job"]) == ("unknown-upstream", "jobs[10].upstreams[0]", "k")


# Idempotency keys


@pytest.mark.django_db(transaction=True)
def test_a_request_with_a_key_acts_once(api: Caller) -> None:
    workflow = api.post("workflows/", graph("a")).body["id"]
    key = {"Idempotency-Key": "one"}
    first = api.post(f"workflows/{workflow}/runs/", {}, **key)
    second = api.post(f"workflows/{workflow}/runs/", {}, **key)
    assert (first.status, second.status, second.body["id"]) == (201, 201, first.body["id"])
    assert second.headers["Idempotent-Replay"] == "true"
    other = api.post(f"workflows/{workflow}/runs/", {"resume": "hot"}, **key)
    assert (other.status, other.code) == (409, "idempotency-key-reused")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "body"), [("tokens/", {"name": "x"}), ("login-links/", None)])
def test_secrets_are_made_once_and_not_kept_for_repetition(api: Caller, path: str, body: object) -> None:
    key = {"Idempotency-Key": "secret"}
    first = api.post(path, body, **key)
    secret = first.body["token"] if path == "tokens/" else first.body["url"].partition("code=")[2]
    made = (ApiToken.objects.count(), SignInLink.objects.count())
    again = api.post(path, body, **key)
    assert (first.status, again.status, again.code) == (201, 409, "answer-not-kept")
    assert (ApiToken.objects.count(), SignInLink.objects.count()) == made
    assert secret not in str(IdempotencyRecord.objects.get().answer)


# Logs


@pytest.fixture
def log(api: Caller, tmp_path: Path) -> str:
    """The address of a log of 100,000 bytes."""
    body = {"workflow_args": "log", "stdout": str(tmp_path), "jobs": [{"name": "a", "command": "ok"}]}
    workflow = Workflow.objects.get(pk=api.post("workflows/", body).body["id"])
    drive(start(workflow))
    attempt = JobInstance.objects.get()
    Path(attempt.stdout_path).write_bytes(bytes(range(33, 83)) * 2000)
    return f"job-instances/{attempt.pk}/log/stdout/"


CONTENT = bytes(range(33, 83)) * 2000


@pytest.mark.parametrize(
    ("query", "start_at", "end_at"),
    [
        ("", 100_000 - 65_536, 100_000),
        ("?offset=0", 0, 65_536),
        ("?offset=10&limit=5", 10, 15),
        ("?offset=99990&limit=50", 99_990, 100_000),
        ("?offset=100000", 100_000, 100_000),
        ("?offset=999999999", 100_000, 100_000),
        ("?limit=10", 99_990, 100_000),
        ("?offset=0&limit=99999999999", 0, 100_000),
        ("?offset=&limit=", 100_000 - 65_536, 100_000),
    ],
)
def test_pieces_of_a_log(api: Caller, log: str, query: str, start_at: int, end_at: int) -> None:
    answer = api.get(log + query)
    assert answer.status == 200
    assert answer.content == CONTENT[start_at:end_at]
    assert (answer.headers["X-Log-Offset"], answer.headers["X-Log-Size"]) == (str(start_at), "100000")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "query", ["?offset=-1", "?offset=x", "?limit=1e3", "?limit=-5", f"?offset={10**16}", "?offset=%C2%B2"]
)
def test_a_range_that_is_no_range_is_400(api: Caller, log: str, query: str) -> None:
    assert api.get(log + query).status == 400


def test_a_log_that_is_not_there_is_404(api: Caller, log: str) -> None:
    answer = api.get(log.replace("stdout", "stderr"))
    assert answer.status == 404
    assert answer.code.startswith("log-")


def test_only_the_owner_reads_a_log(stranger: Caller, staff: Caller, log: str) -> None:
    assert stranger.get(log).status == 404
    assert staff.get(log).status == 200
