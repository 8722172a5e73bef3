"""The drill of docs/backup.md in full: a dump is taken, jobs go on, all is lost, the dump is restored."""

from __future__ import annotations

import collections
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jobmon import BashTask
from tests.e2e.clients import list_instances, make_workflow, status_of
from tests.services import REPOSITORY, EmbeddedServer, Unavailable, find_program
from tests.waiting import wait_until


def dump(server: EmbeddedServer, file: Path) -> None:
    host = server.environment.get("JOBMON_DB_HOST")
    if host is None:
        with closing(sqlite3.connect(server.home / "jobmon.sqlite3")) as source, closing(sqlite3.connect(file)) as copy:
            source.backup(copy)
        return
    argv = [find_program("mariadb-dump"), "--no-defaults", f"--socket={host}", "--user=root", "--single-transaction"]
    with open(file, "wb") as out:
        subprocess.run([*argv, "--quick", server.environment["JOBMON_DB_NAME"]], check=True, stdout=out, timeout=100)


def restore(server: EmbeddedServer, file: Path) -> None:
    host = server.environment.get("JOBMON_DB_HOST")
    if host is None:
        for ending in ("-wal", "-shm"):
            (server.home / f"jobmon.sqlite3{ending}").unlink(missing_ok=True)
        (server.home / "jobmon.sqlite3").write_bytes(file.read_bytes())
        return
    argv = [find_program("mariadb"), "--no-defaults", f"--socket={host}", "--user=root"]
    with open(file, "rb") as source:
        subprocess.run([*argv, server.environment["JOBMON_DB_NAME"]], check=True, stdin=source, timeout=100)


def manage(server: EmbeddedServer, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(REPOSITORY / "manage.py"), *words]
    return subprocess.run(
        argv, env=server.environment, cwd=server.home.parent, capture_output=True, text=True, timeout=120
    )


def ledger(folder: Path) -> collections.Counter[str]:
    path = folder / "ledger"
    return collections.Counter(path.read_text().split()) if path.exists() else collections.Counter()


def gated(name: str, gate: str, *upstreams: BashTask) -> BashTask:
    """Writes its name once it has started, and ends when the gate is open."""
    command = f"echo {name} >> ledger; until [ -e {gate} ] || [ -e over ]; do sleep 0.1; done"
    return BashTask(command, name=name, upstream_tasks=list(upstreams), mem_free=0.001)


def epoch_of(server: EmbeddedServer) -> int:
    file = server.home / "spool" / "epoch"
    return int(file.read_text().split()[1]) if file.exists() else 0


def test_jobs_that_ran_after_the_backup_are_found_and_none_runs_twice(make_embedded_server, tmp_path: Path) -> None:
    with ending_jobs(tmp_path / "work") as work:
        drill(make_embedded_server, tmp_path, work)


@contextmanager
def ending_jobs(folder: Path) -> Iterator[Path]:
    """Whatever becomes of the test, the jobs in this folder end."""
    folder.mkdir()
    try:
        yield folder
    finally:
        (folder / "over").touch()


def drill(make_embedded_server, tmp_path: Path, work: Path) -> None:
    server = make_embedded_server(JOBMON_SWEEP_SECONDS="1", JOBMON_LOCAL_SLOTS="8").start()
    first = [gated(f"a{n}", "gate_a") for n in range(3)]
    second = [gated(f"b{n}", "gate_b", first[n]) for n in range(3)]
    third = [gated(f"c{n}", "gate_c", second[n]) for n in range(3)]
    workflow = make_workflow(server, "drill", [*first, *second, *third], work)
    workflow.run(wait=False)
    assert workflow.workflow_id is not None
    wait_until(lambda: len(ledger(work)) == 3, 60, "the first jobs run")
    try:
        dump(server, tmp_path / "dump")
    except Unavailable as error:
        pytest.skip(f"backup: {error}")
    dumped_at = int(server.query("SELECT number FROM database_epoch")[0][0])
    (work / "gate_a").touch()
    wait_until(lambda: len(ledger(work)) == 6, 60, "the second jobs run")
    (work / "gate_b").touch()
    wait_until(lambda: len(ledger(work)) == 9, 60, "the third jobs run")
    late = make_workflow(server, "late", [gated("late", "gate_c")], work)
    late.run(wait=False)
    wait_until(lambda: ledger(work)["late"] == 1, 60, "a later workflow runs")
    wait_until(lambda: epoch_of(server) > dumped_at, 60, "the backup is old")
    server.kill_everything()
    restore(server, tmp_path / "dump")

    refused = server.launch()
    assert refused.wait(60) != 0
    assert "older than the spool" in server.output
    found = manage(server, "recover")
    assert found.returncode == 0, found.stderr
    assert "7 attempts since the backup were taken up" not in found.stdout  # the late one has no workflow
    assert "6 attempts since the backup were taken up: 3 are over, 3 go on" in found.stdout
    assert "(job late, local)" in found.stdout

    server.start()
    (work / "gate_c").touch()
    wait_until(lambda: status_of(server, workflow.workflow_id) == "D", 90, "the workflow is done")
    assert ledger(work) == dict.fromkeys((*(t.name for t in [*first, *second, *third]), "late"), 1)
    [[dag_id]] = server.query(f"SELECT dag_id FROM workflow WHERE id = {workflow.workflow_id}")
    assert set(map(tuple, list_instances(server, dag_id).values())) == {("D",)}
    checked = manage(server, "fsck")
    assert "spool: " in checked.stdout  # the late one's files, which nobody told to remove
    assert "1 broken" in checked.stdout
