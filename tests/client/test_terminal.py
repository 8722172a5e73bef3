"""On a real (pseudo) terminal: a bar with rich, a line without it, and the outcome after either."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = Path(__file__).resolve().parents[2] / "examples" / "pipeline.py"


def run_on_terminal(argv: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """The exit code and all that the terminal got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        text = read_to_end(ours)  # first: a terminal that nobody reads stops the writer
        return process.wait(60), text
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_to_end(descriptor: int) -> str:
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # how a pseudo terminal says that its other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode("utf-8", "replace")


@pytest.mark.parametrize(("flags", "sign"), [([], "\x1b[?25l"), (["-S"], "\r\x1b[K")], ids=["rich", "plain"])
def test_progress_on_a_terminal(environment: dict[str, str], flags: list[str], sign: str) -> None:
    code, text = run_on_terminal([sys.executable, *flags, str(PIPELINE), "--locations", "1"], environment)
    assert code == 0
    assert sign in text
    assert "16 of 16 done, 0 running, 0 failed" in text
    assert text.rstrip().endswith("workflow 1 is done: 16 of 16 done, 0 running, 0 failed.")
