"""`make audit` calls clean only what was asked about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parent.parent.parent / "deploy" / "setup" / "read_audit.py"
WELL = {"name": "amqp", "version": "5.4.2", "vulns": []}
WEAK = {
    "name": "django",
    "version": "5.2",
    "vulns": [{"id": "CVE-2025-64459", "fix_versions": ["5.2.8"], "aliases": []}],
}
UNASKED = {"name": "vine", "skip_reason": "Dependency not found on PyPI and could not be audited: vine (5.1.0)"}


def read(text: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), "base"], input=text, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("listed", "code", "words"),
    [
        ([WELL], 0, "1 packages, none with a known weakness"),
        ([WELL, WEAK], 1, "django 5.2: CVE-2025-64459, mended in 5.2.8"),
        ([UNASKED, WEAK], 1, "WEAK"),
        ([WELL, UNASKED], 2, "did not answer about 1 of 2 packages"),
        ([], 2, "did not answer"),
    ],
    ids=["well", "weak", "weak and unasked", "unasked", "nothing"],
)
def test_what_was_found_is_said(listed: list[dict[str, Any]], code: int, words: str) -> None:
    found, text = read(json.dumps({"dependencies": listed, "fixes": []}))
    assert found == code
    assert words in text


@pytest.mark.parametrize("text", ["", "Traceback", "[]", '{"dependencies": 1}'])
def test_no_answer_is_never_clean(text: str) -> None:
    code, words = read(text)
    assert code == 2
    assert "NOT AUDITED" in words
