"""A part of the embedded server that lives and does nothing is noticed and replaced."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.services import EmbeddedServer
from tests.waiting import wait_until


@pytest.mark.timeout(600)
def test_a_worker_that_stands_still_is_replaced(make_embedded_server: Callable[..., EmbeddedServer]) -> None:
    server = make_embedded_server(JOBMON_WORKER_SILENCE_SECONDS="20").start()
    wait_until(lambda: (server.home / "worker.heartbeat").exists(), 60, "the worker's first sign of life")
    wait_until(lambda: rows(server), 60, "the worker's row")
    stopped = server.parts["worker"]
    os.kill(stopped, signal.SIGSTOP)
    server.wait_for_restart("worker", stopped)
    assert "The worker part gives no sign of life" in server.output
    beat = (server.home / "worker.heartbeat").stat().st_mtime_ns
    wait_until(lambda: (server.home / "worker.heartbeat").stat().st_mtime_ns > beat, 120, "a sign of the new one")


def rows(server: EmbeddedServer) -> list[tuple[object, ...]]:
    return server.query("SELECT name, at FROM system_state WHERE name LIKE 'worker %'")
