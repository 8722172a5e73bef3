"""Two workers and two beats at once: nothing is doubled, nothing is lost."""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobmon import BashTask
from tests.e2e.clients import find_dag_id, list_instances, make_workflow, status_of
from tests.services import REPOSITORY, EmbeddedServer
from tests.waiting import wait_until

JOBS = 150
CELERY = [sys.executable, "-m", "celery", "--skip-checks", "-A", "jobmon_site"]
WORKER = ["worker", "--pool", "threads", "-c", "4", "--without-gossip", "--without-mingle", "--without-heartbeat"]


class Part:
    """One more Celery process of a server that is up."""

    def __init__(self, server: EmbeddedServer, words: list[str], log: Path) -> None:
        self.ear, telling = os.pipe()
        os.set_blocking(self.ear, False)
        more = {"JOBMON_PORT": str(server.server_file["port"]), "JOBMON_READY_FD": str(telling)}
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [*CELERY, *words], env={**server.environment, **more}, cwd=REPOSITORY, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, pass_fds=(telling,),
            )  # fmt: skip
        os.close(telling)

    def has_announced(self) -> bool:
        try:
            return os.read(self.ear, 1) == b"1"
        except BlockingIOError:
            return False

    def stop(self) -> None:
        os.close(self.ear)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def more_parts(server: EmbeddedServer, folder: Path) -> Iterator[None]:
    """A second worker and a second beat."""
    beat = ["beat", "--pidfile=", "--schedule", str(folder / "second-schedule")]
    worker = [*WORKER, "--hostname", "second@%h", "-l", "WARNING"]
    parts = [Part(server, worker, folder / "second-worker.log"), Part(server, beat, folder / "second-beat.log")]
    try:
        for part in parts:
            wait_until(part.has_announced, 120, "the second worker and the second beat are up")
        yield
    finally:
        for part in parts:
            part.stop()


def test_two_workers_and_two_beats(make_embedded_server, tmp_path: Path) -> None:
    server = make_embedded_server(JOBMON_SWEEP_SECONDS="1").start()
    tasks: list[BashTask] = []
    for number in range(JOBS):
        upstreams = tasks[-9:] if number % 10 == 9 else []
        tasks.append(
            BashTask(f"echo {number} >> lines", name=f"job_{number}", upstream_tasks=upstreams, mem_free=0.001)
        )
    with more_parts(server, tmp_path):
        workflow = make_workflow(server, "many", tasks, tmp_path)
        workflow.run(wait=False)
        assert workflow.workflow_id is not None
        wait_until(lambda: status_of(server, workflow.workflow_id) != "R", 120, "the run is over", pause=0.2)
    assert status_of(server, workflow.workflow_id) == "D"
    assert collections.Counter((tmp_path / "lines").read_text().split()) == {str(n): 1 for n in range(JOBS)}
    instances = list_instances(server, find_dag_id(server, workflow.workflow_id))
    assert set(map(tuple, instances.values())) == {("D",)}
    argv = [sys.executable, str(REPOSITORY / "manage.py"), "fsck"]
    checked = subprocess.run(argv, env=server.environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert checked.returncode == 0, checked.stdout
    logs = (tmp_path / "second-worker.log").read_text()
    assert "Traceback" not in logs
    assert "runs again" not in logs
