"""What the quickstart promises of the client, statement by statement."""

from __future__ import annotations

import getpass
import re
import runpy
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobmon.exceptions import InvalidGraph
from jobmon.workflow.bash_task import BashTask
from jobmon.workflow.python_task import PythonTask
from jobmon.workflow.r_task import RTask
from jobmon.workflow.stata_task import StataTask
from jobmon.workflow.workflow import Workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobmon.api import Client
    from tests.client.fake_server import FakeServer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRATCH = "/ihme/scratch/users/{}/sgeoutput"
PYTHON = "/ihme/code/central_comp/miniconda/bin/python"


def build_quickstart(
    workflow_args: str = "quickstart", copy: str = "cp ~/jobmon_qs.txt ~/cpof_jobmon_qs.txt"
) -> Workflow:
    """The quickstart's own lines."""
    user = getpass.getuser()
    my_wf = Workflow(workflow_args=workflow_args, project='proj_jenkins',
                     stderr=SCRATCH.format(user),
                     stdout=SCRATCH.format(user))  # fmt: skip
    write_task = BashTask("touch ~/jobmon_qs.txt", slots=2, mem_free=4)
    copy_task = BashTask(copy, upstream_tasks=[write_task])
    del_task = BashTask("rm ~/jobmon_qs.txt", upstream_tasks=[copy_task])
    run_task = PythonTask(path_to_python_binary=PYTHON,
                          script='~/runme.py', env_variables={'OP_NUM_THREADS': 1}, args=[1, 2],
                          slots=2, mem_free=4)  # fmt: skip
    my_wf.add_tasks([write_task, copy_task, del_task, run_task])
    return my_wf


def test_the_script_of_the_quickstart_runs_as_it_stands(server: FakeServer, client: Client, home: Path) -> None:
    assert build_quickstart().run()
    body = server.requests("POST", "workflows/")[0].body
    assert [job["command"] for job in body["jobs"]] == [
        "touch ~/jobmon_qs.txt",
        "cp ~/jobmon_qs.txt ~/cpof_jobmon_qs.txt",
        "rm ~/jobmon_qs.txt",
        f"OP_NUM_THREADS=1 {PYTHON} {home}/runme.py 1 2",
    ]
    assert [job["upstreams"] for job in body["jobs"]] == [[], [0], [1], []]
    assert [(job["slots"], job["mem_free"]) for job in body["jobs"]] == [(2, 4), (1, 2), (1, 2), (2, 4)]


def test_iteratively_adding_tasks_to_a_workflow(client: Client) -> None:
    my_wf = Workflow(workflow_args="quickstart")
    first = my_wf.add_task(BashTask("one"))
    my_wf.add_task(BashTask("two", upstream_tasks=[first]))
    assert my_wf.run()


def test_relationships_form_a_directed_acyclic_graph() -> None:
    my_wf = build_quickstart()
    write, copy, delete, _ = my_wf.task_dag.tasks
    write.add_upstream(delete)
    with pytest.raises(InvalidGraph, match="in a circle"):
        my_wf.bind()
    assert copy.upstream_tasks == [write]


def test_blank_workflow_args_default_to_a_uuid_that_is_told(told: Callable[[], str]) -> None:
    found = {Workflow().workflow_args, Workflow(workflow_args="").workflow_args}
    assert len(found) == 2
    words = told()
    for workflow_args in found:
        assert str(uuid.UUID(workflow_args)) in words


def test_tasks_take_qsub_type_arguments(server: FakeServer, client: Client) -> None:
    my_wf = Workflow(workflow_args="qsub")
    my_wf.add_task(BashTask("true", slots=3, mem_free=5.5, max_attempts=2, max_runtime=60))
    my_wf.bind()
    job = server.requests("POST")[0].body["jobs"][0]
    assert [job[key] for key in ("slots", "mem_free", "max_attempts", "max_runtime")] == [3, 5.5, 2, 60]


def test_by_default_slots_is_1_mem_free_2_max_attempts_3() -> None:
    for task in (BashTask("x"), PythonTask(script="x"), RTask(script="x"), StataTask(script="x")):
        assert (task.slots, task.mem_free, task.max_attempts) == (1, 2, 3)


