"""The one place that starts commands: what comes back, and what an unanswered call is."""

from __future__ import annotations

import os

import pytest

from executors.base import ExecutorUnavailable
from executors.shell import MINIMAL_ENVIRONMENT, Completed, run


def test_code_and_both_streams() -> None:
    assert run(["/bin/sh", "-c", "echo out; echo err >&2; exit 4"], timeout=30) == Completed(4, "out\n", "err\n")


def test_arguments_are_passed_as_they_are() -> None:
    words = ["a b", "$HOME", "`id`", ";", "*", "'", '"', "\n", "-n"]
    assert run(["/usr/bin/printf", "%s|", *words], timeout=30).stdout == "".join(f"{word}|" for word in words)


def test_environment_is_minimal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "leak")
    lines = run(["/usr/bin/env"], timeout=30, environment={"MINE": "x"}).stdout.splitlines()
    assert dict(line.split("=", 1) for line in lines) == {**MINIMAL_ENVIRONMENT, "MINE": "x"}


def test_standard_input_is_given_or_empty() -> None:
    assert run(["/bin/cat"], timeout=30, stdin="text").stdout == "text"
    assert run(["/bin/cat"], timeout=30).stdout == ""


def test_no_answer_in_time_is_unavailable() -> None:
    with pytest.raises(ExecutorUnavailable, match=r"no answer within 0\.1 s"):
        run(["/bin/sleep", "1000"], timeout=0.1)


def test_missing_command_is_unavailable() -> None:
    with pytest.raises(ExecutorUnavailable, match="/no/such/command cannot be run"):
        run(["/no/such/command"], timeout=30)


def test_unreadable_bytes_do_not_raise() -> None:
    assert run(["/usr/bin/printf", r"\377x"], timeout=30).stdout == "\ufffdx"


def test_no_descriptor_is_passed_on() -> None:
    reader, writer = os.pipe()
    try:
        assert f"pipe:[{os.stat(writer).st_ino}]" not in run(["/bin/ls", "-l", "/proc/self/fd"], timeout=30).stdout
    finally:
        os.close(reader)
        os.close(writer)
