"""The client as people get it: the wheel in an empty virtual environment drives a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services import REPOSITORY, EmbeddedServer
from tests.waiting import wait_until

PACKAGES = ("jobmon", "jobmon_site", "workflows", "executors")
FAILING = {
    "workflow_args": "failing",
    "attributes": {"release": "2026"},
    "jobs": [
        {"name": "ok", "command": "echo well done", "mem_free": 0.1, "tag": "first"},
        {"name": "bad", "command": "echo oh no >&2; exit 3", "mem_free": 0.1, "max_attempts": 1, "tag": "second"},
        {"name": "bad2", "command": "exit 4", "mem_free": 0.1, "max_attempts": 1, "tag": "second"},
        {"name": "end", "command": "true", "mem_free": 0.1, "upstreams": ["bad"]},
    ],
}


def run(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL, **more
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the packages, the server's among them, so that the repository stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "manage.py"):
        shutil.copy(REPOSITORY / name, folder / "source")
    built = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", folder / "source"
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = (folder / "dist").glob("*.whl")
    return found


def test_the_wheel_holds_the_client_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert archive.read(entry_points).decode().split() == ["[console_scripts]", "jobmon", "=", "jobmon.cli:main"]
        [metadata] = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    sources = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "jobmon").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == {*sources, "jobmon/py.typed"}
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    for line in ("License-Expression: MIT", "Requires-Python: >=3.8", "Classifier: Typing :: Typed"):
        assert line in metadata.splitlines()
    readme = metadata.partition("\n\n")[2]
    assert readme == (REPOSITORY / "jobmon" / "README.md").read_text(encoding="utf-8")
    assert "](" not in readme, "a package index shows no files of the repository"
    assert wheel.name.endswith("-py3-none-any.whl")


@dataclass(frozen=True)
class Installed:
    """The command in its own environment, and somebody who uses it from a home of their own."""

    bin: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8"}

    def jobmon(self, *words: str, code: int = 0, **environment: str) -> str:
        """What it prints on stdout. It must end with this code."""
        done = run(self.bin / "jobmon", *words, env={**self.environment, **environment}, cwd=self.home)
        assert done.returncode == code, f"jobmon {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, *words: str) -> Any:
        return json.loads(self.jobmon(*words, "--json"))


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Path:
    """An empty virtual environment with the wheel and what it asks for."""
    folder = wheel.parent.parent / "venv"
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("the wheel is not installed anywhere: no uv")
    assert run(uv, "venv", "--python", sys.executable, folder).returncode == 0
    words = (uv, "pip", "install", "--python", folder / "bin" / "python", wheel)
    for way in (("--offline",), ()):
        installed = run(*words, *way)
        if installed.returncode == 0:
            break
    else:
        pytest.skip(f"the wheel is not installed anywhere: no package index ({installed.stderr.strip()[-200:]})")
    listed = run(uv, "pip", "list", "--python", folder / "bin" / "python", "--format", "json").stdout
    names = {package["name"].lower() for package in json.loads(listed)}
    assert names <= {"jobmon", "click", "rich", "pyyaml", "markdown-it-py", "mdurl", "pygments"}
    return folder


@pytest.fixture
def installed(environment: Path, embedded_server: EmbeddedServer, tmp_path: Path) -> Installed:
    """Configured as docs/client.md says."""
    home = tmp_path / "person"
    home.mkdir()
    found = Installed(environment / "bin", home)
    done = subprocess.run(
        [str(found.bin / "jobmon"), "--server", embedded_server.url, "configure", "--token-stdin"],
        input=embedded_server.token + "\n", env=found.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return found


def quickstart() -> str:
    """The first script of the client's guide."""
    text = (REPOSITORY / "docs" / "client.md").read_text(encoding="utf-8")
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "workflow.run()" in block)


