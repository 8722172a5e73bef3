"""Workflows against a server: binding, running, resuming, stopping, waiting."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from jobmon import BashTask, TaskDag, Workflow, exceptions
from jobmon.workflow import submission, watch, workflow
from jobmon.workflow.progress import LineProgress, LogProgress, RichProgress, choose_progress, format_elapsed
from jobmon.workflow.watch import next_pause
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobmon.api import Client
    from tests.client.fake_server import FakeServer


def make_workflow(*commands: str, args: str = "a", **options: object) -> Workflow:
    """A chain of these commands, named j0, j1, …"""
    made = Workflow(workflow_args=args, **options)  # type: ignore[arg-type]
    tasks = [BashTask(command, name=f"j{n}") for n, command in enumerate(commands)]
    for before, after in pairwise(tasks):
        after.add_upstream(before)
    made.add_tasks(tasks)
    return made


def test_bind_stores_and_does_not_run(server: FakeServer, client: Client) -> None:
    made = make_workflow("one", "two", name="n", description="d", project="p", max_concurrently_running=7)
    assert (made.workflow_id, made.status, made.page) == (None, None, None)
    assert made.bind() == made.workflow_id == 1
    assert (made.status, made.workflow_run_id) == ("C", None)
    assert made.page == f"{server.url}/workflows/1/"
    body = server.requests("POST")[0].body
    assert (body["name"], body["description"], body["project"], body["max_concurrently_running"]) == ("n", "d", "p", 7)
    assert body["jobs"][1]["upstreams"] == [0]
    assert set(body["jobs"][0]) == {
        "name", "command", "tag", "slots", "mem_free", "max_attempts", "max_runtime", "upstreams",
    }  # fmt: skip
    assert body["home"].startswith("/")
    assert body["path"]


def test_options_that_are_not_chosen_are_not_sent(server: FakeServer, client: Client) -> None:
    make_workflow("one").run()
    make_workflow("one", args="b", fail_fast=True, seconds_until_timeout=60, executor="dummy").run()
    for method_end in ("workflows/", "runs/"):
        plain, chosen = (one.body for one in server.requests("POST", method_end))
        unchosen = {"fail_fast", "seconds_until_timeout", "executor", "max_concurrently_running"}
        assert not unchosen & set(plain)
        assert (chosen["fail_fast"], chosen["seconds_until_timeout"], chosen["executor"]) == (True, 60, "dummy")


def test_run_to_the_end(client: Client, server: FakeServer, told: Callable[[], str]) -> None:
    made = make_workflow("one", "two", "three")
    assert made.run() is True
    assert (made.status, made.workflow_run_id) == ("D", 1)
    words = told()
    assert f"{server.url}/workflows/1/" in words
    assert "3 of 3 done" in words


def test_failure_tells_the_last_lines_of_each_failed_job(client: Client, told: Callable[[], str]) -> None:
    made = make_workflow("one", "exit 3", "three")
    assert made.run() is False
    assert made.status == "E"
    words = told()
    assert "j1 (job 2) failed: Exit code 3" in words
    assert "line 8 of j1" in words
    assert "line 3 of j1" not in words
    assert words.count("j1 (job 2) failed") == 1  # three attempts, told once
    errors = made.get_errors()
    assert [error["job_name"] for error in errors] == ["j1"] * 3
    assert len(made.get_errors(limit=2)) == 2


def test_complete_workflow_is_refused(client: Client) -> None:
    assert make_workflow("one").run()
    with pytest.raises(exceptions.WorkflowAlreadyComplete, match="change workflow_args"):
        make_workflow("one").run()


def test_running_workflow_is_refused_with_its_run(client: Client) -> None:
    assert make_workflow("hold").run(wait=False)
    with pytest.raises(exceptions.WorkflowRunning) as caught:
        make_workflow("hold").run()
    assert caught.value.run_id == 1


def test_somebody_elses_workflow_is_refused(server: FakeServer, client: Client) -> None:
    make_workflow("one").bind()
    server.state.user = "bob"
    with pytest.raises(exceptions.WorkflowInUse, match="other workflow_args"):
        make_workflow("one").bind()


def test_resume_mode_is_sent(server: FakeServer, client: Client) -> None:
    make_workflow("one", args="a").run()
    make_workflow("one", args="b", resume="hot").run()
    make_workflow("one", args="c", resume="hot").run(resume="cold")
    assert [run["resume"] for run in server.state.runs.values()] == ["cold", "hot", "cold"]
    for wrong in ("warm", True):
        with pytest.raises(ValueError, match="resume"):
            Workflow(workflow_args="a", resume=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="resume"):
            make_workflow("one").run(resume=wrong)  # type: ignore[arg-type]


def test_leftovers_are_waited_for(
    server: FakeServer, client: Client, told: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "LEFTOVERS_PAUSE", 0.01)
    server.state.leftovers = 3
    assert make_workflow("one").run()
    posts = server.requests("POST", "runs/")
    assert len(posts) == 4
    assert len({post.headers["idempotency-key"] for post in posts}) == 4
    assert told().count("waiting until what is left") == 1


def test_leftovers_that_stay_are_an_error(server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "LEFTOVERS_SECONDS", 0.0)
    monkeypatch.setattr(workflow, "LEFTOVERS_PAUSE", 0.01)
    server.state.leftovers = 1000
    with pytest.raises(exceptions.LeftoversRemain, match="'hot'"):
        make_workflow("one").run()


def test_start_whose_answer_is_lost_is_found_not_repeated(server: FakeServer, client: Client) -> None:
    made = make_workflow("one")
    made.bind()
    server.mischief.drops_after = 1
    run = made._start("cold")
    assert run["id"] == 1
    assert len(server.requests("POST", "runs/")) == 1


def test_start_that_never_arrived_is_repeated(server: FakeServer, client: Client) -> None:
    made = make_workflow("one")
    made.bind()
    server.mischief.drops_before = 1
    assert made._start("cold")["id"] == 1
    assert len(server.requests("POST", "runs/")) == 2


def test_large_graphs_go_in_chunks(server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Workflow(workflow_args="large", client=client)
    tasks: list[BashTask] = []
    for number in range(25_000):
        tasks.append(BashTask(f"echo {number}", name=f"e{number}", upstream_tasks=tasks[-1:]))
    made.add_tasks(reversed(tasks))
    server.mischief.drops_before = 1
    assert made.bind() == 1
    pieces = {one.path: len(one.body["jobs"]) for one in server.requests("PUT")}
    assert sorted(pieces.values()) == [5_000, 10_000, 10_000]
    assert all(one.headers["content-encoding"] == "gzip" for one in server.requests("PUT"))
    assert server.requests("POST", "drafts/")[0].body["job_count"] == 25_000
    assert "jobs" not in server.requests("POST", "drafts/")[0].body
    found = client.get_workflow(1)
    assert (found["job_count"], found["edge_count"]) == (25_000, 24_999)
    assert not server.requests("POST", "v1/workflows/")


def test_a_refused_piece_ends_the_sending(server: FakeServer, client: Client) -> None:
    dag = TaskDag()
    dag.add_tasks(BashTask(f"echo {number}", name=f"e{number}") for number in range(60_000))
    with pytest.raises(exceptions.JobmonError):
        submission._put_chunks(client, "unknown", dag)
    assert len(server.requests("PUT")) < 6


def test_stop_drain_and_kill(server: FakeServer, client: Client) -> None:
    made = make_workflow("hold", "two")
    made.run(wait=False)
    client.get_run(1)
    with pytest.raises(ValueError, match="drain"):
        made.stop("gently")
    assert made.stop()["stopping"] == "drain"
    assert made.stop("kill")["stopping"] == "kill"
    assert made.wait() is False
    assert made.status == "S"


def test_wait_times_out_and_the_run_goes_on(client: Client) -> None:
    made = make_workflow("hold")
    made.run(wait=False)
    with pytest.raises(exceptions.StillRunning, match="workflow wait 1"):
        made.wait(timeout=0.3)
    assert made.status == "R"


def test_wait_for_a_run_that_another_process_started(server: FakeServer, client: Client) -> None:
    make_workflow("one").run(wait=False)
    other = make_workflow("one")
    other.bind()
    assert other.wait() is True


def test_waiting_survives_a_restart_of_the_server(server: FakeServer, client: Client, told: Callable[[], str]) -> None:
    made = make_workflow("hold")
    made.run(wait=False)
    outcome: list[bool] = []
    waiting = threading.Thread(target=lambda: outcome.append(made.wait()))
    waiting.start()
    wait_until(lambda: len(server.requests("GET", "workflow-runs/1/")) >= 2)
    server.stop()
    server.state.released = True
    server.start()
    waiting.join(60)
    assert outcome == [True]


def test_waiting_asks_by_change_number(server: FakeServer, client: Client) -> None:
    make_workflow("one", "two").run()
    asked = [one.query.get("v") for one in server.requests("GET", "workflow-runs/1/")]
    assert asked[0] is None
    assert all(version is not None for version in asked[1:])


def test_pauses_adapt() -> None:
    assert next_pause(0.1, 0.0, has_changed=True) == 0.1
    pause = 0.1
    for _ in range(20):
        pause = next_pause(pause, 1.0, has_changed=False)
    assert pause == watch.LONGEST_PAUSE
    assert next_pause(2.0, 1.0, has_changed=True) == 0.1
    assert next_pause(0.1, 1000.0, has_changed=True) == watch.LONGEST_PAUSE


def test_methods_before_bind_say_what_to_do(client: Client) -> None:
    for call in (
        Workflow(workflow_args="a").wait,
        Workflow(workflow_args="a").stop,
        Workflow(workflow_args="a").get_errors,
    ):
        with pytest.raises(exceptions.JobmonError, match=r"bind\(\) or run\(\)"):
            call()
    made = make_workflow("one")
    made.bind()
    with pytest.raises(exceptions.JobmonError, match="never been run"):
        made.wait()


def test_tasks_cannot_be_added_after_bind(client: Client) -> None:
    made = make_workflow("one")
    made.bind()
    with pytest.raises(exceptions.JobmonError, match="new Workflow object"):
        made.add_task(BashTask("two"))


def test_servers_errors_of_the_graph_reach_the_script(client: Client) -> None:
    with pytest.raises(exceptions.InvalidGraph, match="no such job") as caught:
        client.submit_workflow({"workflow_args": "a", "jobs": [{"name": "x", "command": "x", "upstreams": ["y"]}]})
    assert caught.value.errors[0]["job"] == "x"


def test_wrong_graph_never_reaches_the_server(server: FakeServer, client: Client) -> None:
    made = Workflow(workflow_args="a")
    made.add_task(BashTask("two", upstream_tasks=[BashTask("one")]))
    with pytest.raises(exceptions.InvalidGraph):
        made.run()
    assert server.seen == []


@pytest.mark.parametrize(
    "options",
    [{"name": 7}, {"workflow_args": 7}, {"project": "a\0"}, {"max_concurrently_running": 0}, {"stdout": 1},
     {"seconds_until_timeout": -1}, {"max_concurrently_running": "5"}],
)  # fmt: skip
def test_wrong_options_are_refused_at_construction(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Workflow(**{"workflow_args": "a", **options})  # type: ignore[arg-type]


def test_older_scripts_give_a_task_dag_first() -> None:
    dag = TaskDag(name="old")
    dag.add_task(BashTask("true"))
    for made in (Workflow(dag, "args", "name"), Workflow(dag, workflow_args="args", name="name")):
        assert (made.task_dag, made.workflow_args, made.name) == (dag, "args", "name")
    assert Workflow("args").workflow_args == "args"
    with pytest.raises(TypeError):
        Workflow("args", "name", "description", "project")


def test_to_dict_and_back(server: FakeServer, client: Client) -> None:
    made = make_workflow("one", "two", name="n", executor="dummy", fail_fast=True)
    data = json.loads(json.dumps(made.to_dict()))
    assert "home" not in data
    again = Workflow.from_dict(data)
    assert again.to_dict() == data
    made.bind()
    assert again.bind() == made.workflow_id
    first, second = (one.body for one in server.requests("POST"))
    assert first == second


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "mapping"), ({"jobs": {}}, "list of jobs"), ({"jobs": [], "exekutor": "x"}, "exekutor"),
        ({"jobs": [{"command": "x", "slot": 2}]}, r"jobs\[0\].*slot"), ({"jobs": ["x"]}, r"jobs\[0\]"),
        ({"jobs": [{"command": "x", "slots": 0}]}, r"jobs\[0\].*slots"),
        ({"jobs": [{"command": "x", "upstreams": "y"}]}, "list of names"),
        ({"jobs": [{"name": "x", "command": "x", "upstreams": ["y", 7, True]}]}, "3 upstreams"),
        ({"jobs": [{"command": "x"}, {"command": "x"}]}, "same command"),
    ],
)  # fmt: skip
def test_wrong_data_is_named(data: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Workflow.from_dict(data)  # type: ignore[arg-type]


def test_upstreams_may_be_positions() -> None:
    made = Workflow.from_dict({"workflow_args": "a", "jobs": [{"command": "x", "upstreams": [1]}, {"command": "y"}]})
    assert made.task_dag.tasks[0].upstream_tasks == [made.task_dag.tasks[1]]


class Terminal:
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def __init__(self, is_terminal: bool) -> None:
        self.written: list[str] = []
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


RUN = {"counts": {"G": 1, "I": 1, "R": 1, "F": 2, "D": 5}, "stopping": "drain", "hold_reason": "owner disabled"}


def test_progress_suits_the_stream() -> None:
    assert isinstance(choose_progress(Terminal(False)), LogProgress)  # type: ignore[arg-type]
    shown = choose_progress(Terminal(True))  # type: ignore[arg-type]
    shown.close()
    assert isinstance(shown, RichProgress)


def test_plain_line_tells_done_running_failed_and_elapsed() -> None:
    stream = Terminal(True)
    line = LineProgress(stream)  # type: ignore[arg-type]
    line.show(RUN)
    line.close()
    assert "5 of 10 done, 1 running, 1 submitted, 2 failed (stopping: drain) (held: owner disabled), 0:0" in "".join(
        stream.written
    )


def test_log_lines_come_now_and_then(told: Callable[[], str]) -> None:
    log = LogProgress()
    for done in range(100):
        log.show({"counts": {"D": done, "G": 100 - done}})
    log.close()
    words = told()
    assert words.count(" of 100 done") == 2
    assert "99 of 100 done" in words


def test_elapsed() -> None:
    assert [format_elapsed(seconds) for seconds in (7, 760, 11100)] == ["0:07", "12:40", "3:05:00"]
