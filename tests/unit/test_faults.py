"""Fault points fire when armed, and only then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors import faults

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    faults.arm("")
    yield
    faults.arm("")


def test_unarmed_points_do_nothing() -> None:
    assert not faults.is_armed()
    faults.point("after_submit")


def test_raises_at_its_point_only() -> None:
    faults.arm("after_submit:raise")
    assert faults.is_armed()
    faults.point("in_kill")
    with pytest.raises(faults.FaultInjected, match="after_submit"):
        faults.point("after_submit")


def test_fires_at_the_given_passage() -> None:
    faults.arm("after_submit:raise@3")
    faults.point("after_submit")
    faults.point("after_submit")
    with pytest.raises(faults.FaultInjected):
        faults.point("after_submit")
    faults.point("after_submit")


def test_sleeps() -> None:
    faults.arm("after_submit:sleep=0.001, in_kill:raise")
    faults.point("after_submit")
    with pytest.raises(faults.FaultInjected):
        faults.point("in_kill")


@pytest.mark.parametrize("text", ["after_submit", "after_submit:explode", "after_submit:sleep=long", "a:kill@x"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        faults.parse(text)


def test_kill_fires_once_across_restarts(tmp_path: Path) -> None:
    code = "from executors import faults; faults.point('after_submit'); print('alive')"
    environment = {"JOBMON_FAULTS": "after_submit:kill", "JOBMON_FAULTS_ONCE": str(tmp_path)}
    results = [
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, check=False)
        for _ in range(2)
    ]
    assert [done.returncode for done in results] == [-signal.SIGKILL, 0]
    assert results[1].stdout == b"alive\n"


THREADED = """
import sys, threading
from executors import faults
def pass_by():
    faults.point("pause_before_submit")
    open(sys.argv[1], "w").close()
thread = threading.Thread(target=pass_by)
thread.start()
thread.join()
"""


def test_a_thread_that_is_to_stop_goes_no_step_past_the_point(tmp_path: Path) -> None:
    """Also when another thread, which sleeps, could take the signal."""
    passed = tmp_path / "passed"
    process = subprocess.Popen(
        [sys.executable, "-c", THREADED, str(passed)], env={"JOBMON_FAULTS": "pause_before_submit:stop"}, cwd=ROOT
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert not passed.exists()
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
        assert passed.exists()
    finally:
        process.kill()
        process.wait()
