"""No body takes the memory of the server: what is refused costs at most 200 MB above the body, what is taken at most 700,
whatever it unpacks to. Time decides nothing here, but for a limit that only recursion or a square would break."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus.bounds import Cost
from tests.corpus.cases import CASES
from tests.services import REPOSITORY

LONGEST = 60.0
REFUSED_MB, TAKEN_MB = 200, 700
MILLION = 1_000_000
LARGE = {"cycle of 100,000", "command of 10 MB", "a job 100,000 deep", "objects 100,000 deep", "name has a million characters"}  # fmt: skip
Measure = Callable[..., Cost]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Reads a body in a process of its own."""

    def run(body: bytes, *, is_packed: bool = False, seconds: float = LONGEST) -> Cost:
        file = tmp_path / "body"
        file.write_bytes(body)
        environment = {"PATH": os.environ["PATH"], "JOBMON_HOME": str(tmp_path / "home"),
                       "DJANGO_SETTINGS_MODULE": "jobmon_site.settings"}  # fmt: skip
        argv = [sys.executable, "-m", "tests.corpus.bounds", str(file), *(["gzip"] if is_packed else [])]
        done = subprocess.run(argv, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, done.stderr[-2000:]
        return Cost(**json.loads(done.stdout.splitlines()[-1]))

    return run


def bomb(megabytes: int) -> bytes:
    """Zeros, a thousandth of their size."""
    packer, block = zlib.compressobj(1, zlib.DEFLATED, 31), bytes(1 << 20)
    return b"".join([packer.compress(block) for _ in range(megabytes)]) + packer.flush()


def lines(count: int, upstreams: Callable[[int], str]) -> bytes:
    """A graph as text, without a million dictionaries."""
    jobs = (f'{{"name":"j{n}","command":"{n}","upstreams":[{upstreams(n)}]}}' for n in range(count))
    return f'{{"workflow_args":"large","jobs":[{",".join(jobs)}]}}'.encode()


def chain(count: int) -> bytes:
    return lines(count, lambda n: str(n - 1) if n else "")


def test_a_gzip_bomb_is_not_unpacked(measure: Measure) -> None:
    cost = measure(bomb(512), is_packed=True)
    assert (cost.status, cost.code) == (413, "too-large")
    assert cost.megabytes < REFUSED_MB


def test_a_bomb_in_a_bomb_is_unpacked_once(measure: Measure) -> None:
    cost = measure(gzip.compress(bomb(512)), is_packed=True)
    assert (cost.status, cost.code) == (400, "invalid-json")
    assert cost.megabytes < REFUSED_MB


@pytest.mark.parametrize("name", sorted(LARGE))
def test_a_large_malformed_body_is_refused_within_bounds(measure: Measure, name: str) -> None:
    [case] = [case for case in CASES if case.name == name]
    cost = measure(case.make())
    assert (cost.status, cost.code) == (case.status, case.code)
    assert cost.megabytes < REFUSED_MB


def test_a_chain_is_read_without_recursion(measure: Measure) -> None:
    cost = measure(chain(100_000))
    assert (cost.status, cost.edges) == (201, 99_999)
    assert cost.megabytes < REFUSED_MB


# The largest. `pytest -m slow tests/corpus` runs them; a million jobs in one body are over the limit of a body.


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "make", "edges"),
    [
        ("a million edges", lambda: lines(250_001, lambda n: ",".join(map(str, range(max(0, n - 4), n)))), MILLION - 6),
        ("a chain of half a million", lambda: chain(500_000), 499_999),
        (
            "a fan-in of half a million",
            lambda: lines(500_000, lambda n: ",".join(map(str, range(n))) if n == 499_999 else ""),
            499_999,
        ),
    ],
    ids=["edges", "chain", "fan-in"],
)
def test_the_largest_graphs_are_taken(measure: Measure, name: str, make: Callable[[], bytes], edges: int) -> None:
    body = make()
    cost = measure(gzip.compress(body, 1), is_packed=True, seconds=300)
    assert (cost.status, cost.edges) == (201, edges), name
    assert cost.megabytes < TAKEN_MB, name


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: chain(MILLION), 400, "too-many-jobs"),
        (lambda: lines(500_001, lambda n: ""), 400, "too-many-jobs"),
        (lambda: lines(500_000, lambda n: str((n - 1) % 500_000)), 400, "cycle"),
    ],
    ids=["chain of a million", "one job too many", "cycle of half a million"],
)
def test_what_is_too_large_is_refused(measure: Measure, make: Callable[[], bytes], status: int, code: str) -> None:
    cost = measure(gzip.compress(make(), 1), is_packed=True, seconds=300)
    assert (cost.status, cost.code) == (status, code)
    assert cost.megabytes < TAKEN_MB
