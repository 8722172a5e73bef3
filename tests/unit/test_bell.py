"""A bell that cannot be rung costs nobody their time: the sweep makes good."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings

from workflows import bell


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
