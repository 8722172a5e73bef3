"""A submitter that the kernel stops between preparing an attempt and handing it over. What happens to the attempt
meanwhile stands: given up, it never runs; not given up, it runs once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executors.base import JobSpec, TokenKind
from tests.executors.contract import evidence
from tests.executors.harness import LocalHarness, wait_until

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., LocalHarness]
SUBMIT = """
import pathlib, sys
from executors.base import JobSpec, Resources
from executors.local import LocalExecutor
from executors.local_spool import LocalSpool
root, sockets, number, name, command = sys.argv[1:]
executor = LocalExecutor("local", LocalSpool(pathlib.Path(root)), pathlib.Path(sockets), slots=2, memory=4.0)
spec = JobSpec(int(number), 7, name, name, 0, command, Resources(mem_free=0.01))
assert executor.submit([spec]).accepted == {name: name}
"""


@contextmanager
def submitter(local: LocalHarness, spec: JobSpec) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has prepared this attempt and stands still before it hands it over."""
    arguments = [str(local.root), str(local.sockets), str(spec.instance_id), spec.name, spec.command]
    environment = {**os.environ, "JOBMON_FAULTS": "pause_before_submit:stop@1"}
    process = subprocess.Popen([sys.executable, "-c", SUBMIT, *arguments], env=environment, cwd=ROOT)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield process
    finally:
        process.kill()
        process.wait()


def wake(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0


@pytest.mark.parametrize("is_given_up", [True, False], ids=["given-up", "waited-for"])
def test_a_submitter_that_wakes_late(make_local: Make, tmp_path: Path, is_given_up: bool) -> None:
    local = make_local()
    ran = tmp_path / "ran"
    spec = local.spec(f"echo ran >> {ran}")
    with submitter(local, spec) as process:
        assert local.executor.poll() == {}
        if is_given_up:
            stands = local.spool.void([spec.instance_id], "test")[spec.instance_id]
            assert stands.kind is TokenKind.VOID
        wake(process)
    journal = local.root / "shepherd.journal"
    wait_until(lambda: f"ended {spec.instance_id}\n" in journal.read_text(), "its wrapper has started and ended")
    found = evidence(local, spec)
    assert found.token is not None
    if is_given_up:
        assert (found.token.kind, found.exit, ran.exists()) == (TokenKind.VOID, None, False)
    else:
        assert found.exit is not None
        assert (found.exit.code, ran.read_text()) == (0, "ran\n")
