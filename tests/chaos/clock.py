"""A Python of the harness's own for the server: with another clock, or with a patch."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.services import Unavailable

STEP = 3600
CACHED = 1.5
# libfaketime 0.9.10 answers EINVAL to a sleep of Python's, which names its end on the monotonic clock.
SLEEP = """\
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


def make_python(folder: Path, patch: str, variables: Mapping[str, str]) -> Path:
    """The Python of this venv under another name, with these variables and `patch` run at its start. It finds itself
    under that name, and so starts the parts of the server with it."""
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    (folder / "lib").symlink_to(Path(sys.prefix) / "lib")
    (folder / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (folder / "patch").mkdir()
    (folder / "patch" / "sitecustomize.py").write_text(patch)
    words = " ".join(f"{name}={text}" for name, text in {**variables, "PYTHONPATH": folder / "patch"}.items())
    program.write_text(f'#!/bin/bash\nexport {words}\nexec -a {program} {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


class SteppedClock:
    """A Python whose clock is an hour ahead or behind while the fault lasts (libfaketime). Elapsed time is not touched,
    as when an administrator sets a clock."""

    kinds = ("clock-ahead", "clock-behind")

    def __init__(self, folder: Path) -> None:
        """Raises Unavailable where the clock cannot be stepped, or lies about it."""
        self._offset = folder / "offset"
        self._begun = 0.0
        folder.mkdir(parents=True)
        self.end()
        faketime = {
            "LD_PRELOAD": str(_find_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Or threads that wait for Python's lock do not wait: they look again and again, with all that the machine has.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "FAKETIME_CACHE_DURATION": "1",
            "NO_FAKE_STAT": "1",
        }
        self.program = make_python(folder, SLEEP, faketime)
        self._prove()

    def _prove(self) -> None:
        here, there = time.time(), self._ask_time()
        self.begin("clock-ahead")
        ahead = self._ask_time()
        self.end()
        if abs(there - here) > STEP / 2 or abs(ahead - here - STEP) > STEP / 2:
            raise Unavailable(f"a clock to step: libfaketime shows {there - here:g} and {ahead - here:g} s")

    def _ask_time(self) -> float:
        words = (
            "import sys, threading, time; assert sys.executable == sys.argv[1], sys.executable; at = time.monotonic();"
            " time.sleep(0.1); threading.Event().wait(0.1); assert 0.19 < time.monotonic() - at, at; print(time.time())"
        )
        done = subprocess.run([self.program, "-c", words, self.program], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Unavailable(f"a clock to step: {done.stderr.strip()}")
        return float(done.stdout)

    def begin(self, kind: str) -> None:
        self._write(STEP if kind == "clock-ahead" else -STEP)
        self._begun = time.monotonic()

    def has_struck(self) -> bool:
        """Each process may show the time that it knows for another second."""
        return time.monotonic() - self._begun > CACHED

    def end(self) -> None:
        self._write(0)

    def _write(self, seconds: int) -> None:
        temporary = self._offset.with_name("offset.new")
        temporary.write_text(f"{seconds:+d}\n")
        temporary.replace(self._offset)


def _find_library() -> Path:
    for library in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        return library
    raise Unavailable("a clock to step: libfaketime is not installed")
