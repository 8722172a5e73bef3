"""The `jobmon` command: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from jobmon.cli import cli
from jobmon.cli.root import exit_code_for
from jobmon.plain import clean, clean_log
from tests.client.fake_server import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from tests.client.fake_server import FakeServer

    Jobmon = Callable[..., Result]

JOBS = [
    {"name": "write", "command": "touch x", "tag": "io"},
    {"name": "copy", "command": "exit 3", "tag": "io", "upstreams": ["write"]},
    {"name": "fit", "command": "fit", "tag": "fit", "upstreams": ["copy"]},
]


@pytest.fixture
def failed(server: FakeServer) -> int:
    """A workflow whose second job has failed."""
    server.state.submit({"workflow_args": "a", "name": "first", "jobs": JOBS})
    server.state.start(1, {})
    while server.state.runs[1]["status"] == "R":
        server.state.advance(1)
    return 1


def start(server: FakeServer, command: str, args: str = "b") -> int:
    """A workflow of one job with a live run."""
    number = int(server.state.submit({"workflow_args": args, "jobs": [{"name": "one", "command": command}]})["id"])
    server.state.start(number, {})
    return number


def operation(state: str, **fields: Any) -> dict[str, Any]:
    plan = {"sentence": "20,000 of 20,000 chosen jobs (all jobs).", "warnings": []}
    return {
        "id": "6f9619ff", "workflow_id": 1, "user": "alice", "action": "kill", "said": "all jobs", "state": state,
        "jobs": 20_000, "changed": 0, "skipped": 0, "problem": "", "created_at": None, "ended_at": None, "page": "",
        "plan": None if state == "collecting" else plan, **fields,
    }  # fmt: skip


def test_a_large_selection_is_waited_for_and_then_confirmed(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    server.state.features = ["operations"]
    one = "/api/v1/operations/6f9619ff/"
    server.extra["POST", "/api/v1/workflows/1/operations/"] = operation("collecting", jobs=0)
    server.extra["GET", one] = operation("draft")
    server.extra["POST", f"{one}confirm/"] = operation("finished", changed=20_000)
    done = jobmon("operation", "start", "1", "kill", "--all", "--then", "fail", "--yes")
    assert done.exit_code == 0, done.output
    assert [(seen.method, seen.path) for seen in server.seen][-2:] == [("GET", one), ("POST", f"{one}confirm/")]
    assert "20000" in done.stdout


def test_what_could_not_be_collected_is_not_confirmed(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    server.state.features = ["operations"]
    server.extra["POST", "/api/v1/workflows/1/operations/"] = operation("collecting", jobs=0)
    server.extra["GET", "/api/v1/operations/6f9619ff/"] = operation("stopped")
    done = jobmon("operation", "start", "1", "kill", "--all", "--then", "fail", "--yes")
    assert done.exit_code == 1
    assert "the jobs were not collected: stopped" in done.stderr
    assert not [seen for seen in server.seen if seen.path.endswith("/confirm/")]


def test_list(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    start(server, "hold")
    lines = jobmon("workflow", "list").stdout.splitlines()
    assert lines[0].split() == ["id", "status", "name", "workflow_args", "user", "jobs", "changed"]
    assert [line.split()[:2] for line in lines[1:]] == [["2", "running"], ["1", "failed"]]
    assert [one["id"] for one in json.loads(jobmon("workflow", "list", "--status", "E", "--json").stdout)] == [1]
    assert json.loads(jobmon("workflow", "list", "--user", "bob", "--json").stdout) == []
    assert len(json.loads(jobmon("workflow", "list", "--mine", "--json").stdout)) == 2
    assert len(json.loads(jobmon("workflow", "list", "--limit", "1", "--json").stdout)) == 1


def test_show(jobmon: Jobmon, failed: int) -> None:
    text = jobmon("workflow", "show", "1").stdout
    assert "1 done, 1 waiting, 1 failed" in text
    assert "/workflows/1/" in text
    assert json.loads(jobmon("workflow", "show", "1", "--json").stdout)["status"] == "E"
    assert "run status" in jobmon("workflow", "show", "1", "--run", "1").stdout


def test_jobs(jobmon: Jobmon, failed: int) -> None:
    assert "copy" in jobmon("workflow", "jobs", "1", "--status", "F", "--tag", "io").stdout
    answer = jobmon("workflow", "jobs", "1", "--limit", "2")
    assert len(answer.stdout.splitlines()) == 3
    assert "the first 2" in answer.stderr
    assert len(json.loads(jobmon("workflow", "jobs", "1", "--all", "--json").stdout)) == 3


def test_errors(jobmon: Jobmon, failed: int, server: FakeServer) -> None:
    text = jobmon("workflow", "errors", "1").stdout
    assert text.count("line 8 of copy") == 3
    assert len(json.loads(jobmon("workflow", "errors", "1", "--limit", "2", "--json").stdout)) == 2
    start(server, "hold")
    answer = jobmon("workflow", "errors", "2")
    assert (answer.stdout, answer.exit_code) == ("", 0)


def test_errors_and_runs_are_filtered_by_the_server(jobmon: Jobmon, failed: int, server: FakeServer) -> None:
    words = ("--reason", "memory", "--tag", "a", "--tag", "b", "--filter", "since=24h")
    jobmon("workflow", "errors", "1", *words)
    asked = server.requests("GET", "errors/")[-1].query
    assert {name: asked[name] for name in ("reason", "tag", "since")} == {
        "reason": ["memory"], "tag": ["a", "b"], "since": ["24h"],
    }  # fmt: skip
    assert jobmon("workflow", "errors", "1", "--groups", "--tag", "a").exit_code == 2
    answer = jobmon("workflow", "runs", "1", "--status", "E", "--user", "alice", "--filter", "executor=sge")
    asked = server.requests("GET", "workflows/1/runs/")[-1].query
    assert (asked["status"], asked["user"], asked["executor"]) == (["E"], ["alice"], ["sge"])
    assert "failed" in answer.stdout or "error" in answer.stdout
    assert [run["id"] for run in json.loads(jobmon("workflow", "runs", "1", "--json").stdout)] == [1]


def test_a_list_that_is_cut_says_so(jobmon: Jobmon, failed: int) -> None:
    assert "the first 1; use a higher --limit" in jobmon("workflow", "list", "--limit", "1").stderr
    assert "the first" not in jobmon("workflow", "list", "--limit", "2").stderr


def test_a_kill_says_what_becomes_of_the_jobs(jobmon: Jobmon, failed: int) -> None:
    assert "--then" in jobmon("job", "kill", "2").stderr


def test_resume_waits_and_tells_by_its_exit_code(
    jobmon: Jobmon, server: FakeServer, failed: int, told: Callable[[], str]
) -> None:
    answer = jobmon("workflow", "resume", "1", "--wait")
    assert answer.exit_code == 1
    assert "copy (job 2) failed" in answer.stderr + told()
    server.state.jobs[2]["command"] = "fixed"
    answer = jobmon("workflow", "resume", "1", "--hot", "--wait", "--json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["status"] == "D"
    assert [run["resume"] for run in server.state.runs.values()] == ["cold", "cold", "hot"]
    answer = jobmon("workflow", "resume", "1")
    assert answer.exit_code == 0
    assert "nothing to run" in answer.stderr


def test_stop_wants_to_know_how(jobmon: Jobmon, server: FakeServer) -> None:
    start(server, "hold")
    assert jobmon("workflow", "stop", "1").exit_code == 2
    assert server.requests("POST", "stop/") == []
    assert jobmon("workflow", "stop", "1", "--drain").exit_code == 0
    answer = jobmon("workflow", "stop", "1", "--kill", "--json")
    assert json.loads(answer.stdout)["id"] == 1
    assert [one.body["mode"] for one in server.requests("POST", "stop/")] == ["drain", "kill"]


def test_stop_of_what_has_ended_does_nothing(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    answer = jobmon("workflow", "stop", "1", "--kill")
    assert answer.exit_code == 0
    assert "nothing to stop" in answer.stderr
    assert server.requests("POST", "stop/") == []


def test_wait(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    assert jobmon("workflow", "wait", "1").exit_code == 1
    assert jobmon("workflow", "wait", str(start(server, "true", "c"))).exit_code == 0
    answer = jobmon("workflow", "wait", str(start(server, "hold", "d")), "--timeout", "0.2")
    assert answer.exit_code == 6
    assert "still going" in answer.stderr


def test_dry_run_is_never_sent_to_a_server_that_would_act(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    number = start(server, "hold")
    for words in (["workflow", "resume", "1"], ["workflow", "stop", str(number), "--kill"], ["job", "rerun", "2"],
                  ["job", "done", "2"]):  # fmt: skip
        answer = jobmon(*words, "--dry-run")
        assert answer.exit_code == 4
        assert "cannot do that yet (version 0.1.0)" in answer.stderr
    assert server.requests("POST") == []


PLAN = {
    "dry_run": True,
    "sentence": "1 job is kept, 2 are run.",
    "groups": [{"tag": "io", "kept": 1, "again": 1}, {"tag": "fit", "kept": 0, "again": 1}],
    "warnings": ["no error is marked fixed"],
}


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["workflow", "resume", "1"], "workflows/1/runs/"),
        (["job", "rerun", "2", "--downstream"], "jobs/2/rerun/"),
        (["job", "done", "2", "--note", "by hand"], "jobs/2/done/"),
    ],
)
def test_dry_run_prints_the_servers_plan(
    jobmon: Jobmon, server: FakeServer, failed: int, words: list[str], path: str
) -> None:
    server.state.features = ["dry_run"]
    server.extra["POST", f"/api/v1/{path}"] = PLAN
    text = jobmon(*words, "--dry-run").stdout
    assert text.splitlines()[0] == "1 job is kept, 2 are run."
    assert text.splitlines()[2].split() == ["io", "1", "1"]
    assert "Warning: no error is marked fixed" in text
    assert json.loads(jobmon(*words, "--dry-run", "--json").stdout) == PLAN
    assert all(one.query["dry_run"] == ["1"] for one in server.requests("POST"))


def test_rerun_and_done_send_what_was_asked(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    server.extra["POST", "/api/v1/jobs/2/rerun/"] = {"sentence": "2 jobs go back."}
    server.extra["POST", "/api/v1/jobs/2/done/"] = {"sentence": "1 job is marked done."}
    assert jobmon("job", "rerun", "2", "--downstream").stdout == "2 jobs go back.\n"
    assert jobmon("job", "done", "2", "--note", "by hand").stdout == "1 job is marked done.\n"
    assert [one.body for one in server.requests("POST")] == [{"downstream": True}, {"note": "by hand"}]


@pytest.mark.parametrize(
    "words", [["job", "why", "2"], ["job", "tree", "2"], ["job", "rerun", "2"], ["job", "done", "2"],
              ["workflow", "graph", "1"], ["workflow", "errors", "1", "--groups"], ["open"]],
)  # fmt: skip
def test_what_the_server_cannot_do_yet(jobmon: Jobmon, failed: int, words: list[str]) -> None:
    answer = jobmon(*words)
    assert answer.exit_code == 4
    assert "(version 0.1.0)" in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize("words", [["job", "why", "99"], ["workflow", "graph", "99"], ["workflow", "show", "99"]])
def test_what_does_not_exist(jobmon: Jobmon, failed: int, words: list[str]) -> None:
    answer = jobmon(*words)
    assert answer.exit_code == 4
    assert "there is no 99" in answer.stderr


def test_why_tree_graph_and_groups(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    server.extra["GET", "/api/v1/jobs/3/why/"] = {"job_id": 3, "why": "Blocked: copy failed (exit code 3)."}
    assert jobmon("job", "why", "3").stdout == "Blocked: copy failed (exit code 3).\n"
    nodes = [{"job_id": 3, "name": "fit", "status": "G", "tag": "fit", "distance": 0},
             {"job_id": 2, "name": "copy", "status": "F", "tag": "io", "distance": -1}]  # fmt: skip
    server.extra["GET", "/api/v1/jobs/3/tree/"] = {"nodes": nodes, "edges": [[2, 3]], "truncated": True}
    answer = jobmon("job", "tree", "3", "--up", "2")
    assert [line.split()[:3] for line in answer.stdout.splitlines()[1:]] == [
        ["-1", "2", "failed"],
        ["0", "3", "waiting"],
    ]
    assert "only 2 jobs" in answer.stderr
    graph = {"nodes": [{"name": "io", "job_count": 2, "counts": {"D": 1, "F": 1}},
                       {"name": "fit", "job_count": 1, "counts": {"G": 1}}],
             "edges": [{"upstream": "io", "downstream": "fit", "job_count": 1}]}  # fmt: skip
    server.extra["GET", "/api/v1/workflows/1/graph/"] = graph
    assert 'n0 -> n1 [label="1"]' in jobmon("workflow", "graph", "1", "--dot").stdout
    assert jobmon("workflow", "graph", "1").stdout.splitlines()[2].split() == ["fit", "1", "waiting", "io"]
    group = {"id": 5, "title": "KeyError: …", "reason": "exit", "jobs_failed": 1, "jobs_blocked": 1}
    server.extra["GET", "/api/v1/workflows/1/error-groups/"] = {"results": [group], "next": None}
    assert "KeyError" in jobmon("workflow", "errors", "1", "--groups").stdout


def test_job_show_and_log(jobmon: Jobmon, failed: int) -> None:
    text = jobmon("job", "show", "2").stdout
    assert "exit 3" in text
    assert "3 of 3" in text
    assert len(json.loads(jobmon("job", "show", "2", "--json").stdout)["instances"]) == 3
    assert jobmon("job", "log", "2").stdout == "out of copy\n"
    assert jobmon("job", "log", "2", "--stderr").stdout.startswith("line 1 of copy\n")
    assert jobmon("job", "log", "2", "--offset", "4", "--limit", "2").stdout == "of"
    found = json.loads(jobmon("job", "log", "2", "--attempt", "1", "--json").stdout)
    assert (found["job_instance_id"], found["text"], found["offset"]) == (2001, "out of copy\n", 0)


def test_log_of_what_is_not_there(jobmon: Jobmon, failed: int) -> None:
    for words, said in ((("3",), "not been tried"), (("2", "--attempt", "7"), "no attempt 7")):
        answer = jobmon("job", "log", *words)
        assert said in answer.stderr
        assert answer.exit_code == 4
    answer = jobmon("job", "log", "1", "--stderr")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "nothing was written to" in answer.stderr


def test_follow_prints_everything_once_and_ends(jobmon: Jobmon, server: FakeServer, failed: int) -> None:
    server.state.jobs[2]["instances"][-1]["stdout"] = "".join(f"line {n}\n" for n in range(60_000))
    text = jobmon("job", "log", "2", "--follow", "--offset", "0").stdout
    assert text == server.state.jobs[2]["instances"][-1]["stdout"]
    assert jobmon("job", "log", "2", "--follow").stdout == text[-65536:]


def test_run_file(jobmon: Jobmon, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    file.write_text("workflow_args: y\njobs:\n  - {name: w, command: 'true'}\n  - {command: two, upstreams: [w]}\n")
    assert jobmon("run", str(file), "--check").exit_code == 0
    assert server.seen == []
    answer = jobmon("run", str(file), "--executor", "dummy", "--resume", "hot", "--json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["status"] == "D"
    assert server.requests("POST", "workflows/")[0].body["executor"] == "dummy"
    assert server.state.runs[1]["resume"] == "hot"
    assert jobmon("run", str(file)).exit_code == 0  # complete: nothing to run
    assert jobmon("run", str(file), "--resume", "--workflow-args", "z", "--no-wait").stdout == "2\n"
    json_file = tmp_path / "wf.json"
    json_file.write_text(json.dumps({"workflow_args": "j", "jobs": [{"command": "exit 3"}]}))
    assert jobmon("run", str(json_file)).exit_code == 1


@pytest.mark.parametrize(
    "text", ["jobs: [", "[]", "jobs: []", "jobs: [{slots: 1}]", "jobs: [{command: x, upstreams: [y]}]"]
)
def test_wrong_file_is_wrong_usage(jobmon: Jobmon, server: FakeServer, tmp_path: Path, text: str) -> None:
    file = tmp_path / "wf.yaml"
    file.write_text(text)
    answer = jobmon("run", str(file))
    assert answer.exit_code == 2
    assert "wf.yaml" in answer.stderr
    assert server.requests("POST") == []


def test_exit_code_of_an_unreachable_server(jobmon: Jobmon, server: FakeServer) -> None:
    server.stop()
    answer = jobmon("workflow", "list")
    assert answer.exit_code == 3
    assert server.url in answer.stderr


def test_exit_code_of_a_refusal(jobmon: Jobmon, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    number = start(server, "hold")
    assert jobmon("workflow", "resume", str(number)).exit_code == 5
    monkeypatch.setenv("JOBMON_TOKEN", "wrong")
    assert jobmon("workflow", "list").exit_code == 5


def test_exit_code_of_wrong_usage(jobmon: Jobmon) -> None:
    for words in (["nonsense"], ["workflow", "show", "x"], ["--server", "nonsense", "workflow", "list"]):
        assert jobmon(*words).exit_code == 2
    assert exit_code_for(RuntimeError()) == 1


def test_configure_writes_a_private_file(home: Path, server: FakeServer) -> None:
    words = ["--server", server.url, "configure", "--token-stdin"]
    answer = CliRunner().invoke(cli, words, input=f"{TOKEN}\n", catch_exceptions=False)
    assert answer.exit_code == 0
    assert TOKEN not in answer.output
    assert stat.S_IMODE((home / ".jobmonrc").stat().st_mode) == 0o600
    assert CliRunner().invoke(cli, ["workflow", "list"], catch_exceptions=False).exit_code == 0
    answer = CliRunner().invoke(cli, ["configure"], input="http://other.test\nnew\n", catch_exceptions=False)
    assert answer.exit_code == 0
    assert answer.stdout == ""
    assert "server = http://other.test" in (home / ".jobmonrc").read_text()


def test_configure_mends_a_broken_file_only_by_hand(home: Path) -> None:
    (home / ".jobmonrc").write_text("nonsense")
    answer = CliRunner().invoke(cli, ["configure"], input="http://other.test\nnew\n", catch_exceptions=False)
    assert answer.exit_code == 2
    assert ".jobmonrc" in answer.stderr


def test_config_show_names_origins_and_hides_the_token(jobmon: Jobmon, server: FakeServer) -> None:
    text = jobmon("config", "show").stdout
    assert "environment JOBMON_SERVER" in text
    assert TOKEN not in text
    assert json.loads(jobmon("config", "show", "--json").stdout)["server"]["value"] == server.url


def test_check_of_the_set_up(jobmon: Jobmon, server: FakeServer) -> None:
    answer = jobmon("test")
    assert answer.stderr == ""
    assert answer.exit_code == 0
    assert [line.split()[:2] for line in answer.stdout.splitlines()] == [
        ["ok", f"{name}:"] for name in ("server", "token", "version", "executor", "job")
    ]
    assert all(one["ok"] for one in json.loads(jobmon("test", "--json").stdout))
    assert len(server.state.workflows) == 2


def failing_check(jobmon: Jobmon, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the only check that failed; it must give advice."""
    answer = jobmon("test", "--json", *words)
    (found,) = [one for one in json.loads(answer.stdout) if not one["ok"]]
    assert found["advice"]
    return answer.exit_code, found