def test_the_guides_script_runs_to_its_end(installed: Installed) -> None:
    shutil.copy(REPOSITORY / "examples" / "runme.py", installed.home)
    script = installed.home / "quickstart.py"
    script.write_text(quickstart())
    done = run(installed.bin / "python", script, env=installed.environment, cwd=installed.home)
    assert done.returncode == 0, done.stderr
    assert (installed.home / "cpof_jobmon_qs.txt").exists()
    assert list((installed.home / "output").iterdir())
    (workflow,) = installed.read("workflow", "list")
    assert (workflow["workflow_args"], workflow["status"], workflow["counts"]["D"]) == ("quickstart", "D", 3)
    again = run(installed.bin / "python", script, env=installed.environment, cwd=installed.home)
    assert "WorkflowAlreadyComplete" in again.stderr


def test_the_set_up_is_checked_end_to_end(installed: Installed, embedded_server: EmbeddedServer) -> None:
    checks = installed.read("test")
    assert all(check["ok"] for check in checks), checks
    shown = installed.read("config", "show")
    assert shown["server"]["value"] == embedded_server.url
    assert ".jobmonrc" in shown["server"]["origin"]
    if embedded_server.environment.get("JOBMON_DB_HOST") is None:
        database = f"sqlite:///{embedded_server.home / 'jobmon.sqlite3'}"
        assert "done" in installed.jobmon("query", "SELECT label FROM job_status", JOBMON_SQL_URL=database).lower()
    complete = run(
        installed.bin / "jobmon", env={**installed.environment, "_JOBMON_COMPLETE": "bash_source"}
    ).stdout  # fmt: skip
    assert "complete -o nosort -F" in complete


def write(home: Path, name: str, body: object) -> str:
    path = home / name
    path.write_text(json.dumps(body))
    return str(path)


def test_every_exit_code_of_a_real_server(installed: Installed, embedded_server: EmbeddedServer) -> None:
    good = write(installed.home, "good.json", {**FAILING, "workflow_args": "good", "jobs": FAILING["jobs"][:1]})  # type: ignore[index]
    cycle = [{"name": "a", "command": "a", "upstreams": ["b"]}, {"name": "b", "command": "b", "upstreams": ["a"]}]
    circular = write(installed.home, "circular.json", {"workflow_args": "circular", "jobs": cycle})
    long = [{"name": "long", "command": "sleep 600", "mem_free": 0.1}]
    installed.jobmon("run", good, code=0)
    installed.jobmon("run", write(installed.home, "failing.json", FAILING), code=1)
    installed.jobmon("run", circular, code=2)
    installed.jobmon("workflow", "stop", "1", code=2)
    installed.jobmon("--server", "http://127.0.0.1:9", "workflow", "list", code=3, JOBMON_TOKEN="x")
    installed.jobmon("workflow", "show", "999999", code=4)
    installed.jobmon("job", "show", "999999", code=4)
    installed.jobmon("operation", "show", str(uuid.uuid4()), code=4)
    installed.jobmon("workflow", "list", code=5, JOBMON_TOKEN="jm_wrong", JOBMON_SERVER=embedded_server.url)
    installed.jobmon("run", write(installed.home, "long.json", {"workflow_args": "long", "jobs": long}), "--no-wait")
    (workflow,) = installed.read("workflow", "list", "--workflow-args", "long")
    number = str(workflow["id"])
    installed.jobmon("workflow", "resume", number, code=5)
    installed.jobmon("workflow", "wait", number, "--timeout", "0.1", code=6)
    installed.jobmon("workflow", "stop", number, "--kill")
    installed.jobmon("workflow", "wait", number, code=1)


