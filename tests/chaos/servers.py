"""The server that is to be killed."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services import EmbeddedServer, server_database


def find_port() -> str:
    """Free now: the server shall come back where its clients look for it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@contextmanager
def chaos_server(folder: Path) -> Iterator[EmbeddedServer]:
    """A running server with the settings that people have; all that it started is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with server_database(f"chaos_{uuid.uuid4().hex[:12]}") as database:
        server = EmbeddedServer(folder / "home", database, JOBMON_PORT=find_port(), JOBMON_LOCAL_SLOTS="4")
        try:
            yield server.start()
        finally:
            server.close()