def test_check_names_what_is_wrong(jobmon: Jobmon, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = failing_check(jobmon, "--executor", "sge")
    assert (code, found["check"]) == (1, "executor")
    server.state.version = "7.0.0"
    code, found = failing_check(jobmon, "--no-job")
    assert (code, found["check"]) == (1, "version")
    assert "jobmon==7.0.0" in found["advice"]
    monkeypatch.setenv("JOBMON_TOKEN", "wrong")
    assert failing_check(jobmon)[0] == 5
    server.extra["GET", "/api/v1/"] = "hello"
    monkeypatch.setenv("JOBMON_TOKEN", TOKEN)
    code, found = failing_check(jobmon)
    assert (code, found["check"]) == (3, "server")
    server.stop()
    assert failing_check(jobmon)[0] == 3


def test_check_stops_a_trial_job_that_does_not_end(jobmon: Jobmon, server: FakeServer) -> None:
    server.state.is_stuck = True
    code, found = failing_check(jobmon, "--timeout", "1")
    assert (code, found["check"]) == (1, "job")
    assert server.requests("POST", "stop/")[0].body == {"mode": "kill"}


def test_open_prints_the_link(jobmon: Jobmon, server: FakeServer) -> None:
    server.extra["POST", "/api/v1/login-links/"] = {"url": "http://127.0.0.1:8000/login/once/?code=x"}
    assert jobmon("open").stdout == "http://127.0.0.1:8000/login/once/?code=x\n"


def every_command(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        return [(path, command)]
    return [one for name, below in command.commands.items() for one in every_command(below, (*path, name))]


@pytest.mark.parametrize(
    ("path", "command"), every_command(cli), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_has_help_and_json(path: tuple[str, ...], command: Any) -> None:
    assert CliRunner().invoke(cli, [*path, "--help"]).exit_code == 0
    assert command.help
    if path != ("configure",):
        assert "--json" in [name for option in command.params for name in option.opts]


def test_text_of_jobs_does_not_steer_the_terminal() -> None:
    hostile = "\x1b]0;title\x07\x1b[2Ja\x1b[31mred\x1b[0m\r\x08\x9b31mb\nc\td"
    assert clean(hostile) == "ared31mb\nc\td"
    assert clean_log(hostile) == "a\x1b[31mred\x1b[0m31mb\nc\td"


def test_markup_in_names_is_text(jobmon: Jobmon, server: FakeServer) -> None:
    server.state.submit({"workflow_args": "[bold]x[/bold] [link=y]", "jobs": [{"name": "one", "command": "one"}]})
    assert "[bold]x[/bold] [link=y]" in jobmon("workflow", "list").stdout


def test_long_cells_stay_on_their_line_when_piped(jobmon: Jobmon, server: FakeServer) -> None:
    server.state.submit({"workflow_args": "x" * 500, "jobs": [{"name": "one", "command": "one"}]})
    assert len(jobmon("workflow", "list").stdout.splitlines()) == 2


def test_shell_completion_works_as_documented(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from jobmon.cli import main; main()"],
        env={**environment, "_JOBMON_COMPLETE": "bash_source"}, capture_output=True, text=True,
    )  # fmt: skip
    assert "complete -o nosort -F" in done.stdout
