"""What a batch system does to jobs from outside, and submissions whose answer lies, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask, Workflow
from tests.e2e.clusters import (
    check_all_ran_once,
    count_lines,
    find_job_id,
    list_attempts,
    lists_none_of,
    make_workflow,
    open_folder,
    outcomes,
    read_page,
    serving,
    sge_settings,
    slurm_settings,
    used_executors,
    wait_for_end,
    wait_for_files,
    write_liars,
    write_lines,
)
from tests.executors.cluster import USER, SgeCluster, SlurmCluster, running
from tests.services import EmbeddedServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def sge_server(sge_cluster: SgeCluster) -> Iterator[EmbeddedServer]:
    """`lost` sends its jobs to a queue that is not there."""
    lost = sge_settings(sge_cluster, "LOST", VERIFY="0") | {"JOBMON_LOST_DEFAULT_QUEUE": "nosuch.q"}
    with serving("sge,lost", **sge_settings(sge_cluster), **lost) as made:
        yield made


def task(command: str, name: str, **given: object) -> BashTask:
    return BashTask(command, name=name, **{"mem_free": 0.01, "max_attempts": 1, **given})


def batch_id(server: EmbeddedServer, workflow: Workflow, name: str) -> str:
    """The batch system's number of a job's last attempt, once it is known."""
    job_id = find_job_id(server, workflow, name)
    query = f"SELECT executor_id FROM job_instance WHERE job_id={job_id} ORDER BY job_instance_id DESC"

    def find() -> str:
        rows = server.query(query)
        return str(rows[0][0] or "") if rows else ""

    return wait_until(find, 60, f"the number of {name}")


@pytest.mark.sge
@pytest.mark.first
class TestGridEngine:
    def test_an_unknown_queue_is_refused_in_qsubs_words(self, sge_server: EmbeddedServer, folder: Path) -> None:
        workflow = make_workflow(sge_server, [task("true", "a", max_attempts=3)], folder, "lost")
        workflow.run(wait=False)
        assert wait_for_end(sge_server, workflow) == "E"
        assert outcomes(sge_server, workflow) == {"a": ["refused"]}
        assert 'unknown queue "nosuch.q"' in read_page(sge_server, f"/jobs/{find_job_id(sge_server, workflow, 'a')}/")

    def test_a_running_job_deleted_from_outside_is_tried_again(
        self, sge_server: EmbeddedServer, sge_cluster: SgeCluster, folder: Path
    ) -> None:
        command = f"echo x >> lines; test -e {folder}/tried || {{ touch {folder}/tried; exec sleep 1000; }}"
        workflow = make_workflow(sge_server, [task(command, "a", max_attempts=2)], folder, "sge")
        workflow.run(wait=False)
        wait_for_files(folder, "tried")
        assert "for deletion" in sge_cluster.command("qdel", batch_id(sge_server, workflow, "a"))
        assert wait_for_end(sge_server, workflow) == "D"
        assert outcomes(sge_server, workflow) == {"a": ["signal", ""]}
        assert count_lines(folder) == {"x": 2}

    def test_a_job_deleted_while_it_waits_is_submitted_again(
        self, sge_server: EmbeddedServer, sge_cluster: SgeCluster, folder: Path
    ) -> None:
        """Grid Engine keeps no record of it, ever; it costs no attempt."""
        sge_cluster.command("qmod", "-d", "all.q")
        try:
            workflow = make_workflow(sge_server, [task("echo x >> lines", "a")], folder, "sge")
            workflow.run(wait=False)
            number = batch_id(sge_server, workflow, "a")
            assert "has deleted job" in sge_cluster.command("qdel", number)
        finally:
            sge_cluster.command("qmod", "-e", "all.q")
        assert wait_for_end(sge_server, workflow) == "D"
        assert outcomes(sge_server, workflow) == {"a": ["void", ""]}
        assert count_lines(folder) == {"x": 1}

    def test_the_error_state_is_shown_with_its_reason_and_can_be_cleared(
        self, sge_server: EmbeddedServer, sge_cluster: SgeCluster, folder: Path
    ) -> None:
        sge_cluster.command("qmod", "-d", "all.q")
        try:
            workflow = make_workflow(sge_server, [task("echo x >> lines", "a")], folder, "sge")
            workflow.run(wait=False)
            number = batch_id(sge_server, workflow, "a")
            sge_cluster.command("qalter", "-wd", "/nonexistent/folder", number)
        finally:
            sge_cluster.command("qmod", "-e", "all.q")
        page = f"/jobs/{find_job_id(sge_server, workflow, 'a')}/"
        wait_until(lambda: "/nonexistent/folder" in read_page(sge_server, page), 60, "the reason on the page", 0.5)
        sge_cluster.command("qalter", "-wd", "/", number)
        sge_cluster.command("qmod", "-cj", number)
        assert wait_for_end(sge_server, workflow) == "D"
        assert outcomes(sge_server, workflow) == {"a": [""]}


def check_liar(server: EmbeddedServer, cluster: SgeCluster | SlurmCluster, folder: Path) -> None:
    """Every submission is accepted and said to have failed: each job is found by its name; none runs twice."""
    workflow = make_workflow(server, write_lines(10, folder), folder, cluster.prefix)
    workflow.run(wait=False)
    assert wait_for_end(server, workflow) == "D"
    check_all_ran_once(server, workflow, folder, 10)
    assert {len(some) for some in list_attempts(server, workflow).values()} == {1}
    wait_until(lambda: lists_none_of(server, cluster), 30, "nothing is left in the queue")


@pytest.mark.sge
@pytest.mark.first
def test_submissions_accepted_but_reported_failed(sge_cluster: SgeCluster, folder: Path) -> None:
    programs = write_liars(sge_cluster, folder, "qsub")
    with serving("sge", **sge_settings(sge_cluster, BIN_DIR=str(programs), VERIFY="0")) as server:
        check_liar(server, sge_cluster, folder)


@pytest.mark.slurm
@pytest.mark.first
def test_submissions_to_slurm_accepted_but_reported_failed(slurm_cluster: SlurmCluster, folder: Path) -> None:
    programs = write_liars(slurm_cluster, folder, "sbatch")
    with serving("slurm", **slurm_settings(slurm_cluster, BIN_DIR=str(programs))) as server:
        check_liar(server, slurm_cluster, folder)


@pytest.mark.sge
@pytest.mark.slurm
@pytest.mark.first
def test_two_cells_slurm_and_this_machine_in_one_run(
    sge_cluster: SgeCluster, slurm_cluster: SlurmCluster, folder: Path
) -> None:
    """The workflow names one executor, a tag another, a job the third and the fourth; each has its own limits."""
    with running(SgeCluster) as second:
        settings = sge_settings(sge_cluster, CONCURRENT_TASKS="2") | sge_settings(second, "CELL2", MAX_LIVE="3")
        with serving("local,sge,cell2,slurm", **settings, **slurm_settings(slurm_cluster)) as server:
            tasks = [task(f"id -un >> {folder}/lines; : {n}", f"w{n}") for n in range(4)]
            tasks += [task(f"id -un >> {folder}/lines; : t{n}", f"t{n}", tag="far") for n in range(4)]
            tasks += [
                task(f"id -un >> {folder}/lines; : {where}", where, executor=where) for where in ("slurm", "local")
            ]
            workflow = make_workflow(server, tasks, folder, "sge", tag_executors={"far": "cell2"})
            workflow.run(wait=False)
            assert wait_for_end(server, workflow) == "D"
            assert workflow.workflow_id is not None
            expected = {f"w{n}": "sge" for n in range(4)} | {f"t{n}": "cell2" for n in range(4)}
            assert used_executors(server, workflow.workflow_id) == expected | {"slurm": "slurm", "local": "local"}
            assert count_lines(folder) == {USER: 9, "root": 1}
