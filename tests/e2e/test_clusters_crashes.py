"""Workers and Grid Engine's own master die in the middle of runs: nothing is lost, nothing runs twice, nobody helps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask, Workflow
from tests.e2e.clients import count_jobs, count_live_instances, find_dag_id
from tests.e2e.clusters import (
    count_lines,
    make_workflow,
    open_folder,
    outcomes,
    serving,
    sge_settings,
    wait_for_end,
    write_lines,
)
from tests.executors.cluster import USER, SgeCluster
from tests.services import EmbeddedServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.xdist_group("sge"), pytest.mark.timeout(600)]
BEFORE_QSUB = ("before_intent_commit", "after_intent_commit", "mid_directory", "pause_before_submit")
AFTER_QSUB = ("after_submit", "after_id_stored", "after_exit_read", "before_downstream")
JOBS = 40


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def start(server: EmbeddedServer, folder: Path, tasks: list[BashTask]) -> Workflow:
    workflow = make_workflow(server, tasks, folder, "sge")
    workflow.run(wait=False)
    return workflow


def check_all_ran_once(server: EmbeddedServer, workflow: Workflow, folder: Path, jobs: int = JOBS) -> None:
    """Every line stands there once; one success for each job; attempts beside it never started."""
    assert workflow.workflow_id is not None
    dag_id = find_dag_id(server, workflow.workflow_id)
    assert count_jobs(server, dag_id) == {"D": jobs}, outcomes(server, workflow)
    assert count_lines(folder) == {str(number): 1 for number in range(jobs)}
    assert count_live_instances(server) == 0
    for reasons in outcomes(server, workflow).values():
        assert reasons.count("") == 1
        assert set(reasons) <= {"", "void"}


def nothing_is_listed(server: EmbeddedServer, cluster: SgeCluster) -> bool:
    """No job of this server is left in Grid Engine."""
    return f"jm{server.environment['JOBMON_DEPLOYMENT']}-" not in cluster.command("qstat", "-xml", "-u", USER)


def kill_at(points: tuple[str, ...], folder: Path, hit: int = 1) -> dict[str, str]:
    """Variables with which a worker is killed once at each of these points."""
    (folder / "once").mkdir()
    return {
        "JOBMON_FAULTS": ",".join(f"{point}:kill@{hit}" if hit > 1 else f"{point}:kill" for point in points),
        "JOBMON_FAULTS_ONCE": str(folder / "once"),
    }


def run_with_kills(cluster: SgeCluster, folder: Path, points: tuple[str, ...], hit: int = 1) -> None:
    with serving("sge", **sge_settings(cluster), **kill_at(points, folder, hit)) as server:
        workflow = start(server, folder, write_lines(JOBS, folder))
        assert wait_for_end(server, workflow, 500) == "D"
        assert {path.name for path in (folder / "once").iterdir()} == set(points), "a worker died at each point"
        check_all_ran_once(server, workflow, folder)
        wait_until(lambda: nothing_is_listed(server, cluster), 30, "nothing is left in the queue")


@pytest.mark.parametrize("points", [BEFORE_QSUB, AFTER_QSUB], ids=["before-qsub", "after-qsub"])
def test_workers_killed_at_every_step(sge_cluster: SgeCluster, folder: Path, points: tuple[str, ...]) -> None:
    run_with_kills(sge_cluster, folder, points)


@pytest.mark.slow
@pytest.mark.parametrize("hit", [2, 5])
@pytest.mark.parametrize("point", BEFORE_QSUB + AFTER_QSUB)
def test_a_worker_killed_at_a_later_step(sge_cluster: SgeCluster, folder: Path, point: str, hit: int) -> None:
    run_with_kills(sge_cluster, folder, (point,), hit)


@pytest.mark.slow
def test_a_worker_killed_while_it_gives_an_attempt_up(sge_cluster: SgeCluster, folder: Path) -> None:
    """The attempt whose intent alone was written is voided; the worker that has just done so dies too."""
    run_with_kills(sge_cluster, folder, ("after_intent_commit", "after_void_link"))


def test_a_worker_killed_while_it_kills(sge_cluster: SgeCluster, folder: Path) -> None:
    with serving("sge", **sge_settings(sge_cluster), **kill_at(("in_kill",), folder)) as server:
        tasks = [BashTask(f"touch {folder}/s{n}; exec sleep 1000", name=f"j{n}", mem_free=0.01) for n in range(5)]
        workflow = start(server, folder, tasks)
        wait_until(lambda: len(list(folder.glob("s*"))) == 5, 60, "all run")
        workflow.stop("kill")
        assert wait_for_end(server, workflow, 500) == "S"
        assert (folder / "once" / "in_kill").exists()
        assert {reason for reasons in outcomes(server, workflow).values() for reason in reasons} == {"killed"}
        assert nothing_is_listed(server, sge_cluster)


def test_qmaster_dies_while_jobs_run_and_are_submitted(sge_cluster: SgeCluster, folder: Path) -> None:
    """Some wait for a file that appears while nobody can be asked; the others depend on each other: something is
    always just being submitted."""
    with serving("sge", **sge_settings(sge_cluster)) as server:
        tasks = write_lines(JOBS, folder, upstreams_of=5, pause=0.3)
        for number in range(JOBS, JOBS + 4):
            wait = f"touch {folder}/s{number}; until test -e {folder}/go; do sleep 0.2; done"
            command = f"{wait}; echo {number} >> {folder}/lines"
            tasks.append(BashTask(command, name=f"job_{number}", mem_free=0.01))
        workflow = start(server, folder, tasks)
        wait_until(
            lambda: len(list(folder.glob("s*"))) == 4 and count_lines(folder).total() >= 8, 60, "it is under way"
        )
        sge_cluster.kill("qmaster")
        state = "SELECT failures_in_a_row FROM executor_state WHERE name='sge'"
        wait_until(lambda: server.query(state)[0][0] >= 2, 60, "it is known that Grid Engine does not answer")
        (folder / "go").touch()
        wait_until(
            lambda: count_lines(folder).keys() >= {str(n) for n in range(JOBS, JOBS + 4)}, 60, "the long jobs end"
        )
        sge_cluster.up()
        assert wait_for_end(server, workflow, 500) == "D"
        check_all_ran_once(server, workflow, folder, JOBS + 4)
        wait_until(lambda: nothing_is_listed(server, sge_cluster), 60, "nothing is left in the queue")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_qmaster_dies_again_and_again(sge_cluster: SgeCluster, folder: Path) -> None:
    jobs = 300
    with serving("sge", **sge_settings(sge_cluster)) as server:
        workflow = start(server, folder, write_lines(jobs, folder, upstreams_of=30, pause=0.3))
        began = time.monotonic()
        for share in (0.1, 0.4, 0.7):
            wait_until(lambda share=share: count_lines(folder).total() >= jobs * share, 240, f"{share:.0%} have run")
            sge_cluster.kill("qmaster")
            sge_cluster.up()
        assert wait_for_end(server, workflow, 600) == "D", f"after {time.monotonic() - began:.0f} s"
        check_all_ran_once(server, workflow, folder, jobs)
