"""Ctrl-C while waiting: the script ends, the run goes on, and the words say how to come back."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.client.fake_server import FakeServer

SCRIPT = """\
from jobmon import BashTask, Workflow
workflow = Workflow(workflow_args="interrupted")
workflow.add_task(BashTask("hold"))
workflow.run()
print("not reached")
"""


def interrupt(argv: list[str], environment: dict[str, str], server: FakeServer) -> tuple[int, str, str]:
    """Start it, send SIGINT once it waits for the run, and give its exit code, stdout and stderr."""
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: len(server.requests("GET", "workflow-runs/1/")) >= 3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out, err


def test_script_detaches(server: FakeServer, environment: dict[str, str]) -> None:
    code, out, err = interrupt([sys.executable, "-c", SCRIPT], environment, server)
    assert code == -signal.SIGINT
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("KeyboardInterrupt: detached from workflow 1, which goes on")
    for words in ("jobmon workflow wait 1", "jobmon workflow stop 1 --drain", f"{server.url}/workflows/1/"):
        assert words in last
    assert server.state.show_run(1)["status"] == "R"
    assert server.requests("POST", "stop/") == []


def test_command_detaches_with_130(server: FakeServer, environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    file.write_text("workflow_args: interrupted\njobs: [{name: one, command: hold}]\n")
    code, _, err = interrupt([sys.executable, "-m", "jobmon", "run", str(file)], environment, server)
    assert code == 130
    assert "jobmon workflow wait 1" in err
    assert "Traceback" not in err
    assert server.state.show_run(1)["status"] == "R"


def test_wait_command_detaches_with_130(server: FakeServer, environment: dict[str, str]) -> None:
    server.state.submit({"workflow_args": "a", "jobs": [{"name": "one", "command": "hold"}]})
    server.state.start(1, {})
    code, _, err = interrupt([sys.executable, "-m", "jobmon", "workflow", "wait", "1"], environment, server)
    assert code == 130
    assert "jobmon workflow stop 1" in err
    assert "Traceback" not in err
