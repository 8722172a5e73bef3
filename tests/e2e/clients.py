"""Submitting to an embedded server from a test, with the real client, and looking at the rows that result."""

from __future__ import annotations

import collections
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jobmon import BashTask, Workflow
from jobmon.api import Client
from tests.services import REPOSITORY, EmbeddedServer

LIVE = "('I', 'B', 'R')"


def connect(server: EmbeddedServer) -> Client:
    return Client(server=server.url, token=server.token)


def make_workflow(server: EmbeddedServer, workflow_args: str, tasks: Iterable[BashTask], folder: Path) -> Workflow:
    workflow = Workflow(workflow_args=workflow_args, working_dir=str(folder), client=connect(server))
    workflow.add_tasks(tasks)
    return workflow


def count_jobs(server: EmbeddedServer, dag_id: int) -> dict[str, int]:
    """The query that users have typed for years."""
    return dict(server.query(f"SELECT status, count(*) FROM job WHERE dag_id={dag_id} GROUP BY status"))


def find_dag_id(server: EmbeddedServer, workflow_id: int) -> int:
    return int(server.query(f"SELECT dag_id FROM workflow WHERE id={workflow_id}")[0][0])


def list_job_statuses(server: EmbeddedServer, dag_id: int) -> dict[str, str]:
    return dict(server.query(f"SELECT name, status FROM job WHERE dag_id={dag_id}"))


def list_instances(server: EmbeddedServer, dag_id: int) -> dict[str, list[str]]:
    """name of job → statuses of its instances, oldest first."""
    found = collections.defaultdict(list)
    for name, status in server.query(
        "SELECT j.name, i.status FROM job_instance i JOIN job j ON j.job_id = i.job_id "
        f"WHERE j.dag_id={dag_id} ORDER BY i.job_instance_id"
    ):
        found[name].append(status)
    return dict(found)


def count_live_instances(server: EmbeddedServer) -> int:
    return int(server.query(f"SELECT count(*) FROM job_instance WHERE status IN {LIVE}")[0][0])


def start_script(server: EmbeddedServer, path: Path, text: str) -> subprocess.Popen[bytes]:
    """Run a control script as a person does, in a process of its own."""
    path.write_text(text)
    environment = {**server.environment, "PYTHONPATH": str(REPOSITORY)}
    with open(path.with_suffix(".output"), "wb") as output:
        return subprocess.Popen(
            [sys.executable, str(path)], env=environment, cwd=path.parent, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def status_of(server: EmbeddedServer, workflow_id: int) -> str:
    return str(server.get(f"/api/v1/workflows/{workflow_id}/")["status"])


def fork_and_join(folder: Path) -> list[BashTask]:
    """a → b1, b2, b3 → c1, c2, c3 (each needs only its b) → d. Each job writes its name into `done`; b2 fails while
    there is no file `fixed`."""

    def task(name: str, upstreams: list[Any], guard: str = "true") -> BashTask:
        return BashTask(f"{guard} && echo {name} >> {folder}/done", name=name, upstream_tasks=upstreams, mem_free=0.1)

    a = task("a", [])
    b = [task(f"b{i}", [a], f"test -e {folder}/fixed" if i == 2 else "true") for i in (1, 2, 3)]
    c = [task(f"c{i}", [b[i - 1]]) for i in (1, 2, 3)]
    return [a, *b, *c, task("d", c)]
