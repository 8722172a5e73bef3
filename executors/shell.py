"""The only place that starts a process: argument lists, a minimal environment, a time-out. Never a shell string."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executors.base import ExecutorUnavailable

MINIMAL_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None, stdin: str | None = None
) -> Completed:
    """Run one command to its end. Raises ExecutorUnavailable if it cannot be started or does not end in `timeout`
    seconds; what it had done by then is unknown."""
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            env={**MINIMAL_ENVIRONMENT, **(environment or {})},
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ExecutorUnavailable(f"{argv[0]} gave no answer within {timeout:g} s") from error
    except OSError as error:
        raise ExecutorUnavailable(f"{argv[0]} cannot be run: {error.strerror}") from error
    return Completed(done.returncode, done.stdout, done.stderr)
