"""Workflows on a real Grid Engine, through the real server, as a user who is not root."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmon import BashTask
from tests.e2e.clients import (
    count_live_instances,
    find_dag_id,
    fork_and_join,
    list_instances,
    list_job_statuses,
)
from tests.e2e.clusters import (
    connect,
    count_lines,
    find_job_id,
    list_attempts,
    make_workflow,
    open_folder,
    outcomes,
    read_page,
    serving,
    sge_settings,
    used_executors,
    wait_for_end,
    wait_for_files,
)
from tests.executors.cluster import USER, SgeCluster, log_commands
from tests.services import REPOSITORY, EmbeddedServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.first, pytest.mark.timeout(300)]
COMMANDS = ("qsub", "qstat", "qdel")


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """Grid Engine's commands, each of which writes its name into `log`."""
    with open_folder() as folder:
        made, _ = log_commands(SgeCluster.binaries, COMMANDS, folder / "programs")
        yield made


@pytest.fixture(scope="module")
def server(sge_cluster: SgeCluster, programs: Path) -> Iterator[EmbeddedServer]:
    """Local jobs, and two ways to use the cell: `big` asks for memory that is enforced, and has limits of its own."""
    big = {"MEMORY_RESOURCES": "h_vmem", "MAX_MEMORY": "0.25"}
    # Every qstat in the log is a listing: why jobs wait is not asked
    listings = sge_settings(sge_cluster, BIN_DIR=str(programs), REASON_INTERVAL="0")
    environment = listings | sge_settings(sge_cluster, "BIG", **big)
    with serving("local,sge,big", **environment) as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def task(command: str, name: str, **given: object) -> BashTask:
    return BashTask(command, name=name, **{"mem_free": 0.01, "max_attempts": 1, **given})


class TestRuns:
    def test_the_quickstart(self, server: EmbeddedServer, folder: Path) -> None:
        """Its tasks as they stand, with the system's Python: that of the tests may be closed to the jobs' user."""
        for name in ("quickstart.py", "runme.py"):
            shutil.copy(REPOSITORY / "examples" / name, folder)
        script = (
            "import sys; sys.executable = '/usr/bin/python3'\n"
            "import quickstart\n"
            "workflow = quickstart.build_workflow('on sge')\n"
            "workflow.options.executor = 'sge'\n"
            "sys.exit(0 if workflow.run() else 1)\n"
        )
        (folder / "jobmon_output").mkdir()
        (folder / "jobmon_output").chmod(0o777)
        environment = {**server.environment, "HOME": str(folder), "PYTHONPATH": f"{REPOSITORY}:{folder}"}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (folder / "cpof_jobmon_qs.txt").exists()
        assert not (folder / "jobmon_qs.txt").exists()
        assert (folder / "cpof_jobmon_qs.txt").owner() == USER
        outputs = [path for path in (folder / "jobmon_output").iterdir() if ".o" in path.name]
        assert len(outputs) == 4

    def test_a_failure_stops_what_needs_it_and_is_repaired(self, server: EmbeddedServer, folder: Path) -> None:
        workflow = make_workflow(server, fork_and_join(folder), folder, "sge")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow) == "E"
        dag_id = find_dag_id(server, workflow.workflow_id)
        done, waiting = ("a", "b1", "b3", "c1", "c3"), ("c2", "d")
        expected = {**dict.fromkeys(done, "D"), **dict.fromkeys(waiting, "G"), "b2": "F"}
        assert list_job_statuses(server, dag_id) == expected
        (folder / "fixed").touch()
        again = make_workflow(server, fork_and_join(folder), folder, "sge")
        again.run(wait=False)
        assert wait_for_end(server, again) == "D"
        attempts = list_instances(server, dag_id)
        assert attempts == {**{name: ["D"] for name in (*done, *waiting)}, "b2": ["E", "E", "E", "D"]}
        assert count_lines(folder, "done") == dict.fromkeys((*done, *waiting, "b2"), 1)

    def test_one_workflow_on_several_executors(self, server: EmbeddedServer, folder: Path) -> None:
        """A job may name its own executor; the REST interface offers it."""
        jobs = [
            {"name": "here", "command": "id -un > here", "executor": "local", "mem_free": 0.01},
            {"name": "there", "command": "id -un > there", "upstreams": ["here"], "mem_free": 0.01},
            {"name": "big", "command": "id -un > big", "executor": "big", "upstreams": ["there"], "mem_free": 0.2},
        ]
        header = {"workflow_args": f"several {folder.name}", "executor": "sge", "working_dir": str(folder)}
        client = connect(server)
        bound = client.submit_workflow({**header, "jobs": jobs})
        client.start_run(bound["id"], {})
        wait_for_files(folder, "big")
        wait_until(lambda: client.get_workflow(bound["id"])["status"] == "D", 60, "the workflow is done")
        assert used_executors(server, bound["id"]) == {"here": "local", "there": "sge", "big": "big"}
        assert (folder / "there").read_text().strip() == USER

    def test_a_run_may_choose_another_executor(self, server: EmbeddedServer, folder: Path) -> None:
        workflow = make_workflow(server, [task("true", "a")], folder, "local")
        workflow.bind()
        workflow.client.start_run(workflow.workflow_id, {"executor": "sge"})
        assert wait_for_end(server, workflow) == "D"
        assert used_executors(server, workflow.workflow_id) == {"a": "sge"}

    def test_jobmon_test(self, server: EmbeddedServer, folder: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "jobmon", "test", "--executor", "sge"],
            env={**server.environment, "HOME": str(folder), "PYTHONPATH": str(REPOSITORY)},
            cwd=folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "sge is known (all: local, sge, big)" in done.stdout


