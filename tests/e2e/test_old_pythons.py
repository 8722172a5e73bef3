"""The client on the oldest Pythons that people have on their clusters: a control script drives a real server.

`pytest -m slow tests/e2e/test_old_pythons.py`, with python3.8, python3.9 or pypy3 on PATH (Debian: `apt install pypy3`).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services import REPOSITORY, EmbeddedServer

PYTHONS = ("python3.8", "python3.9", "pypy3")
SCRIPT = """
import sys
from jobmon import BashTask, PythonTask, Workflow
from jobmon.exceptions import WorkflowAlreadyComplete

def make():
    workflow = Workflow(workflow_args="old python", name="old", attributes={"python": sys.version.split()[0]})
    first = BashTask("echo first > first", name="first", mem_free=0.1)
    second = BashTask("cat first > second", name="second", upstream_tasks=[first], mem_free=0.1, max_attempts=1)
    third = PythonTask(script="third.py", name="third", args=["a b"], env_variables={"X": 1}, mem_free=0.1)
    many = [BashTask("true # %d" % number, name="many_%d" % number, tag="many", mem_free=0.1) for number in range(1500)]
    for task in many:
        task.add_upstream(third)
    workflow.add_tasks([first, second, third] + many[:2])
    described = Workflow(workflow_args="large")
    described.add_tasks([third] + many)
    return workflow, described

workflow, described = make()
bound = described.bind()
assert bound, bound
assert workflow.run()
try:
    make()[0].run()
except WorkflowAlreadyComplete:
    print("already complete")
"""
THIRD = "import os, sys\nopen('third', 'w').write(os.environ['X'] + ' ' + sys.argv[1])\n"


def find_python(name: str) -> str:
    """Its path, if it runs: a version manager leaves names on PATH behind which there is nothing."""
    path = shutil.which(name)
    if path is None or subprocess.run([path, "-c", ""], capture_output=True, timeout=60).returncode != 0:
        pytest.skip(f"the client was not tested on {name}: there is none on PATH")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHONS)
def test_a_control_script_runs_to_its_end(name: str, embedded_server: EmbeddedServer, tmp_path: Path) -> None:
    python, folder = find_python(name), tmp_path / "person"
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    (folder / "third.py").write_text(THIRD)
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1", "JOBMON_SERVER": embedded_server.url, "JOBMON_TOKEN": embedded_server.token,
    }  # fmt: skip
    done = subprocess.run(
        [python, "-W", "error", "script.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "already complete" in done.stdout
    assert (folder / "second").read_text() == "first\n"
    assert (folder / "third").read_text() == "1 a b"
