"""`make run`, as a newcomer types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from executors.processes import process_start
from tests.services import REPOSITORY
from tests.waiting import wait_until


@pytest.fixture
def person(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just logged in."""
    if not (REPOSITORY / ".venv" / "bin" / "python").exists():
        pytest.skip("make run uses .venv, and this suite runs from another environment")
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}


def run(person: dict[str, str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", str(REPOSITORY / "deploy" / "setup" / "run.sh")],
        env={**person, **environment},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_pids(home: Path) -> list[int]:
    parts = json.loads((home / "parts.json").read_text())
    return [json.loads((home / "server.json").read_text())["pid"], *(part["pid"] for part in parts.values())]


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


def test_once_and_again(person: dict[str, str], tmp_path: Path) -> None:
    """The first time it runs the workflow, the second time it says that there is nothing to do; 0 both times."""
    first = run(person, ONESHOT="1")
    try:
        output = first.communicate(timeout=200)[0]
        assert first.returncode == 0, output
        assert "/login/once/?code=" in output
        assert "4 of 4 done" in output
        assert (tmp_path / "cpof_jobmon_qs.txt").exists()
        assert not (tmp_path / ".jobmon" / "server.json").exists()
    finally:
        end(first)
    second = run(person, ONESHOT="1")
    try:
        output = second.communicate(timeout=200)[0]
        assert second.returncode == 0, output
        assert "there is nothing to run" in output
        assert "Traceback" not in output
    finally:
        end(second)


def test_it_serves_until_ctrl_c_and_a_second_one_joins_in(person: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    serving = run(person, JOBMON_HOME=str(home))
    try:
        wait_until(lambda: (home / "server.json").exists() or serving.poll() is not None, 100, "the server is up")
        pids = read_pids(home)
        second = run(person, JOBMON_HOME=str(home), ONESHOT="1")
        output = second.communicate(timeout=100)[0]
        assert "already running" in output
        assert all(process_start(pid) for pid in pids), "joining in must not stop it"
        wait_until(lambda: (tmp_path / "cpof_jobmon_qs.txt").exists(), 60, "the quickstart has run")
        os.killpg(serving.pid, signal.SIGINT)
        output = serving.communicate(timeout=60)[0]
        assert "Stopping" in output
        assert [pid for pid in pids if process_start(pid)] == []
    finally:
        end(serving)


def test_ctrl_c_ends_the_script_as_well(person: dict[str, str], tmp_path: Path) -> None:
    """The script has only begun: neither it nor the server is left behind."""
    home = tmp_path / "elsewhere"
    serving = run(person, JOBMON_HOME=str(home))
    try:
        wait_until(lambda: (home / "server.json").exists() or serving.poll() is not None, 100, "the server is up")
        pids = read_pids(home)
        scripts = wait_until(lambda: find_scripts(serving.pid), 60, "the script runs")
        os.killpg(serving.pid, signal.SIGINT)
        serving.communicate(timeout=60)
        assert serving.returncode == 130
        assert [pid for pid in [*pids, *scripts] if process_start(pid)] == []
    finally:
        end(serving)


def find_scripts(parent: int) -> list[int]:
    """The quickstart's process, by its parent."""
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [pid for pid in children if "deploy/setup/quickstart.py" in command_line(pid)]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except FileNotFoundError:  # it has ended since
        return ""


def test_a_workflow_that_fails_is_a_failure(person: dict[str, str], tmp_path: Path) -> None:
    """A folder stands where the quickstart wants its file: exit code 1, and the error is shown."""
    (tmp_path / "cpof_jobmon_qs.txt").mkdir()
    (tmp_path / "cpof_jobmon_qs.txt" / "jobmon_qs.txt").mkdir()
    process = run(person, ONESHOT="1")
    try:
        output = process.communicate(timeout=200)[0]
        assert process.returncode == 1, output
        assert "failed" in output
    finally:
        end(process)