class TestEndings:
    def test_exit_codes_are_the_jobs_own(self, server: EmbeddedServer, folder: Path) -> None:
        """99 and 100 are orders to Grid Engine, 137 looks like a kill."""
        codes = (0, 1, 99, 100, 137)
        workflow = make_workflow(server, [task(f"exit {code}", f"exit_{code}") for code in codes], folder, "sge")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow) == "E"
        found = {
            name: [(one["exit_code"], one["reason"]) for one in some]
            for name, some in list_attempts(server, workflow).items()
        }
        assert found == {
            "exit_0": [(0, "")],
            "exit_1": [(1, "exit")],
            "exit_99": [(99, "exit")],
            "exit_100": [(100, "exit")],
            "exit_137": [(137, "signal")],
        }

    def test_an_unknown_project_is_refused_in_qsubs_words(self, server: EmbeddedServer, folder: Path) -> None:
        workflow = make_workflow(server, [task("true", "a", max_attempts=3)], folder, "sge", project="nosuch")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow) == "E"
        assert outcomes(server, workflow) == {"a": ["refused"]}
        words = 'the requested project "nosuch" does not exist'
        (error,) = workflow.get_errors()
        assert words in error["description"]
        assert words in read_page(server, f"/jobs/{find_job_id(server, workflow, 'a')}/")

    def test_over_its_run_time_it_is_tried_again_with_more(self, server: EmbeddedServer, folder: Path) -> None:
        command = f"test -e {folder}/tried || {{ touch {folder}/tried; exec sleep 1000; }}"
        workflow = make_workflow(server, [task(command, "a", max_attempts=2, max_runtime=2)], folder, "sge")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow) == "D"
        assert outcomes(server, workflow) == {"a": ["runtime", ""]}
        first, second = list_attempts(server, workflow)["a"]
        assert (first["max_runtime"], second["max_runtime"]) == (2, 3)

    def test_over_its_memory_it_is_tried_again_with_as_much_as_there_is(
        self, server: EmbeddedServer, folder: Path
    ) -> None:
        """Several processes together; half more would be 0.3 GB, but the executor gives 0.25."""
        eat = "{ head -c 130000000 /dev/zero; sleep 100; } | tail >/dev/null &"
        command = f"test -e {folder}/tried || {{ touch {folder}/tried; {eat} {eat} wait; }}"
        workflow = make_workflow(server, [task(command, "a", max_attempts=2, mem_free=0.2)], folder, "big")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow) == "D"
        assert outcomes(server, workflow) == {"a": ["memory", ""]}
        first, second = list_attempts(server, workflow)["a"]
        assert (first["mem_free"], second["mem_free"]) == (0.2, 0.25)
        assert first["maxvmem"] > 200_000_000

    def test_more_than_the_executor_gives_is_refused(self, server: EmbeddedServer, folder: Path) -> None:
        workflow = make_workflow(server, [task("true", "a", mem_free=0.3)], folder, "big")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow) == "E"
        (error,) = workflow.get_errors()
        assert "more than big gives (0.25 GB)" in error["description"]

    def test_usage_is_filled_in_from_accounting(self, server: EmbeddedServer, folder: Path) -> None:
        tasks = [task("head -c 50000000 /dev/zero | tail -c 1; sleep 1.5", "a"), task("exit 3", "b")]
        workflow = make_workflow(server, tasks, folder, "sge")
        workflow.run(wait=False)
        wait_for_end(server, workflow)

        def is_filled() -> bool:
            return all(one["maxvmem"] is not None for some in list_attempts(server, workflow).values() for one in some)

        wait_until(is_filled, 60, "the memory of all attempts is known", pause=0.3)
        assert list_attempts(server, workflow)["a"][0]["maxvmem"] > 2**20
        ((wallclock, io),) = server.query(
            "SELECT i.wallclock, i.io FROM job_instance i JOIN job j ON j.job_id = i.job_id"
            f" WHERE j.name = 'a' AND j.dag_id = {find_dag_id(server, workflow.workflow_id)}"
        )
        assert wallclock >= 1
        assert io is not None


