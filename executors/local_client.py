"""How a worker talks to the shepherd of this machine. What goes wrong is ExecutorUnavailable, never an empty answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors import unix_socket
from executors.base import ExecutorUnavailable

_CHUNK = 1 << 20


class Dialogue:
    """One open connection: requests in turn, one answer each."""

    def __init__(self, client: ShepherdClient) -> None:
        self._client = client
        try:
            self._socket = unix_socket.connect(client.path, client.timeout)
        except OSError as error:
            raise ExecutorUnavailable(
                f"the local executor's shepherd does not answer at {client.path}: {error.strerror or error}; "
                "is the server running?"
            ) from error

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Raises ExecutorUnavailable; then it is unknown whether the request was carried out."""
        request = {"op": operation, "root": str(self._client.root), **arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._read_line()
        except OSError as error:
            raise ExecutorUnavailable(f"the shepherd gave no answer to {operation}: {error}") from error
        return self._parse(operation, line)

    def _read_line(self) -> bytes:
        deadline = time.monotonic() + self._client.timeout
        parts: list[bytes] = []
        while not (parts and parts[-1].endswith(b"\n")):
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            parts.append(self._socket.recv(_CHUNK))
            if not parts[-1]:
                raise ConnectionResetError("it hung up in the middle")
        return b"".join(parts)

    def _parse(self, operation: str, line: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(line)
        except ValueError as error:
            raise ExecutorUnavailable(f"the shepherd's answer to {operation} is not readable: {error}") from error
        if not isinstance(reply, dict) or "error" in reply:
            raise ExecutorUnavailable(f"the shepherd refused {operation}: {reply}")
        return reply

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True)
class ShepherdClient:
    """`path` of the socket, `root` of the spool that the shepherd must serve, `timeout` in seconds for each answer."""

    path: Path
    root: Path
    timeout: float = 10.0

    @contextmanager
    def connect(self) -> Iterator[Dialogue]:
        """Raises ExecutorUnavailable if nobody listens."""
        dialogue = Dialogue(self)
        try:
            yield dialogue
        finally:
            dialogue.close()

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request on a connection of its own."""
        with self.connect() as dialogue:
            return dialogue.ask(operation, **arguments)
