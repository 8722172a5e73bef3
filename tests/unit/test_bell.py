"""A bell that cannot be rung costs nobody their time: the sweep makes good."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from celery.concurrency.thread import TaskPool
from django.conf import settings

from jobmon_site import celery as site_celery
from workflows import bell, tasks
from workflows.scheduling import tick


@contextmanager
def hanging_up(path: Path) -> Iterator[list[int]]:
    """A broker that hangs up on whoever calls; the calls so far."""
    calls: list[int] = []
    is_over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            while True:
                connection, _ = listener.accept()
                if is_over.is_set():
                    connection.close()
                    return
                calls.append(1)  # before it is felt
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield calls
        finally:
            is_over.set()
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
            thread.join()


def test_a_bell_that_nobody_answers_is_rung_at_most_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery("test", broker=f"redis+socket://{tmp_path / 'broker'}", set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    monkeypatch.setattr(bell, "current_app", app)
    lost = bell.lost_bells
    with hanging_up(tmp_path / "broker") as calls:
        bell.send("workflows.tasks.advance", run_id=1)
        seen = len(calls)
    assert bell.lost_bells == lost + 1
    assert 1 <= seen <= 4  # two tries, each of which the library may repeat once on a connection of its own


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The runs that were rung for through the broker."""
    sent: list[int] = []
    monkeypatch.setattr(bell, "send", lambda _task, run_id: sent.append(run_id))
    yield sent
    bell.answer_here(None)


def test_what_a_worker_sees_itself_goes_past_the_broker(rings: list[int]) -> None:
    bell.ring_here(1)
    assert rings == [1], "no worker here"
    looks: list[int] = []
    bell.answer_here(lambda run_id, _rung: looks.append(run_id))
    bell.ring_here(2)
    bell.ring(3)
    assert (looks, rings) == ([2], [1, 3])


def test_a_worker_that_is_leaving_hands_its_bells_to_the_others(rings: list[int]) -> None:
    pool = TaskPool(1, app=Celery("test", set_as_current=False))
    pool.executor.shutdown()
    bell.answer_here(functools.partial(tasks.hand_over, pool))
    bell.ring_here(1)
    assert rings == [1]


def hand_over_and_wait(run_id: int, rung: float) -> None:
    pool = TaskPool(1, app=Celery("test", set_as_current=False))
    tasks.hand_over(pool, run_id, rung)
    pool.executor.shutdown()


def test_a_thread_of_the_worker_looks_and_what_goes_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[int, float]] = []

    def advance(run_id: int, rung: float) -> tick.Progress:
        asked.append((run_id, rung))
        raise OSError("no space left")

    monkeypatch.setattr(tick, "advance", advance)
    hand_over_and_wait(7, 12.5)
    assert asked == [(7, 12.5)]
    assert "no space left" in caplog.text


def test_what_a_worker_does_by_itself_is_no_sign_that_it_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []
    monkeypatch.setattr(site_celery._hearing, "note", lambda: heard.append(True))
    monkeypatch.setattr(tick, "advance", lambda *_: tick.Progress())
    hand_over_and_wait(7, 12.5)
    assert not heard