class TestStopping:
    def test_a_kill_leaves_nothing(self, server: EmbeddedServer, sge_cluster: SgeCluster, folder: Path) -> None:
        """More jobs than slots: running and pending ones."""
        tasks = [task(f"touch {folder}/s{number}; exec sleep 1000", f"j{number}") for number in range(40)]
        workflow = make_workflow(server, tasks, folder, "sge")
        workflow.run(wait=False)
        wait_until(lambda: len(list(folder.glob("s*"))) == 32, 60, "all slots are taken")
        workflow.stop("kill")
        assert wait_for_end(server, workflow) == "S"
        names = {one["name"] for some in list_attempts(server, workflow).values() for one in some}
        batch = {name.partition(".")[0] for name in names}
        listed = sge_cluster.command("qstat", "-xml", "-u", USER)
        assert not [name for name in batch if name in listed]
        assert {reason for some in outcomes(server, workflow).values() for reason in some} == {"killed"}

    def test_hot_resume_adopts_what_runs(self, server: EmbeddedServer, folder: Path) -> None:
        def tasks() -> list[BashTask]:
            gate = task(f"touch {folder}/started; until test -e {folder}/go; do sleep 0.2; done; echo a >> lines", "a")
            return [gate, task("echo b >> lines", "b", upstream_tasks=[gate])]

        workflow = make_workflow(server, tasks(), folder, "sge")
        workflow.run(wait=False)
        wait_for_files(folder, "started")
        workflow.stop("drain")
        again = make_workflow(server, tasks(), folder, "sge")
        again.run(resume="hot", wait=False)
        (folder / "go").touch()
        assert wait_for_end(server, again) == "D"
        assert outcomes(server, again) == {"a": [""], "b": [""]}
        assert count_lines(folder) == {"a": 1, "b": 1}

    def test_cold_resume_waits_for_the_end_of_what_runs(self, server: EmbeddedServer, folder: Path) -> None:
        def tasks() -> list[BashTask]:
            return [
                task(f"echo x >> lines; touch {folder}/started; until test -e {folder}/go; do sleep 0.2; done", "a")
            ]

        workflow = make_workflow(server, tasks(), folder, "sge")
        workflow.run(wait=False)
        wait_for_files(folder, "started")
        workflow.stop("kill")
        again = make_workflow(server, tasks(), folder, "sge")
        again.run(resume="cold", wait=False)
        (folder / "go").touch()
        assert wait_for_end(server, again) == "D"
        assert outcomes(server, again) == {"a": ["killed", ""]}
        assert count_lines(folder) == {"x": 2}


class TestManyJobs:
    def test_a_thousand_ready_jobs_are_a_few_arrays_and_one_listing_a_second(
        self, server: EmbeddedServer, sge_cluster: SgeCluster, programs: Path, folder: Path
    ) -> None:
        """None can start: the queue is closed. Two runs are live; both together cause one listing per interval."""
        log = programs / "log"
        sge_cluster.command("qmod", "-d", "all.q")
        try:
            before = log.read_text()
            other = make_workflow(server, [task("true", "other")], folder, "sge", name="other")
            workflow = make_workflow(server, [task(f": {i}", f"j{i}") for i in range(1000)], folder, "sge")
            other.options.workflow_args += " other"
            other.run(wait=False)
            workflow.run(wait=False)
            dag_id = find_dag_id(server, workflow.workflow_id)
            submitted = (
                "SELECT count(*) FROM job_instance i JOIN job j ON j.job_id = i.job_id"
                f" WHERE i.status = 'B' AND j.dag_id = {dag_id}"
            )
            wait_until(lambda: server.query(submitted)[0][0] == 1000, 60, "all are submitted")
            commands = log.read_text().removeprefix(before).split()
            assert 1 <= commands.count("qsub") <= 4
            began, listed = time.monotonic(), log.read_text().count("qstat")
            wait_until(lambda: log.read_text().count("qstat") >= listed + 4, 60, "some listings")
            assert (log.read_text().count("qstat") - listed) / (time.monotonic() - began) < 1.5
            for one in (workflow, other):
                one.stop("kill")
            assert {wait_for_end(server, workflow), wait_for_end(server, other)} == {"S"}
            listed_names = sge_cluster.command("qstat", "-xml", "-u", USER)
            assert server.environment["JOBMON_DEPLOYMENT"] not in listed_names
        finally:
            sge_cluster.command("qmod", "-e", "all.q")

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_a_thousand_jobs_run_once_each(self, server: EmbeddedServer, folder: Path) -> None:
        tasks = [task(f"echo {i} >> {folder}/lines", f"j{i}") for i in range(1000)]
        workflow = make_workflow(server, tasks, folder, "sge")
        workflow.run(wait=False)
        assert wait_for_end(server, workflow, 500) == "D"
        assert count_lines(folder) == {str(i): 1 for i in range(1000)}
        assert count_live_instances(server) == 0
