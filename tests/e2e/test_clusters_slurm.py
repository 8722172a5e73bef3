"""Workflows on a real Slurm, through the real server, as a user who is not root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask
from tests.e2e.clients import find_dag_id, fork_and_join, list_instances, status_of
from tests.e2e.clusters import (
    AFTER_SUBMISSION,
    BEFORE_SUBMISSION,
    check_all_ran_once,
    count_lines,
    find_job_id,
    list_attempts,
    make_workflow,
    open_folder,
    outcomes,
    read_page,
    run_with_kills,
    serving,
    slurm_settings,
    wait_for_end,
    wait_for_files,
    write_lines,
)
from tests.executors.cluster import USER, SlurmCluster
from tests.services import EmbeddedServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.first, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(slurm_cluster: SlurmCluster) -> Iterator[EmbeddedServer]:
    with serving("local,slurm", **slurm_settings(slurm_cluster)) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def task(command: str, name: str, **given: object) -> BashTask:
    return BashTask(command, name=name, **{"mem_free": 0.05, "max_attempts": 1, **given})


def test_a_failure_stops_what_needs_it_and_is_repaired(server: EmbeddedServer, folder: Path) -> None:
    workflow = make_workflow(server, fork_and_join(folder), folder, "slurm")
    workflow.run(wait=False)
    assert wait_for_end(server, workflow) == "E"
    (folder / "fixed").touch()
    again = make_workflow(server, fork_and_join(folder), folder, "slurm")
    again.run(wait=False)
    assert wait_for_end(server, again) == "D"
    others = ("a", "b1", "b3", "c1", "c2", "c3", "d")
    attempts = list_instances(server, find_dag_id(server, again.workflow_id))
    assert attempts == {**{name: ["D"] for name in others}, "b2": ["E", "E", "E", "D"]}
    assert count_lines(folder, "done") == dict.fromkeys((*others, "b2"), 1)


def test_exit_codes_are_the_jobs_own(server: EmbeddedServer, folder: Path) -> None:
    codes = (0, 1, 99, 100, 137)
    workflow = make_workflow(server, [task(f"exit {code}", f"exit_{code}") for code in codes], folder, "slurm")
    workflow.run(wait=False)
    assert wait_for_end(server, workflow) == "E"
    found = list_attempts(server, workflow)
    assert {name: [one["exit_code"] for one in some] for name, some in found.items()} == {
        f"exit_{code}": [code] for code in codes
    }


def test_over_its_memory_it_is_tried_again_with_more(server: EmbeddedServer, folder: Path) -> None:
    """The kernel ends the command, the wrapper around it lives on: its record says 137, accounting says why."""
    eat = "head -c 200000000 /dev/zero | tail >/dev/null"
    command = f"test -e {folder}/tried || {{ touch {folder}/tried; {eat}; }}"
    workflow = make_workflow(server, [task(command, "a", max_attempts=2, mem_free=0.1)], folder, "slurm")
    workflow.run(wait=False)
    assert wait_for_end(server, workflow) == "D"
    assert outcomes(server, workflow) == {"a": ["memory", ""]}
    first, second = list_attempts(server, workflow)["a"]
    assert second["mem_free"] == pytest.approx(first["mem_free"] * 1.5)


def test_a_kill_leaves_nothing(server: EmbeddedServer, slurm_cluster: SlurmCluster, folder: Path) -> None:
    tasks = [task(f"touch {folder}/s{number}; exec sleep 1000", f"j{number}") for number in range(40)]
    workflow = make_workflow(server, tasks, folder, "slurm")
    workflow.run(wait=False)
    wait_until(lambda: len(list(folder.glob("s*"))) >= 8, 60, "some run")
    workflow.stop("kill")
    assert wait_for_end(server, workflow) == "S"
    listed = slurm_cluster.command("squeue", "-h", "-u", USER, "-o", "%j %T")
    assert f"jm{server.environment['JOBMON_DEPLOYMENT']}-" not in listed
    assert {reason for some in outcomes(server, workflow).values() for reason in some} == {"killed"}


def test_an_unknown_account_is_refused_in_sbatchs_words(server: EmbeddedServer, folder: Path) -> None:
    workflow = make_workflow(server, [task("true", "a", max_attempts=3)], folder, "slurm", project="nosuch")
    workflow.run(wait=False)
    assert wait_for_end(server, workflow) == "E"
    assert outcomes(server, workflow) == {"a": ["refused"]}
    assert "Invalid account" in read_page(server, f"/jobs/{find_job_id(server, workflow, 'a')}/")


def test_cancelled_from_outside_it_is_tried_again(
    server: EmbeddedServer, slurm_cluster: SlurmCluster, folder: Path
) -> None:
    command = f"echo x >> lines; test -e {folder}/tried || {{ touch {folder}/tried; exec sleep 1000; }}"
    workflow = make_workflow(server, [task(command, "a", max_attempts=2)], folder, "slurm")
    workflow.run(wait=False)
    wait_for_files(folder, "tried")
    name = wait_until(lambda: list_attempts(server, workflow).get("a"), what="its attempt")[0]["name"]
    slurm_cluster.command("scancel", f"--name={name}")
    assert wait_for_end(server, workflow) == "D"
    assert outcomes(server, workflow) == {"a": ["signal", ""]}
    assert count_lines(folder) == {"x": 2}


def test_hot_resume_adopts_and_cold_resume_ends_what_runs(server: EmbeddedServer, folder: Path) -> None:
    def tasks() -> list[BashTask]:
        waits = f"touch {folder}/started; until test -e {folder}/go; do sleep 0.2; done"
        return [task(f"echo x >> lines; {waits}", "a")]

    first = make_workflow(server, tasks(), folder, "slurm")
    first.run(wait=False)
    wait_for_files(folder, "started")
    first.stop("drain")
    adopting = make_workflow(server, tasks(), folder, "slurm")
    adopting.run(resume="hot", wait=False)
    assert status_of(server, adopting.workflow_id or 0) == "R"
    assert count_lines(folder) == {"x": 1}
    adopting.stop("kill")
    again = make_workflow(server, tasks(), folder, "slurm")
    again.run(resume="cold", wait=False)
    (folder / "go").touch()
    assert wait_for_end(server, again) == "D"
    assert outcomes(server, again) == {"a": ["killed", ""]}
    assert count_lines(folder) == {"x": 2}


@pytest.mark.parametrize("points", [BEFORE_SUBMISSION, AFTER_SUBMISSION], ids=["before-sbatch", "after-sbatch"])
def test_workers_killed_at_every_step(slurm_cluster: SlurmCluster, folder: Path, points: tuple[str, ...]) -> None:
    run_with_kills(slurm_cluster, folder, points)


@pytest.mark.slow
@pytest.mark.parametrize("hit", [2, 5])
@pytest.mark.parametrize("point", BEFORE_SUBMISSION + AFTER_SUBMISSION)
def test_a_worker_killed_at_a_later_step(slurm_cluster: SlurmCluster, folder: Path, point: str, hit: int) -> None:
    run_with_kills(slurm_cluster, folder, (point,), hit)


def test_slurmd_dies_and_jobs_end_without_it(slurm_cluster: SlurmCluster, folder: Path) -> None:
    """Their own exit records are enough: the run is over before anybody has started slurmd again."""
    with serving("slurm", **slurm_settings(slurm_cluster)) as server:
        wait = f"until test -e {folder}/go; do sleep 0.2; done"
        commands = [f"touch {folder}/s{n}; {wait}; echo {n} >> {folder}/lines" for n in range(6)]
        tasks = [task(command, f"job_{number}") for number, command in enumerate(commands)]
        workflow = make_workflow(server, tasks, folder, "slurm")
        workflow.run(wait=False)
        wait_for_files(folder, *(f"s{number}" for number in range(6)))
        slurm_cluster.kill("slurmd")
        try:
            (folder / "go").touch()
            assert wait_for_end(server, workflow) == "D"
            check_all_ran_once(server, workflow, folder, 6)
        finally:
            slurm_cluster.up()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_jobs_run_once_each(server: EmbeddedServer, folder: Path) -> None:
    tasks = [task(f"echo {number} >> {folder}/lines", f"job_{number}") for number in range(1000)]
    workflow = make_workflow(server, tasks, folder, "slurm")
    workflow.run(wait=False)
    assert wait_for_end(server, workflow, 500) == "D"
    check_all_ran_once(server, workflow, folder, 1000)


def test_usage_is_filled_in_from_accounting(server: EmbeddedServer, folder: Path) -> None:
    workflow = make_workflow(server, [task("sleep 2.5", "a"), task("exit 3", "b")], folder, "slurm")
    workflow.run(wait=False)
    wait_for_end(server, workflow)

    def is_filled() -> bool:
        return list_attempts(server, workflow)["a"][0]["maxvmem"] is not None

    wait_until(is_filled, 60, "the memory is known", pause=0.3)


@pytest.mark.slow
def test_over_its_run_time(server: EmbeddedServer, folder: Path) -> None:
    """Slurm's clock has whole minutes. TERM comes first: the record says 143, accounting says why."""
    workflow = make_workflow(server, [task("exec sleep 1000", "a", max_runtime=30)], folder, "slurm")
    workflow.run(wait=False)
    assert wait_for_end(server, workflow, 200) == "E"
    assert outcomes(server, workflow) == {"a": ["runtime"]}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_slurmctld_dies_while_jobs_run_and_are_submitted(slurm_cluster: SlurmCluster, folder: Path) -> None:
    """It may forget jobs that it had just accepted, and end those that it finds running: such attempts are tried again.
    No line stands there twice for a job whose attempt was not ended by Slurm itself."""
    jobs = 40
    with serving("slurm", **slurm_settings(slurm_cluster)) as server:
        workflow = make_workflow(server, write_lines(jobs, folder, upstreams_of=5, pause=0.5), folder, "slurm")
        workflow.run(wait=False)
        wait_until(lambda: count_lines(folder).total() >= 8, 60, "it is under way")
        slurm_cluster.kill("slurmctld")
        slurm_cluster.up()
        assert wait_for_end(server, workflow, 400) == "D"
        assert count_lines(folder).keys() == {str(number) for number in range(jobs)}
        for name, reasons in outcomes(server, workflow).items():
            started = [reason for reason in reasons if reason != "void"]
            assert reasons.count("") == 1
            assert 1 <= count_lines(folder)[name.removeprefix("job_")] <= len(started)
