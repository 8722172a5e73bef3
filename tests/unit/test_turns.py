"""A look answers the bells that were rung before it began, and no other."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from celery import Celery
from celery.app.task import Context

from workflows import bell
from workflows.scheduling import tick, turns
from workflows.scheduling.watcher import LONGEST_GAP, RING_GAP, Watcher

RUN = -7


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    turns.put_down(RUN)
    turns.forget(RUN)


def test_a_bell_rung_before_the_last_look_costs_nothing() -> None:
    """Without a database: whatever it would do there fails."""
    rung = time.monotonic()
    turns.note_look(RUN)
    assert tick.advance(RUN, rung) == tick.Progress()
    assert RUN not in turns.in_hand


def test_a_bell_rung_while_the_run_is_in_hand_asks_for_another_look() -> None:
    assert turns.take(RUN, time.monotonic())
    turns.note_look(RUN)
    assert not turns.take(RUN, time.monotonic())
    assert turns.put_down(RUN)
    assert not turns.put_down(RUN)


def test_a_look_answers_a_bell_rung_while_the_run_was_in_hand() -> None:
    assert turns.take(RUN, time.monotonic())
    turns.note_look(RUN)
    newest = time.monotonic()
    assert not turns.take(RUN, newest)
    assert not turns.take(RUN, newest - 5)
    turns.note_look(RUN)
    assert not turns.put_down(RUN)


def test_a_look_that_failed_answers_nothing() -> None:
    rung = time.monotonic()
    turns.note_look(RUN)
    assert turns.has_looked_since(RUN, rung)
    turns.forget(RUN)
    assert not turns.has_looked_since(RUN, rung)


def test_looks_of_long_ago_are_forgotten_but_not_of_a_run_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    turns.take(RUN, time.monotonic())
    turns.note_look(RUN)
    turns.note_look(RUN - 1)
    monkeypatch.setattr(turns, "BUSY_SECONDS", 0.0)
    turns.count_busy()
    assert turns.has_looked_since(RUN, 0.0)
    assert not turns.has_looked_since(RUN - 1, 0.0)


@pytest.mark.parametrize(
    ("busy", "threads", "seconds"),
    [(0, 0, 0.2), (1, 1, 2.0), (4, 4, 2.0), (8, 4, 1.0), (20, 4, 0.4), (1000, 4, 0.2), (3, 8, 2.0)],
)
def test_many_busy_runs_have_shorter_turns(busy: int, threads: int, seconds: float) -> None:
    assert turns.share_round(busy, threads) == pytest.approx(seconds)


def test_a_bell_says_when_and_on_which_machine_it_was_rung(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery("test", broker="memory://", set_as_current=False)
    monkeypatch.setattr(bell, "current_app", app)
    before = time.monotonic()
    bell.ring(RUN)
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue(app.amqp.default_queue.name).get(timeout=30)
    after = time.monotonic()
    assert before <= bell.rung_at(Context(message.headers)) <= after


@pytest.mark.parametrize("request_of", [{}, {"rung": None}, {"rung": ["another machine", 0.5]}])
def test_a_bell_of_elsewhere_counts_as_rung_now(request_of: dict[str, object]) -> None:
    before = time.monotonic()
    assert bell.rung_at(Context(request_of)) >= before


def ring(watcher: Watcher, hinted: set[int], now: float) -> None:
    watcher._ring(RUN, frozenset(hinted), now)


def test_what_is_new_rings_at_once_only_when_somebody_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that waits for its turn, on a busy server, is not rung for again with each of its jobs that end."""
    rings: list[int] = []
    monkeypatch.setattr(bell, "ring_here", rings.append)
    watcher, start = Watcher(), time.monotonic() - 100.0
    for step in range(1000):  # ten seconds with a new hint each 10 ms
        ring(watcher, set(range(step + 1)), start + step * 0.01)
    assert len(rings) <= 10 / LONGEST_GAP + 10
    rings.clear()
    turns.note_look(RUN)
    ring(watcher, set(range(2000)), start + 10 + RING_GAP)
    assert rings == [RUN]


def test_a_run_in_hand_is_not_rung_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rings: list[int] = []
    monkeypatch.setattr(bell, "ring_here", rings.append)
    turns.take(RUN, time.monotonic())
    ring(Watcher(), {1}, time.monotonic())
    assert rings == []
