"""The client by itself: what it imports, on which Python it runs, and whether its pages tell the truth."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jobmon
from jobmon.cli import reference

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "jobmon").rglob("*.py"))
NOT_FOR_BUILDING = ("django", "rich", "click", "yaml", "workflows", "executors", "celery", "rest_framework")


def test_building_a_workflow_needs_the_standard_library_only() -> None:
    program = (
        "import json, sys\n"
        "import jobmon.workflow.workflow\n"
        "from jobmon import BashTask, Workflow\n"
        "Workflow(workflow_args='a').add_task(BashTask('true'))\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & set(NOT_FOR_BUILDING)


def test_running_a_workflow_needs_no_installed_package(environment: dict[str, str]) -> None:
    program = (
        "from jobmon import BashTask, Workflow\n"
        "workflow = Workflow(workflow_args='a')\n"
        "workflow.add_task(BashTask('true'))\n"
        "assert workflow.run()\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_names_the_servers_packages(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    allowed = {*sys.stdlib_module_names, "jobmon"}
    allowed |= {"click", "rich", "yaml"} if path.parent.name == "cli" else set()
    allowed |= {"rich"} if path.name == "progress.py" else set()
    assert imported <= allowed


def test_sources_run_on_python_3_8() -> None:
    argv = [
        str(Path(sys.executable).with_name("vermin")),
        "--target=3.8-",
        "--no-tips",
        str(ROOT / "jobmon"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "Minimum required versions: 3.8" in done.stdout


def test_version_is_the_one_of_the_package() -> None:
    found = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    assert jobmon.__version__ == found.group(1)


def test_reference_of_the_command_is_its_help() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == reference.render(), (
        "write it anew: python -m jobmon.cli.reference > docs/cli.md"
    )


def test_every_python_block_of_the_guide_is_valid() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        compile(block, "docs/client.md", "exec")


def test_guide_names_every_argument_and_every_exception() -> None:
    import inspect

    from jobmon import exceptions

    guide = (ROOT / "docs" / "client.md").read_text()
    names = {*inspect.signature(jobmon.ExecutableTask).parameters, *inspect.signature(jobmon.Workflow).parameters}
    names -= {"positional"}
    names |= {
        name for name, value in vars(exceptions).items() if getattr(value, "__module__", "") == exceptions.__name__
    }
    assert {name for name in names if f"`{name}`" not in guide} == set()
