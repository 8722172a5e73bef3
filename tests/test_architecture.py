"""The laws of the code, held by machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SERVER = ("jobmon_site", "workflows", "executors")


def sources(*packages: str) -> Iterator[tuple[Path, str]]:
    for package in packages:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(REPOSITORY), path.read_text(encoding="utf-8")


def imported(text: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(
    "command",
    [
        "lint-imports",
        "ruff check .",
        "ruff format --check .",
        "bandit -q -c pyproject.toml -r jobmon_site workflows executors jobmon",
        "vermin --target=3.8- --violations --no-tips jobmon",
    ],
    ids=lambda command: command.partition(" ")[0],
)
def test_the_quick_checks_find_nothing(command: str) -> None:
    """Those of `make check` that take seconds; a test run without them would tell of a fault too late."""
    program, *words = command.split()
    done = subprocess.run(
        [Path(sys.executable).parent / program, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_processes_start_in_few_places() -> None:
    """Whoever starts processes is on this list, and knows why."""
    starters = re.compile(r"\bsubprocess\b|os\.(posix_spawn|fork|exec|spawn|system|popen)|multiprocessing")
    found = {str(path) for path, text in sources(*SERVER) if starters.search(strip_words(text))}
    assert found <= {
        "executors/shell.py",  # commands of batch systems
        "executors/local_runs.py",  # jobs of this machine, inside the shepherd
        "executors/processes.py",
        "jobmon_site/supervisor.py",  # the server's own parts
        "jobmon_site/management/commands/serve.py",  # becomes the supervisor
    }


def strip_words(text: str) -> str:
    """The code without its docstrings and comments."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def test_one_package_writes_statuses() -> None:
    """`status=` in an update, or an assignment to .status, belongs to the lifecycle."""
    offenders = []
    for path, text in sources("workflows"):
        if path.parts[1].startswith("lifecycle"):
            continue
        offenders += [f"{path}:{node.lineno}" for node in ast.walk(ast.parse(text)) if _writes_status(node)]
    assert offenders == []


def _writes_status(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        model = ast.unparse(node.func.value)
        is_ours = re.search(r"\b(Workflow|WorkflowRun|Job|JobInstance)\.objects", model) is not None
        return is_ours and any(keyword.arg == "status" for keyword in node.keywords)
    if isinstance(node, ast.Assign):
        targets = [target for target in node.targets if isinstance(target, ast.Attribute)]
        return any(
            target.attr == "status" and ast.unparse(target.value) in ("job", "run", "workflow", "instance")
            for target in targets
        )
    return False


def test_transactions_open_in_one_module() -> None:
    offenders = [
        str(path)
        for path, text in sources("jobmon_site", "workflows")
        if path.name != "transactions.py" and "django.db.transaction" in imported(text)
    ]
    assert offenders == []


def test_models_neither_save_nor_signal() -> None:
    for path, text in sources("workflows/models"):
        assert "def save(" not in text, path
        assert "django.db.models.signals" not in imported(text), path


def test_no_page_trusts_text_of_users() -> None:
    offenders = [
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "templates").rglob("*.html")
        if re.search(r"\|\s*safe\b|autoescape off|hx-on|javascript:|\son[a-z]+=", path.read_text(encoding="utf-8"))
    ]
    assert offenders == []


def test_pages_load_nothing_from_elsewhere() -> None:
    offenders = [
        f"{path.relative_to(REPOSITORY)}: {found[0]}"
        for path in (REPOSITORY / "templates").rglob("*.html")
        for found in [re.search(r"(?:src|href|action)=[\"'](?:https?:)?//[^\"']*", path.read_text(encoding="utf-8"))]
        if found and "rel=" not in found.string[found.start() - 200 : found.end() + 200]
    ]
    assert offenders == []


@pytest.mark.parametrize("package", [*SERVER, "jobmon"])
def test_files_stay_small(package: str) -> None:
    """About 300 lines; what is longer does two jobs."""
    long = {str(path): text.count("\n") for path, text in sources(package) if text.count("\n") > 360}
    assert long == {}


def test_nothing_is_left_to_do() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    offenders = [f"{path}" for path, text in sources(*SERVER, "jobmon", "tests", "bench") if marks.search(text)]
    assert [path for path in offenders if not path.endswith("test_architecture.py")] == []


def test_scripts_are_valid_shell() -> None:
    scripts = [
        path
        for folder in ("deploy", ".ci", "examples")
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and path.read_bytes()[:64].startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash"))
    ]
    assert scripts
    for path in scripts:
        shell = "bash" if b"bash" in path.read_bytes()[:64] else "sh"
        done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{path}: {done.stderr}"
