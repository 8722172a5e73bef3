"""Parts of the server are killed in the middle of a run. No job may be lost, none may run twice, and nobody helps."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from jobmon import BashTask
from tests.e2e.clients import (
    count_jobs,
    count_live_instances,
    find_dag_id,
    list_instances,
    make_workflow,
    status_of,
)
from tests.services import PARTS, EmbeddedServer
from tests.waiting import wait_until

JOBS = 300
FINISH_SECONDS = 200.0


def start_run(server: EmbeddedServer, folder: Path, jobs: int = JOBS) -> int:
    """A run of jobs that each append their number to a file; every tenth waits for the nine before it."""
    tasks: list[BashTask] = []
    for number in range(jobs):
        upstreams = tasks[-9:] if number % 10 == 9 else []
        tasks.append(BashTask(f"echo {number} >> lines", name=f"job_{number}", upstream_tasks=upstreams, mem_free=0.01))
    workflow = make_workflow(server, "crash", tasks, folder)
    workflow.run(wait=False)
    assert workflow.workflow_id is not None
    return workflow.workflow_id


def count_lines(folder: Path) -> int:
    path = folder / "lines"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_lines(folder: Path, count: int) -> None:
    wait_until(lambda: count_lines(folder) >= count, 120, f"{count} jobs have run", pause=0.01)


def check_every_job_ran_once(server: EmbeddedServer, workflow_id: int, folder: Path, jobs: int = JOBS) -> None:
    dag_id = find_dag_id(server, workflow_id)
    assert status_of(server, workflow_id) == "D", f"{count_jobs(server, dag_id)}, {count_lines(folder)} lines"
    lines = collections.Counter((folder / "lines").read_text().split())
    assert lines == {str(number): 1 for number in range(jobs)}
    assert count_jobs(server, dag_id) == {"D": jobs}
    assert count_live_instances(server) == 0
    instances = list_instances(server, dag_id)
    assert len(instances) == jobs
    assert all(statuses.count("D") == 1 for statuses in instances.values())


def wait_for_end(server: EmbeddedServer, workflow_id: int) -> None:
    wait_until(lambda: status_of(server, workflow_id) != "R", FINISH_SECONDS, "the run has ended", pause=0.2)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_dies_in_the_middle(embedded_server: EmbeddedServer, tmp_path: Path, name: str) -> None:
    workflow_id = start_run(embedded_server, tmp_path)
    for share in (0.1, 0.4, 0.7):
        wait_for_lines(tmp_path, int(JOBS * share))
        embedded_server.wait_for_restart(name, embedded_server.kill_part(name))
    wait_for_end(embedded_server, workflow_id)
    check_every_job_ran_once(embedded_server, workflow_id, tmp_path)


def test_everything_dies_at_once_and_is_started_again(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    workflow_id = start_run(embedded_server, tmp_path)
    for share in (0.2, 0.6):
        wait_for_lines(tmp_path, int(JOBS * share))
        embedded_server.kill_everything()
        embedded_server.start()
    wait_for_end(embedded_server, workflow_id)
    check_every_job_ran_once(embedded_server, workflow_id, tmp_path)


def test_the_supervisor_alone_dies(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    workflow_id = start_run(embedded_server, tmp_path)
    wait_for_lines(tmp_path, JOBS // 3)
    embedded_server.process.kill()
    embedded_server.process.wait()
    embedded_server.start()
    wait_for_end(embedded_server, workflow_id)
    check_every_job_ran_once(embedded_server, workflow_id, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_parts_die_again_and_again(embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    """3,000 jobs; after every hundred, another part dies, now and then all of them."""
    jobs = 3000
    workflow_id = start_run(embedded_server, tmp_path, jobs)
    victims = [*PARTS, None]
    for round_number in range(jobs // 100 - 1):
        wait_for_lines(tmp_path, round_number * 100 + 50)
        victim = victims[round_number % len(victims)]
        if victim is None:
            embedded_server.kill_everything()
            embedded_server.start()
        else:
            embedded_server.wait_for_restart(victim, embedded_server.kill_part(victim))
    wait_until(lambda: status_of(embedded_server, workflow_id) != "R", 900, "the run has ended", pause=1)
    check_every_job_ran_once(embedded_server, workflow_id, tmp_path, jobs)
