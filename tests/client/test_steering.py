"""Looking before one leaps, holding, limiting, resuming a part, and what is somebody else's."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from jobmon import BashTask, Workflow
from jobmon.cli.single_keys import read_json, read_yaml
from jobmon.exceptions import NotSupported
from jobmon.problems import error_for
from jobmon.transport import Answer
from tests.client.fake_server import TOKEN
from tests.client.test_cli import JOBS, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from jobmon.api import Client
    from tests.client.fake_server import FakeServer

    Jobmon = Callable[..., Result]

PLAN = {
    "sentence": "A new workflow of 1 job with 0 edges.", "outcome": "new", "workflow_id": None, "dry_run": True,
    "groups": [{"tag": "fit", "what": "first try", "jobs": 1, "reason": "", "samples": ["fit_1", "fit_2"]}],
    "warnings": [], "digest": "d",
}  # fmt: skip


@pytest.fixture
def able(server: FakeServer) -> FakeServer:
    server.state.features = ["dry_run", "dry_run_everywhere"]
    server.extra["POST", "/api/v1/workflows/"] = PLAN
    return server


def write(home: Path, text: str, name: str = "wf.yaml") -> str:
    (home / name).write_text(text)
    return str(home / name)


def test_a_file_is_planned_and_not_stored(jobmon: Jobmon, able: FakeServer, home: Path) -> None:
    file = write(home, "workflow_args: a\njobs:\n  - {name: fit_1, command: fit}\n")
    lines = jobmon("run", file, "--dry-run").stdout.splitlines()
    assert lines[0] == PLAN["sentence"]
    assert lines[1].split() == ["tag", "what", "jobs", "samples"], "a column without a word is left out"
    assert lines[2].endswith("fit_1, fit_2")
    assert json.loads(jobmon("run", file, "--dry-run", "--json").stdout) == PLAN
    assert {tuple(one.query["dry_run"]) for one in able.requests("POST")} == {("1",)}
    assert not able.requests("POST", "runs/")


def test_a_script_asks_for_its_plan(client: Client, able: FakeServer) -> None:
    workflow = Workflow(workflow_args="a", client=client)
    workflow.add_task(BashTask("fit"))
    assert workflow.plan()["outcome"] == "new"
    assert workflow.workflow_id is None
    workflow.add_task(BashTask("more"))  # nothing is bound, so it can still grow


def test_a_large_graph_is_planned_as_a_draft(client: Client, able: FakeServer) -> None:
    able.extra["POST", "/api/v1/drafts/d0/commit/"] = PLAN
    workflow = Workflow(workflow_args="a", client=client)
    workflow.add_tasks(BashTask(f"echo {number}", name=f"e{number}") for number in range(10_001))
    assert workflow.plan()["sentence"] == PLAN["sentence"]
    [commit] = able.requests("POST", "commit/")
    assert commit.query == {"dry_run": ["1"]}
    assert not able.requests("POST", "v1/workflows/")


def test_a_server_that_would_store_it_is_not_asked(client: Client, server: FakeServer) -> None:
    server.state.features = ["dry_run"]
    workflow = Workflow(workflow_args="a", client=client)
    workflow.add_task(BashTask("fit"))
    with pytest.raises(NotSupported):
        workflow.plan()
    assert not server.requests("POST")


TWICE = {
    "yaml": ("workflow_args: a\njobs:\n  - name: x\n    command: one\n    command: two\n", "line 5, column 5"),
    "json": ('{"workflow_args": "a", "jobs": [{"name": "x", "command": "1", "command": "2"}]}', "'command' comes twice in one object (of 'x')"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TWICE)
def test_a_key_that_comes_twice_in_a_file_is_refused(jobmon: Jobmon, home: Path, kind: str) -> None:
    text, words = TWICE[kind]
    answer = jobmon("run", write(home, text, f"wf.{kind}"), "--check")
    assert (answer.exit_code, "'command' comes twice" in answer.stderr, words in answer.stderr) == (2, True, True)


def test_a_yaml_key_may_overrule_one_that_is_merged_in() -> None:
    text = "jobs:\n  - &first {slots: 1, name: a}\n  - {<<: *first, name: b}\n"
    assert read_yaml(io.StringIO(text))["jobs"][1] == {"slots": 1, "name": "b"}
    assert read_json(io.StringIO('{"a": {"name": 1}, "b": {"name": 2}}')) == {"a": {"name": 1}, "b": {"name": 2}}


def test_a_part_is_resumed(jobmon: Jobmon, server: FakeServer) -> None:
    server.state.submit({"workflow_args": "a", "jobs": JOBS})
    assert (
        jobmon("workflow", "resume", "1", "--tag", "io", "--tag", "fit", "--job", "2", "--error-group", "7").exit_code
        == 0
    )
    sent = server.requests("POST", "runs/")[-1].body
    assert (sent["tags"], sent["job_ids"], sent["error_group"]) == (["io", "fit"], [2], 7)
    assert {"home", "path"} < set(sent)


def shared(server: FakeServer) -> None:
    """Workflow 1 belongs to bob."""
    server.state.user = "bob"
    server.state.submit({"workflow_args": "a", "jobs": JOBS})
    server.state.user = "alice"


def test_somebody_elses_workflow_is_resumed_as_theirs(jobmon: Jobmon, server: FakeServer) -> None:
    shared(server)
    assert jobmon("workflow", "resume", "1").exit_code == 0
    assert set(server.requests("POST", "runs/")[-1].body) == {"resume", "hostname", "pid"}


def test_a_script_runs_somebody_elses_workflow_as_theirs(
    client: Client, server: FakeServer, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared(server)
    known = {**server.state.show_workflow(1), "created": False}
    server.extra["POST", "/api/v1/workflows/"] = known
    workflow = Workflow(workflow_args="a", stdout="~/mine", max_concurrently_running=3, client=client)
    workflow.add_task(BashTask("fit"))
    workflow.run(wait=False)
    sent = server.requests("POST", "runs/")[-1].body
    assert set(sent) == {"resume", "hostname", "pid", "max_concurrently_running"}
    assert "workflow 1 belongs to bob: it runs as theirs" in told()


def run(hold: str) -> dict[str, Any]:
    return {"id": 1, "workflow_id": 1, "hold_reason": hold, "page": "http://server/workflow-runs/1/"}


def test_a_run_is_held_and_released(jobmon: Jobmon, server: FakeServer) -> None:
    start(server, "hold")
    server.extra["POST", "/api/v1/workflow-runs/1/hold/"] = run("no data")
    server.extra["POST", "/api/v1/workflow-runs/1/release/"] = run("")
    held = jobmon("workflow", "hold", "1", "--reason", "no data", "--json")
    assert json.loads(held.stdout)["hold_reason"] == "no data"
    assert "run 1 of workflow 1 is held (no data)" in held.stderr
    assert "is not held" in jobmon("workflow", "release", "1").stderr
    assert [one.body for one in server.requests("POST", "hold/")] == [{"reason": "no data"}]


def test_limits_are_set_or_looked_at(jobmon: Jobmon, able: FakeServer) -> None:
    able.extra["PUT", "/api/v1/workflows/1/limits/"] = {
        "max_concurrently_running": None,
        "tag_limits": {"fit": 2, "a=b": 1},
    }
    words = ("workflow", "limit", "1", "--jobs", "none", "--tag", "fit=2", "--tag", "a=b=1")
    assert jobmon(*words).stdout.splitlines() == ["workflow: no limit", "fit: 2 at a time", "a=b: 1 at a time"]
    assert able.requests("PUT")[-1].body == {"max_concurrently_running": None, "tag_limits": {"fit": 2, "a=b": 1}}
    able.extra["PUT", "/api/v1/workflows/1/limits/"] = PLAN
    assert PLAN["sentence"] in jobmon(*words, "--dry-run").stdout
    assert able.requests("PUT")[-1].query == {"dry_run": ["1"]}


@pytest.mark.parametrize(
    "words", [[], ["--jobs", "0"], ["--jobs", "many"], ["--tag", "fit"], ["--tag", "fit=-1"], ["--tag", "=3"]]
)
def test_limits_that_are_none_are_wrong_usage(jobmon: Jobmon, server: FakeServer, words: list[str]) -> None:
    assert jobmon("workflow", "limit", "1", *words).exit_code == 2
    assert not server.requests("PUT")


def test_a_token_from_stdin_is_for_the_present_server(jobmon: Jobmon, server: FakeServer, home: Path) -> None:
    """Nobody can be asked: the first line is the token, and is never taken for the server's address."""
    answer = jobmon("configure", "--token-stdin", stdin=f"{TOKEN}\n")
    assert answer.exit_code == 0, answer.output
    assert TOKEN not in answer.output
    text = (home / ".jobmonrc").read_text()
    assert f"server = {server.url}\n" in text
    assert f"token = {TOKEN}\n" in text


@pytest.mark.parametrize(("status", "is_advised"), [(409, False), (403, False), (429, True)])
def test_what_the_server_has_explained_does_not_end_by_waiting(status: int, is_advised: bool) -> None:
    body = json.dumps({"code": "of-a-newer-server", "detail": "Nothing in this scope is left to run."}).encode()
    message = str(error_for(Answer(status, {}, body), "POST /api/v1/workflows/1/runs/"))
    assert message.startswith("Nothing in this scope is left to run (POST /api/v1/workflows/1/runs/).")
    assert ("Try again later" in message) is is_advised