def test_stderr_stdout_and_project_are_set_at_the_workflow_level(server: FakeServer, client: Client) -> None:
    build_quickstart().run()
    folder = SCRATCH.format(getpass.getuser())
    for body in (server.requests("POST", "workflows/")[0].body, server.requests("POST", "runs/")[0].body):
        assert (body["project"], body["stdout"], body["stderr"]) == ("proj_jenkins", folder, folder)
    with pytest.raises(TypeError):
        BashTask("true", project="p")  # type: ignore[call-arg]


def test_environment_variables_are_prepended_to_the_command() -> None:
    variables = {"OP_NUM_THREADS": 1, "LABEL": "two words"}
    for task in (PythonTask(script="/x", env_variables=variables), RTask(script="/x", env_variables=variables),
                 StataTask(script="/x", env_variables=variables)):  # fmt: skip
        assert task.command.startswith("LABEL='two words' OP_NUM_THREADS=1 ")
    assert BashTask("x", env_variables=variables).command == "export LABEL='two words' OP_NUM_THREADS=1; x"


def test_same_args_and_tasks_are_the_same_workflow(client: Client) -> None:
    assert build_quickstart().bind() == build_quickstart().bind()


def test_changed_args_make_a_brand_new_workflow(client: Client) -> None:
    assert build_quickstart("quickstart").bind() != build_quickstart("quickstart2").bind()


def test_changed_tasks_make_a_brand_new_workflow(client: Client) -> None:
    assert build_quickstart().bind() != build_quickstart(copy="cp ~/jobmon_qs.txt ~/other.txt").bind()


def test_resumed_run_is_a_new_run_and_does_not_rerun_what_is_done(server: FakeServer, client: Client) -> None:
    copy = "hold; cp ~/jobmon_qs.txt ~/cpof_jobmon_qs.txt"
    first = build_quickstart(copy=copy)
    first.run(wait=False)
    while client.get_run(1)["counts"]["D"] < 2:
        pass  # each look at the fake server's run moves it a step
    first.stop("kill")
    assert first.wait() is False
    server.state.released = True
    second = build_quickstart(copy=copy)
    assert second.run()
    assert (second.workflow_id, second.workflow_run_id) == (first.workflow_id, 2)
    attempts = [[one["workflow_run_id"] for one in job["instances"]] for job in server.state.jobs.values()]
    assert attempts == [[1], [1, 2], [2], [1]]


def test_failed_tasks_are_attempted_again_in_a_resumed_run(server: FakeServer, client: Client) -> None:
    copy = "test -e fixed || exit 1"
    assert build_quickstart(copy=copy).run() is False
    server.state.jobs[2]["command"] = "now fixed"
    assert build_quickstart(copy=copy).run() is True


def test_a_set_of_tasks_can_be_reused_in_another_workflow(client: Client) -> None:
    first = build_quickstart("first")
    second = Workflow(workflow_args="second")
    second.add_tasks(first.task_dag.tasks)
    assert first.run()
    assert second.run()
    assert first.workflow_id != second.workflow_id


def test_the_workflow_id_is_told(client: Client, told: Callable[[], str]) -> None:
    my_wf = build_quickstart()
    my_wf.run()
    assert re.search(rf"workflow {my_wf.workflow_id} is new", told())


@pytest.mark.parametrize("flags", [[], ["--resume"], ["--resume", "hot"]])
def test_the_shipped_quickstart_runs_and_takes_the_resume_flag(
    server: FakeServer, environment: dict[str, str], home: Path, flags: list[str]
) -> None:
    argv = [sys.executable, str(EXAMPLES / "quickstart.py"), *flags]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 done" in done.stderr
    assert done.stdout == ""
    assert server.state.runs[1]["resume"] == (flags[1] if len(flags) > 1 else "cold")
    command = server.state.jobs[4]["command"]
    shown = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout == "arguments: 1 2\nOP_NUM_THREADS: 1\n"
    assert (home / "jobmon_output").is_dir()


def test_the_shipped_pipeline_has_five_phases_and_the_size_asked_for(client: Client) -> None:
    build = runpy.run_path(str(EXAMPLES / "pipeline.py"))["build_workflow"]
    for locations in (1, 15, 212):
        my_wf = build(locations=locations)
        assert len(my_wf.task_dag) == 14 * locations + -(-locations // 10) + 1
        my_wf.task_dag.validate()
        assert {task.tag for task in my_wf.task_dag} == {"prepare", "fit", "combine", "check", "report"}
    assert 2900 < len(my_wf.task_dag) < 3100
    assert build(locations=2).run()
