"""The contract on the dummy executor, its words and its faults."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from executors.base import ExecutorUnavailable, JobSpec, Phase, TokenKind
from executors.dummy import DummyExecutor, parse_script
from executors.dummy_store import MemoryStore
from tests.executors.contract import ExecutorContract, evidence, hinted, ref, run
from tests.executors.harness import DummyHarness


@pytest.fixture
def harness() -> DummyHarness:
    return DummyHarness()


class TestContract(ExecutorContract):
    pass


@pytest.mark.parametrize("text", ["", "python fit.py --exit=3", "exit=three", "ok and more", "until=x"])
def test_other_text_just_succeeds(text: str) -> None:
    assert parse_script(text) == parse_script("ok")


def test_fails_until_a_later_attempt(harness: DummyHarness) -> None:
    specs = [harness.spec("exit=1 until=3") for _ in range(4)]
    codes = [run(harness, spec)[0].exit.code for spec in specs]
    assert codes == [1, 1, 0, 0]


@pytest.mark.parametrize(("word", "code"), [("memory", 137), ("runtime", 143)])
def test_limits(harness: DummyHarness, word: str, code: int) -> None:
    (found,) = run(harness, harness.spec(word))
    assert (found.exit.code, found.over) == (code, word)


def test_run_time_limit_is_enforced(harness: DummyHarness) -> None:
    (found,) = run(harness, harness.spec("runs=50", max_runtime=10))
    assert (found.exit.code, found.over, found.usage.wallclock) == (143, "runtime", 10.0)


def test_lost_leaves_a_start_and_no_bell(harness: DummyHarness) -> None:
    spec = harness.spec("runs=3 lost")
    (found,) = run(harness, spec)
    assert found.token.kind is TokenKind.START
    assert found.exit is None
    assert spec.instance_id not in hinted(harness)


def test_refused(harness: DummyHarness) -> None:
    spec = harness.spec("refused")
    assert set(harness.executor.submit([spec]).rejected) == {spec.name}


def test_time_moves_only_with_the_clock(harness: DummyHarness) -> None:
    spec = harness.spec("waits=2 runs=3")
    harness.executor.submit([spec])
    phases = []
    for _ in range(6):
        listed = harness.executor.poll().get(spec.name)
        phases.append(listed and listed.phase)
        harness.now += 1
    assert phases == [Phase.PENDING, Phase.PENDING, Phase.RUNNING, Phase.RUNNING, Phase.RUNNING, None]


def test_accepts_but_raises(harness: DummyHarness) -> None:
    spec = harness.spec("runs=5")
    harness.executor.faults.accept_but_raise = 1
    with pytest.raises(ExecutorUnavailable):
        harness.executor.submit([spec])
    assert harness.executor.find([ref(spec)]) == {spec.name: spec.name}


def test_raises_before_it_accepts(harness: DummyHarness) -> None:
    spec = harness.spec("runs=5")
    harness.executor.faults.raise_before_accept = 1
    with pytest.raises(ExecutorUnavailable):
        harness.executor.submit([spec])
    assert harness.executor.find([ref(spec)]) == {}


def test_empty_listing_lies_once(harness: DummyHarness) -> None:
    spec = harness.spec("runs=5")
    harness.executor.submit([spec])
    harness.executor.faults.poll_is_empty = 1
    assert harness.executor.poll() == {}
    assert spec.name in harness.executor.poll()


def test_exit_seen_late(harness: DummyHarness) -> None:
    harness.executor.faults.late_exit = 5.0
    spec = harness.spec("ok")
    (found,) = run(harness, spec)
    assert found.exit is None
    assert spec.instance_id not in hinted(harness)
    harness.now += 5
    assert evidence(harness, spec).exit.code == 0
    assert spec.instance_id in hinted(harness)


def test_a_new_process_knows_nothing(harness: DummyHarness) -> None:
    spec = harness.spec("runs=5")
    harness.executor.submit([spec])
    successor = DummyExecutor("dummy", clock=lambda: harness.now)
    assert successor.poll() == {}
    assert successor.store.read([spec.instance_id]) == {}


def test_old_successes_are_forgotten_and_failures_kept(monkeypatch: pytest.MonkeyPatch, harness: DummyHarness) -> None:
    monkeypatch.setattr("executors.dummy_store._FORGET_AFTER", 2)
    good, bad, later, last = (harness.spec(text) for text in ("ok", "exit=1", "ok", "ok"))
    for spec in (good, bad, later, last):
        run(harness, spec)
        harness.executor.store.clear_hints(harness.executor.store.hints())
    known = harness.executor.store.read(spec.instance_id for spec in (good, bad, later, last))
    assert set(known) == {bad.instance_id, later.instance_id, last.instance_id}


def test_cost_per_job_is_small(harness: DummyHarness, record_property: pytest.RecordProperty) -> None:
    """Reported, not judged: 20,000 jobs through submit, hints and read."""
    specs = [harness.spec("ok") for _ in range(20_000)]
    began = time.perf_counter()
    for start in range(0, len(specs), 500):
        harness.executor.submit(specs[start : start + 500])
        hints = harness.executor.store.hints()
        assert len(harness.executor.store.read(h.instance_id for h in hints)) == 500
        harness.executor.store.clear_hints(hints)
    record_property("microseconds_per_job", 1e6 * (time.perf_counter() - began) / len(specs))


def test_store_alone_keeps_the_first_token() -> None:
    store = MemoryStore()
    first = store.void([1, 2], "a")
    assert store.void([1], "b")[1] == first[1]


def test_several_threads_may_use_it_at_once(harness: DummyHarness) -> None:
    """A worker's threads submit, list, look and clear together: every attempt ends once and every hint is seen."""
    short, long = ([harness.spec(text) for _ in range(3000)] for text in ("ok", "runs=1000"))
    mixed = [spec for pair in zip(short, long, strict=True) for spec in pair]
    executor, store = harness.executor, harness.executor.store
    are_submitted, begin = threading.Event(), threading.Barrier(6)
    seen: set[int] = set()

    def submit(part: Sequence[JobSpec]) -> None:
        begin.wait()
        for at in range(0, len(part), 10):
            executor.submit(part[at : at + 10])

    def watch() -> None:
        begin.wait()
        is_last = False
        while not is_last:
            is_last = are_submitted.is_set()
            executor.poll()
            hints = store.hints()
            seen.update(hint.instance_id for hint in hints)
            store.clear_hints(hints[: len(hints) // 2])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as pool:
            writers = [pool.submit(submit, mixed[n::3]) for n in range(3)]
            readers = [pool.submit(watch) for _ in range(3)]
            wait(writers)
            are_submitted.set()
            for one in writers + readers:
                one.result()
    finally:
        sys.setswitchinterval(interval)
    assert seen == {spec.instance_id for spec in short}
    assert set(executor.poll()) == {spec.name for spec in long}
    assert all(found.exit for found in store.read(seen).values())
