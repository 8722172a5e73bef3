"""Workers and Grid Engine's own master die in the middle of runs: nothing is lost, nothing runs twice, nobody helps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask, Workflow
from tests.e2e.clusters import (
    AFTER_SUBMISSION,
    BEFORE_SUBMISSION,
    check_all_ran_once,
    count_lines,
    kill_at,
    lists_none_of,
    make_workflow,
    open_folder,
    outcomes,
    run_with_kills,
    serving,
    sge_settings,
    wait_for_end,
    wait_for_files,
    write_lines,
)
from tests.executors.cluster import SgeCluster
from tests.services import EmbeddedServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.first, pytest.mark.timeout(600)]
JOBS = 40


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def start(server: EmbeddedServer, folder: Path, tasks: list[BashTask]) -> Workflow:
    workflow = make_workflow(server, tasks, folder, "sge")
    workflow.run(wait=False)
    return workflow


@pytest.mark.parametrize("points", [BEFORE_SUBMISSION, AFTER_SUBMISSION], ids=["before-qsub", "after-qsub"])
def test_workers_killed_at_every_step(sge_cluster: SgeCluster, folder: Path, points: tuple[str, ...]) -> None:
    run_with_kills(sge_cluster, folder, points)


@pytest.mark.slow
@pytest.mark.parametrize("hit", [2, 5])
@pytest.mark.parametrize("point", BEFORE_SUBMISSION + AFTER_SUBMISSION)
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
        assert lists_none_of(server, sge_cluster)


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
        sge_cluster.pause_deliveries()
        sge_cluster.kill("qmaster")
        state = "SELECT failures_in_a_row FROM executor_state WHERE name='sge'"
        wait_until(lambda: server.query(state)[0][0] >= 2, 60, "it is known that Grid Engine does not answer")
        (folder / "go").touch()
        wait_until(
            lambda: count_lines(folder).keys() >= {str(n) for n in range(JOBS, JOBS + 4)}, 60, "the long jobs end"
        )
        sge_cluster.up()
        assert wait_for_end(server, workflow) == "D"
        check_all_ran_once(server, workflow, folder, JOBS + 4)
        wait_until(lambda: lists_none_of(server, sge_cluster), 60, "nothing is left in the queue")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_qmaster_dies_again_and_again(sge_cluster: SgeCluster, folder: Path) -> None:
    """With jobs on their way to the node: each time one of them may wait for its second delivery for 300 s."""
    jobs = 300
    with serving("sge", **sge_settings(sge_cluster)) as server:
        workflow = start(server, folder, write_lines(jobs, folder, upstreams_of=30, pause=0.3))
        began = time.monotonic()
        for share in (0.1, 0.4, 0.7):
            wait_until(lambda share=share: count_lines(folder).total() >= jobs * share, 450, f"{share:.0%} have run")
            sge_cluster.kill("qmaster")
            sge_cluster.up()
        assert wait_for_end(server, workflow, 600) == "D", f"after {time.monotonic() - began:.0f} s"
        check_all_ran_once(server, workflow, folder, jobs)


def test_execd_dies_and_jobs_end_without_it(sge_cluster: SgeCluster, folder: Path) -> None:
    """Their own exit records are enough: the run is over before anybody has started execd again."""
    with serving("sge", **sge_settings(sge_cluster)) as server:
        wait = f"until test -e {folder}/go; do sleep 0.2; done"
        tasks = [
            BashTask(f"touch {folder}/s{n}; {wait}; echo {n} >> {folder}/lines", name=f"job_{n}", mem_free=0.01)
            for n in range(6)
        ]
        workflow = start(server, folder, tasks)
        wait_for_files(folder, *(f"s{number}" for number in range(6)))
        sge_cluster.kill("execd")
        try:
            (folder / "go").touch()
            assert wait_for_end(server, workflow) == "D"
            check_all_ran_once(server, workflow, folder, 6)
        finally:
            sge_cluster.up()


@pytest.mark.slow
def test_a_worker_that_sleeps_past_its_void_starts_nothing(sge_cluster: SgeCluster, folder: Path) -> None:
    """It wakes with a submission that was given up meanwhile: that job loses its token, and a later attempt counts."""
    faults = {"JOBMON_FAULTS": "pause_before_submit:sleep=40", "JOBMON_FAULTS_ONCE": str(folder / "once")}
    (folder / "once").mkdir()
    with serving("sge", **sge_settings(sge_cluster), **faults) as server:
        workflow = start(server, folder, write_lines(5, folder))
        assert wait_for_end(server, workflow) == "D"
        check_all_ran_once(server, workflow, folder, 5)
        assert any("void" in reasons for reasons in outcomes(server, workflow).values())
        wait_until(lambda: lists_none_of(server, sge_cluster), 60, "nothing is left in the queue")
        assert count_lines(folder).total() == 5
