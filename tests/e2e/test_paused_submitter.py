"""A submitter that stands still while its attempt is given up by another worker, and then wakes: what it submits must
never run. Two real workers, one of them stopped by the kernel between intent and submission. The short form, without
workers, is tests/executors/test_paused_submitter.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.facts import query
from tests.chaos.ledger import parse
from tests.e2e.clients import connect
from tests.services import REPOSITORY, EmbeddedServer, is_living
from tests.waiting import wait_until

COMMAND = 'echo "start a $JOBMON_JOB_INSTANCE_ID $$" >> ledger; echo "end a $JOBMON_JOB_INSTANCE_ID $$ 0" >> ledger'
WORKER = (
    "worker --pool threads -c 2 --without-gossip --without-mingle --without-heartbeat --hostname second@%h -l WARNING"
)
GIVEN_UP = [(1, "E", "void"), (2, "D", "")]


@contextmanager
def second_worker(server: EmbeddedServer) -> Iterator[None]:
    """Of the same server, without armed points."""
    environment = {**server.environment, "JOBMON_PORT": str(server.server_file["port"])}
    environment.pop("JOBMON_FAULTS", None)
    argv = [sys.executable, "-m", "celery", "--skip-checks", "-A", "jobmon_site", *WORKER.split()]
    with open(server.home / "logs" / "second.log", "wb") as log:
        process = subprocess.Popen(argv, env=environment, cwd=REPOSITORY, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def is_stopped(pid: int) -> bool:
    return ") T " in Path(f"/proc/{pid}/stat").read_text()


def attempts(server: EmbeddedServer) -> list[tuple[int, str, str]]:
    rows = query(server, "SELECT job_instance_id, status, reason FROM job_instance ORDER BY 1")
    return [(int(number), str(status), str(reason)) for number, status, reason in rows]


def start_run(server: EmbeddedServer, folder: Path) -> int:
    """The number of the workflow, whose one job keeps a ledger."""
    client = connect(server)
    job = {"name": "a", "command": COMMAND, "mem_free": 0.001}
    body = {"workflow_args": "paused", "working_dir": str(folder), "executor": "local", "jobs": [job]}
    workflow = int(client.submit_workflow(body)["id"])
    client.start_run(workflow, {})
    return workflow


def has_tried_to_start(server: EmbeddedServer, instance: int) -> bool:
    """The shepherd has started the wrapper of this attempt, and the wrapper has ended."""
    return f"ended {instance}\n" in (server.home / "spool" / "shepherd.journal").read_text()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.first
def test_what_was_given_up_never_runs(make_embedded_server: Callable[..., EmbeddedServer], tmp_path: Path) -> None:
    server = make_embedded_server(
        JOBMON_FAULTS="pause_before_submit:stop@1",
        JOBMON_FAULTS_ONCE=str(tmp_path),
        JOBMON_SWEEP_SECONDS="2",
        JOBMON_LEASE_SECONDS="5",
        JOBMON_WORKER_SILENCE_SECONDS="600",
    ).start()
    workflow, first = start_run(server, tmp_path), server.parts["worker"]
    wait_until(lambda: is_stopped(first), 90, "the first worker stands still before it submits")
    assert attempts(server) == [(1, "I", "")]
    with second_worker(server):
        done = f"SELECT id FROM workflow WHERE id = {workflow} AND status = 'D'"
        wait_until(lambda: query(server, done), 120, "the second worker finishes the run")
        assert attempts(server) == GIVEN_UP
        assert not has_tried_to_start(server, 1)
        os.kill(first, signal.SIGCONT)
        wait_until(lambda: has_tried_to_start(server, 1), 90, "the first one has woken and submitted")
        assert is_living(first)
    lines, problems = parse((tmp_path / "ledger").read_text())
    assert problems == []
    assert [(line.instance, line.code) for line in lines] == [(2, None), (2, 0)]
    assert attempts(server) == GIVEN_UP
