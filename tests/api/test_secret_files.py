"""Variables whose values are in files: stored, hashed and shown as a path; what is given is taken again."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.api.caller import Caller
from tests.db.engine import drive
from workflows.models import Job, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db
FILE = {"DB_PASSWORD": {"file": "/home/alice/.pg pass"}}
COMMAND = "#JOBMON DB_PASSWORD from file /home/alice/.pg pass\nok fit"


def graph(command: str = "ok fit", **variables: Any) -> dict[str, Any]:
    jobs = [{"name": "fit", "command": command, "env_variables": variables}, {"name": "plain", "command": "ok plain"}]
    return {"workflow_args": "a", "jobs": jobs}


def test_what_a_job_answers_is_what_a_submission_takes(api: Caller) -> None:
    made = api.post("workflows/", graph(**FILE))
    assert (made.status, made.body["created"]) == (201, True)
    fit, plain = api.get(f"workflows/{made.body['id']}/jobs/?sort=name").body["results"]
    assert (fit["command"], fit["env_variables"]) == (COMMAND, FILE)
    assert (plain["command"], plain["env_variables"]) == ("ok plain", {})
    assert Job.objects.get(name="fit").command == COMMAND
    again = [{key: one[key] for key in ("name", "command", "env_variables")} for one in (fit, plain)]
    for jobs in (again, [{key: one[key] for key in ("name", "command")} for one in (fit, plain)]):
        answer = api.post("workflows/", {"workflow_args": "a", "jobs": jobs})
        assert (answer.status, answer.body["id"]) == (200, made.body["id"])


def test_another_file_is_another_command_and_the_same_one_is_resumed(api: Caller) -> None:
    workflow = api.post("workflows/", graph(**FILE)).body["id"]
    api.post(f"workflows/{workflow}/runs/", {})
    assert drive(WorkflowRun.objects.get()) == "D"
    assert api.post("workflows/?dry_run=1", graph(**FILE)).body["outcome"] == "complete"
    other = graph(DB_PASSWORD={"file": "/other"})
    assert api.post("workflows/?dry_run=1", other).body["outcome"] == "new"
    assert api.post("workflows/", other).status == 201
    assert Workflow.objects.count() == 2


def test_pieces_of_a_draft_take_them(api: Caller) -> None:
    draft = api.post("drafts/", {"workflow_args": "a", "job_count": 2}).body["id"]
    body = json.dumps({"jobs": graph(**FILE)["jobs"]}).encode()
    api.put(f"drafts/{draft}/chunks/0/", gzip.compress(body), **{"Content-Encoding": "gzip"})
    made = api.post(f"drafts/{draft}/commit/")
    assert made.status == 201
    assert Job.objects.get(name="fit").command == COMMAND
    assert api.post("workflows/", graph(**FILE)).body["id"] == made.body["id"]


@pytest.mark.parametrize(
    "value",
    [{"file": "x"}, {"file": "/a\nb"}, {"file": "/a\0b"}, {"file": "/" + "x" * 4096}, {"file": "/x", "mode": 600}, {}, 3, None],
    ids=["relative", "newline", "nul", "long", "keys", "empty", "number", "null"],
)  # fmt: skip
def test_other_forms_are_refused_with_job_and_variable(api: Caller, value: object) -> None:
    answer = api.post("workflows/", graph(DB_PASSWORD=value))
    assert (answer.status, answer.code) == (400, "invalid-graph")
    (error,) = answer.body["errors"]
    assert (error["code"], error["job"]) == ("invalid-env-variables", "fit")
    assert "DB_PASSWORD" in error["detail"]
    assert not Job.objects.exists()


def test_pages_and_exports_show_the_path(api: Caller, owner: User) -> None:
    """The path is no secret, whatever the variable is called; a value beside it is masked as ever."""
    workflow = api.post("workflows/", graph(API_KEY="hunter2", **FILE)).body["id"]
    job = Job.objects.get(name="fit")
    browser = Client()
    browser.force_login(owner)
    page = browser.get(f"/jobs/{job.pk}/").content.decode()
    assert "<dt>DB_PASSWORD</dt><dd>from file <code>/home/alice/.pg pass</code></dd>" in page
    assert "export API_KEY=****; ok fit" in page
    assert "<dt>" not in page.partition("export API_KEY=****; ok fit")[0].rpartition("<pre")[2]
    jobs = f"/workflows/{workflow}/jobs/"
    assert "<code>export API_KEY=****; ok fit</code>" in browser.get(f"{jobs}?cols=command").content.decode()
    lines = b"".join(browser.get(jobs, {"export": "jsonl"}).streaming_content).decode().splitlines()
    exported = [json.loads(line)["command"] for line in lines]
    assert "#JOBMON DB_PASSWORD from file /home/alice/.pg pass\nexport API_KEY=****; ok fit" in exported
    sheet = b"".join(browser.get(jobs, {"export": "csv"}).streaming_content).decode()
    assert "DB_PASSWORD from file /home/alice/.pg pass" in sheet
    for text in (page, *lines, sheet):
        assert "hunter2" not in text


def test_hostile_paths_are_text_on_pages(api: Caller, owner: User) -> None:
    api.post("workflows/", graph(X={"file": "/<script>alert(1)</script>"}))
    browser = Client()
    browser.force_login(owner)
    page = browser.get(f"/jobs/{Job.objects.get(name='fit').pk}/").content.decode()
    assert "/&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
