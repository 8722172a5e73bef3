"""docs/settings.md names every variable that the program reads, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
READERS = {"env_text", "env_int", "env_float", "env_bool", "env_choice", "env_list", "env_secret"}
PACKAGES = ("jobmon_site", "workflows", "executors", "jobmon")


def variables_read() -> set[str]:
    """JOBMON_* names in calls of the readers and in any other string of the program that is just such a name."""
    found = set()
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            if path.name != "settings_test.py":
                for node in ast.walk(ast.parse(path.read_text())):
                    found |= _names_in(node)
    return found


def _names_in(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "env_secret":
        return {f"{argument.value}_FILE" for argument in node.args[:1] if isinstance(argument, ast.Constant)}
    is_name = isinstance(node, ast.Constant) and re.fullmatch(r"JOBMON_[A-Z0-9_]+[A-Z0-9]", str(node.value))
    return {str(node.value)} if is_name else set()


def variables_documented() -> set[str]:
    return set(re.findall(r"^\| `(JOBMON_[A-Z0-9_]+)`", (REPOSITORY / "docs" / "settings.md").read_text(), re.M))


def test_the_program_reads_some() -> None:
    assert {"JOBMON_HOME", "JOBMON_DB_PASSWORD", "JOBMON_DB_PASSWORD_FILE", "JOBMON_PORT"} <= variables_read()


def test_every_variable_is_documented() -> None:
    assert variables_read() - variables_documented() == set()


def test_no_documented_variable_is_invented() -> None:
    assert variables_documented() - variables_read() == set()


def test_the_readers_are_the_only_way_in() -> None:
    """Settings come through environment.py; other reads of os.environ in the site are named here."""
    allowed = {"environment.py", "settings_test.py", "readiness.py", "serve.py", "celery.py", "wsgi.py", "settings.py"}
    offenders = [
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "jobmon_site").rglob("*.py")
        if path.name not in allowed and re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    assert offenders == []


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_reader_is_used(name: str) -> None:
    assert f"{name}(" in (REPOSITORY / "jobmon_site" / "settings.py").read_text()
