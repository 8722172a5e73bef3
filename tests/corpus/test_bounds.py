"""No body takes the memory or the time of the server, whatever it unpacks to: what is refused costs at most 200 MB above
the body (400 if all of half a million jobs have to be read to find what is wrong), what is taken at most 700. Time is the
processor's, with room for a machine ten times as slow."""

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

LONGEST = 200.0
REFUSED_MB, READ_MB, TAKEN_MB = 200, 400, 700
SMALL_SECONDS, LARGE_SECONDS = 2.0, 20.0  # of a body below and above a megabyte
MILLION = 1_000_000
Measure = Callable[..., Cost]


@pytest.fixture
def measure(tmp_path: Path) -> Measure:
    """Reads a body in a process of its own."""

    def run(body: bytes, *, is_packed: bool = False, seconds: float = LONGEST) -> Cost:
        file = tmp_path / "body"
        file.write_bytes(body)
        said = read_in_process(tmp_path / "home", seconds, str(file), *(["gzip"] if is_packed else []))
        return Cost(**json.loads(said[-1]))

    return run


def read_in_process(home: Path, seconds: float, *arguments: str) -> list[str]:
    environment = {"PATH": os.environ["PATH"], "JOBMON_HOME": str(home),
                   "DJANGO_SETTINGS_MODULE": "jobmon_site.settings"}  # fmt: skip
    argv = [sys.executable, "-m", "tests.corpus.bounds", *arguments]
    done = subprocess.run(argv, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


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


@pytest.mark.timeout(300)
def test_every_malformed_body_is_refused_within_bounds(tmp_path: Path) -> None:
    """Each in a process of its own, so that no peak hides behind that of another."""
    told = [json.loads(line) for line in read_in_process(tmp_path / "home", 280, "--all")]
    assert [one["name"] for one in told] == [case.name for case in CASES]
    for case, cost in zip(CASES, told, strict=True):
        assert (cost["status"], cost["code"]) == (case.status, case.code), cost
        assert cost["megabytes"] < REFUSED_MB, cost
        is_small = cost["size"] < 1_000_000 and not case.packed
        assert cost["seconds"] < (SMALL_SECONDS if is_small else LARGE_SECONDS), cost


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
    ("make", "code", "most"),
    [
        (lambda: chain(MILLION), "too-many-jobs", REFUSED_MB),
        (lambda: lines(500_001, lambda n: ""), "too-many-jobs", REFUSED_MB),
        (lambda: lines(500_000, lambda n: str((n - 1) % 500_000)), "cycle", READ_MB),
    ],
    ids=["chain of a million", "one job too many", "cycle of half a million"],
)
def test_what_is_too_large_is_refused(measure: Measure, make: Callable[[], bytes], code: str, most: int) -> None:
    cost = measure(gzip.compress(make(), 1), is_packed=True, seconds=300)
    assert (cost.status, cost.code) == (400, code)
    assert cost.megabytes < most