def test_a_failure_is_looked_into_and_mended_from_the_terminal(installed: Installed) -> None:
    installed.jobmon("run", write(installed.home, "failing.json", FAILING), code=1)
    (workflow,) = installed.read("workflow", "list", "--attr", "release=2026", "--filter", "created=1h")
    number = str(workflow["id"])
    assert installed.read("workflow", "list", "--attr", "release=2025") == []
    jobs = {job["name"]: str(job["job_id"]) for job in installed.read("workflow", "jobs", number)}
    assert [job["name"] for job in installed.read("workflow", "jobs", number, "--tag", "second")] == ["bad", "bad2"]
    installed.jobmon("workflow", "jobs", number, "--filter", "colour=red", code=2)
    assert {error["job_name"] for error in installed.read("workflow", "errors", number)} == {"bad", "bad2"}
    assert installed.read("workflow", "errors", number, "--groups", "--reason", "exit")
    assert installed.read("workflow", "errors", number, "--tag", "first", "--filter", "since=1h") == []
    assert [run["status"] for run in installed.read("workflow", "runs", number, "--status", "E")] == ["E"]
    assert "oh no" in installed.jobmon("job", "log", jobs["bad"], "--stderr")
    assert "well done" in installed.jobmon("job", "log", jobs["ok"])
    assert "bad" in installed.read("job", "why", jobs["end"])["why"]
    assert len(installed.read("job", "tree", jobs["end"])["nodes"]) == 2
    assert installed.read("job", "show", jobs["bad"])["status"] == "F"
    assert {node["name"] for node in installed.read("workflow", "graph", number)["nodes"]} >= {"first", "second"}
    assert "digraph" in installed.jobmon("workflow", "graph", number, "--dot")
    assert installed.read("workflow", "show", number)["status"] == "E"
    many_jobs(installed, number, jobs)


def test_one_job_is_killed_and_the_run_goes_on(installed: Installed) -> None:
    jobs = [
        {"name": "long", "command": "sleep 600", "mem_free": 0.1, "max_attempts": 1},
        {"name": "other", "command": "true", "mem_free": 0.1},
    ]
    installed.jobmon("run", write(installed.home, "two.json", {"workflow_args": "two", "jobs": jobs}), "--no-wait")
    (workflow,) = installed.read("workflow", "list", "--workflow-args", "two")
    number = str(workflow["id"])
    ids = {job["name"]: str(job["job_id"]) for job in installed.read("workflow", "jobs", number)}
    wait_until(lambda: installed.read("job", "show", ids["long"])["status"] == "R", 60, "the long job runs")
    assert installed.read("job", "kill", ids["long"], "--then", "fail", "--dry-run")["dry_run"] is True
    assert installed.read("job", "kill", ids["long"], "--then", "fail")["changed"] == 1
    installed.jobmon("workflow", "wait", number, code=1)
    ended = {job["name"]: job["status"] for job in installed.read("workflow", "jobs", number)}
    assert ended == {"long": "F", "other": "D"}


def many_jobs(installed: Installed, number: str, jobs: dict[str, str]) -> None:
    """Operations: looked at, refused without an answer, agreed to, and what became of each job."""
    chosen = ("operation", "start", number, "done", "--status", "F", "--tag", "second", "--note", "by hand")
    assert "2 jobs (" in installed.read(*chosen, "--dry-run")["sentence"]
    installed.jobmon(*chosen, code=2)
    installed.jobmon("operation", "start", number, "done", code=2)
    ended = installed.read(*chosen, "--yes")
    assert (ended["state"], ended["changed"], ended["skipped"]) == ("finished", 2, 0)
    assert {row["outcome"] for row in installed.read("operation", "show", ended["id"], "--jobs")} == {"changed"}
    assert installed.read("operation", "show", ended["id"], "--jobs", "--outcome", "skipped") == []
    again = installed.read("job", "done", jobs["bad"], jobs["bad2"])
    assert (again["changed"], again["skipped"]) == (0, 2)
    assert ended["id"] in {row["id"] for row in installed.read("operation", "list", "--workflow", number)}
    installed.jobmon("workflow", "resume", number, "--wait")
    assert installed.read("workflow", "show", number)["status"] == "D"
    rerun = installed.read("job", "rerun", jobs["end"], "--dry-run")
    assert rerun["dry_run"] is True
    plan = installed.read("job", "rerun", jobs["end"])
    wait_until(lambda: installed.read("workflow", "show", number)["status"] == "D", 60, f"run {plan['run_id']} is done")
