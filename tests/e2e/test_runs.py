"""Whole runs through the real client, site, worker, Redis and local executor."""

from __future__ import annotations

import collections
import signal
from pathlib import Path

import pytest

from jobmon import BashTask
from jobmon.exceptions import WorkflowAlreadyComplete
from tests.e2e.clients import (
    count_jobs,
    count_live_instances,
    find_dag_id,
    fork_and_join,
    list_instances,
    list_job_statuses,
    make_workflow,
    start_script,
    status_of,
)
from tests.services import EmbeddedServer
from tests.waiting import wait_until


def test_a_chain_runs_in_order_and_only_once(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    def tasks() -> list[BashTask]:
        write = BashTask("echo hello > one", name="write", mem_free=0.1)
        copy = BashTask("cp one two", name="copy", upstream_tasks=[write], mem_free=0.1)
        return [write, copy, BashTask("rm one", name="remove", upstream_tasks=[copy], mem_free=0.1)]

    workflow = make_workflow(embedded_server, "chain", tasks(), tmp_path)
    assert workflow.run() is True
    assert (tmp_path / "two").read_text() == "hello\n"
    assert not (tmp_path / "one").exists()
    dag_id = find_dag_id(embedded_server, workflow.workflow_id)
    assert count_jobs(embedded_server, dag_id) == {"D": 3}
    assert list_instances(embedded_server, dag_id) == {"write": ["D"], "copy": ["D"], "remove": ["D"]}

    again = make_workflow(embedded_server, "chain", tasks(), tmp_path)
    with pytest.raises(WorkflowAlreadyComplete):
        again.run()
    assert again.workflow_id == workflow.workflow_id
    assert len(embedded_server.query("SELECT id FROM workflow_run")) == 1


def test_a_failure_stops_only_what_needs_it_and_a_resume_runs_only_the_rest(
    embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    workflow = make_workflow(embedded_server, "fork-and-join", fork_and_join(tmp_path), tmp_path)
    assert workflow.run() is False
    dag_id = find_dag_id(embedded_server, workflow.workflow_id)
    done, waiting = ("a", "b1", "b3", "c1", "c3"), ("c2", "d")
    assert list_job_statuses(embedded_server, dag_id) == {
        **dict.fromkeys(done, "D"),
        **dict.fromkeys(waiting, "G"),
        "b2": "F",
    }
    assert list_instances(embedded_server, dag_id) == {**{name: ["D"] for name in done}, "b2": ["E", "E", "E"]}
    assert count_jobs(embedded_server, dag_id) == {"D": 5, "G": 2, "F": 1}
    assert workflow.status == "E"
    assert {error["job_name"] for error in workflow.get_errors()} == {"b2"}

    (tmp_path / "fixed").touch()
    resumed = make_workflow(embedded_server, "fork-and-join", fork_and_join(tmp_path), tmp_path)
    assert resumed.run() is True
    assert resumed.workflow_id == workflow.workflow_id
    assert resumed.workflow_run_id != workflow.workflow_run_id
    assert list_instances(embedded_server, dag_id) == {
        **{name: ["D"] for name in (*done, *waiting)},
        "b2": ["E", "E", "E", "D"],
    }
    ran = collections.Counter((tmp_path / "done").read_text().split())
    assert ran == dict.fromkeys((*done, *waiting, "b2"), 1)
    assert [row[0] for row in embedded_server.query("SELECT status FROM workflow_run ORDER BY id")] == ["E", "D"]


def test_the_workflow_outlives_the_script(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    """The script is killed as soon as its first job runs; nobody asks for anything any more."""
    script = start_script(embedded_server, tmp_path / "control.py", f"""
from jobmon import BashTask, Workflow
workflow = Workflow(workflow_args="killed", working_dir={str(tmp_path)!r})
gate = BashTask("touch started; while ! test -e go; do sleep 0.1; done", name="gate", mem_free=0.1)
workflow.add_tasks([gate] + [
    BashTask(f"echo {{i}} >> lines", name=f"after_{{i}}", upstream_tasks=[gate], mem_free=0.1) for i in range(10)])
workflow.run()
""")  # fmt: skip
    try:
        wait_until(lambda: (tmp_path / "started").exists() or script.poll() is not None, 60, "the first job runs")
        assert script.poll() is None, (tmp_path / "control.output").read_text()
    finally:
        script.kill()
        script.wait()
    (tmp_path / "go").touch()
    wait_until(lambda: status_of(embedded_server, 1) == "D", 60, "the workflow is done")
    assert sorted((tmp_path / "lines").read_text().split(), key=int) == [str(i) for i in range(10)]


def test_a_running_job_survives_a_stop_of_the_server(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    gate = BashTask("touch started; while ! test -e go; do sleep 0.1; done; echo x >> ran", name="gate", mem_free=0.1)
    after = BashTask("echo y >> ran", name="after", upstream_tasks=[gate], mem_free=0.1)
    workflow = make_workflow(embedded_server, "survivor", [gate, after], tmp_path)
    workflow.run(wait=False)
    wait_until(lambda: (tmp_path / "started").exists(), 60, "the first job runs")
    assert embedded_server.stop() == 0
    (tmp_path / "go").touch()
    wait_until(lambda: (tmp_path / "ran").exists(), 60, "the job ends while there is no server")
    embedded_server.start()
    wait_until(lambda: status_of(embedded_server, workflow.workflow_id) == "D", 90, "the workflow is done")
    assert (tmp_path / "ran").read_text() == "x\ny\n"
    assert count_live_instances(embedded_server) == 0


@pytest.mark.parametrize("mode", ["drain", "kill"])
def test_a_stop_and_a_resume(embedded_server: EmbeddedServer, tmp_path: Path, mode: str) -> None:
    def tasks() -> list[BashTask]:
        gate = BashTask(f"touch {tmp_path}/started; while ! test -e go; do sleep 0.1; done", name="gate", mem_free=0.1)
        return [gate, BashTask("echo y >> ran", name="after", upstream_tasks=[gate], mem_free=0.1)]

    workflow = make_workflow(embedded_server, f"stop-{mode}", tasks(), tmp_path)
    workflow.run(wait=False)
    wait_until(lambda: (tmp_path / "started").exists(), 60, "the first job runs")
    workflow.stop(mode)
    if mode == "drain":
        (tmp_path / "go").touch()
    assert workflow.wait() is False
    assert workflow.status == "S"
    assert not (tmp_path / "ran").exists()
    (tmp_path / "go").touch()
    resumed = make_workflow(embedded_server, f"stop-{mode}", tasks(), tmp_path)
    assert resumed.run() is True
    assert (tmp_path / "ran").read_text() == "y\n"
    dag_id = find_dag_id(embedded_server, workflow.workflow_id)
    assert list_instances(embedded_server, dag_id) == {"gate": ["D"] if mode == "drain" else ["E", "D"], "after": ["D"]}


def test_ctrl_c_in_the_script_leaves_the_run_going(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    script = start_script(embedded_server, tmp_path / "control.py", f"""
from jobmon import BashTask, Workflow
workflow = Workflow(workflow_args="interrupted", working_dir={str(tmp_path)!r})
workflow.add_tasks([BashTask("touch started; while ! test -e go; do sleep 0.1; done", mem_free=0.1)])
workflow.run()
""")  # fmt: skip
    try:
        wait_until(lambda: (tmp_path / "started").exists() or script.poll() is not None, 60, "the first job runs")
        script.send_signal(signal.SIGINT)
        assert script.wait(60) != 0
    finally:
        if script.poll() is None:
            script.kill()
    assert status_of(embedded_server, 1) == "R"
    (tmp_path / "go").touch()
    wait_until(lambda: status_of(embedded_server, 1) == "D", 60, "the workflow is done")
