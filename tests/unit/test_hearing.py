"""A worker calls itself when it has heard nothing; only what it hears counts as life."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.utils.nodenames import worker_direct

from jobmon_site import celery as celery_app
from jobmon_site import readiness
from jobmon_site.hearing import CALL, LONGEST_TASK, QUIET_SECONDS, Hearing

NAME = "worker@here"


@pytest.fixture
def heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "heartbeat"
    monkeypatch.setenv(readiness.HEARTBEAT_VARIABLE, str(path))
    return path


def make_hearing(broker: str) -> tuple[Celery, Hearing]:
    app = Celery("test", broker=broker, set_as_current=False)
    app.conf.broker_transport_options = {"socket_connect_timeout": 1}
    made = Hearing(app)
    made._name = NAME
    made._written_at = float("inf")  # no row: there is no database here
    return app, made


def count_calls(app: Celery) -> int:
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(worker_direct(NAME))
        try:
            found = 0
            while True:
                try:
                    message = queue.get_nowait()
                except queue.Empty:
                    return found
                assert message.headers["task"] == CALL
                message.ack()
                found += 1
        finally:
            queue.close()


def test_a_quiet_worker_calls_itself_and_a_deaf_one_gives_no_sign(heartbeat: Path) -> None:
    app, hearing = make_hearing(f"memory://{heartbeat.parent.name}")
    hearing.step(hearing._heard_at + QUIET_SECONDS - 1)
    assert count_calls(app) == 0
    hearing.step(hearing._heard_at + QUIET_SECONDS)
    assert count_calls(app) == 1
    assert not heartbeat.exists()
    hearing.note()
    assert heartbeat.exists()


def test_a_worker_that_is_deaf_from_its_start_ends_itself(heartbeat: Path) -> None:
    app, hearing = make_hearing(f"memory://{heartbeat.parent.name}")
    left: list[int] = []
    hearing._leave = lambda: left.append(count_calls(app))
    begun = hearing._heard_at + QUIET_SECONDS
    for number in range(4):
        hearing.step(begun + 5 * number)
    assert left == [3]


def test_one_that_has_heard_is_left_to_its_supervisor(heartbeat: Path) -> None:
    app, hearing = make_hearing(f"memory://{heartbeat.parent.name}")
    hearing._leave = pytest.fail
    hearing.note()
    for number in range(10):
        hearing.step(hearing._heard_at + QUIET_SECONDS + 5 * number)
    assert count_calls(app) == 10


def test_without_a_broker_there_is_nothing_to_hear(heartbeat: Path, tmp_path: Path) -> None:
    _, hearing = make_hearing(f"redis+socket://{tmp_path}/nobody.sock")
    hearing.step(hearing._heard_at + QUIET_SECONDS)
    assert heartbeat.exists()


def test_a_worker_whose_task_does_not_end_ends_itself(
    heartbeat: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by Celery's own signals, from a thread that is still at it while others begin and end."""
    left: list[str] = []
    monkeypatch.setattr(celery_app._hearing, "_leave", lambda: left.append(caplog.text))
    monkeypatch.setattr(celery_app._hearing, "_written_at", float("inf"))
    monkeypatch.setattr(celery_app._hearing, "_heard_at", float("inf"))  # no call: there is no broker here
    go_on, has_begun = Event(), Event()

    @celery_app.app.task(name="tests.hung")
    def task(wait: bool) -> None:
        has_begun.set()
        assert not wait or go_on.wait(60)

    thread = Thread(target=lambda: task.apply(kwargs={"wait": True}))
    thread.start()
    assert has_begun.wait(60)
    task.apply(kwargs={"wait": False})
    celery_app._hearing.step(time.monotonic() + LONGEST_TASK - 60)
    assert left == []
    celery_app._hearing.step(time.monotonic() + LONGEST_TASK)
    assert "tests.hung has not ended for 10 minutes" in left[0]
    go_on.set()
    thread.join()
    del celery_app.app.tasks["tests.hung"]
    celery_app._hearing.step(time.monotonic() + LONGEST_TASK)
    assert len(left) == 1


def test_a_worker_whose_broker_is_gone_as_it_starts_is_watched_all_the_same(
    heartbeat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object, **__: object) -> None:
        raise BrokenPipeError

    hearing = make_hearing(f"memory://{heartbeat.parent.name}")[1]
    monkeypatch.setattr(celery_app, "_hearing", hearing)
    monkeypatch.setattr(celery_app.app, "send_task", lose)
    celery_app._sweep_at_once(SimpleNamespace(hostname=NAME))
    try:
        assert heartbeat.exists()
        assert hearing._name == NAME
    finally:
        hearing.stop()


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv(readiness.SYSTEMD_VARIABLE, str(tmp_path / "notify"))
        readiness.announce_ready()
        readiness.announce_life()
        assert [listener.recv(100), listener.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
