"""HTTP with one kept connection, gzip, and retries of what may be repeated. Standard library only."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from jobmon import clock
from jobmon.exceptions import AnswerLost, ServerError, ServerUnreachable
from jobmon.talk import tell
from jobmon.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Query = Sequence[tuple[str, str]]

CONNECT_SECONDS = 10.0
FIRST_CONTACT_SECONDS = 2.0
GZIP_FROM_BYTES = 1024
LONGEST_PAUSE = 5.0
TRY_LATER = frozenset({429, 502, 503, 504})
BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Answer:
    """What the server said. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def read_json(self) -> Any:
        """The body's value. Raises ServerError when it is no JSON: something else answers at this address."""
        try:
            return json.loads(self.body.decode("utf-8"))
        except ValueError as error:
            start = self.body[:80].decode("utf-8", "replace")
            raise ServerError(
                f"The answer is not JSON (it begins {start!r}). Is there a Jobmon server at this address? "
                "`jobmon config show` tells where the address comes from."
            ) from error


@dataclass(frozen=True)
class Call:
    """One logical call; all its repetitions carry the same key. `timeout` in seconds, for the answer."""

    method: str
    path: str
    query: Query = ()
    body: Any = None
    is_repeatable: bool = False
    timeout: float = 60.0
    key: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def what(self) -> str:
        """How messages name this call."""
        return f"{self.method} {self.path}"

    @property
    def target(self) -> str:
        """Path and query as they go on the wire."""
        return f"{self.path}?{urlencode(list(self.query))}" if self.query else self.path


class _NotSent(Exception):
    """No connection: the server has not seen the call."""


class Transport:
    """A connection to one server. Safe to share between threads (calls take turns) and across a fork.

    A server that has answered before is expected back: calls are then retried for `retry_seconds`. One that never
    answered is probably a wrong address, and is given up after two seconds.
    """

    def __init__(self, server: str, token: str = "", retry_seconds: float = 300.0) -> None:
        parts = urlsplit(server)
        self.server = server
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._retry_seconds = retry_seconds
        self._has_answered = False
        self._connection: http.client.HTTPConnection | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def send(self, call: Call) -> Answer:
        """Make the call; any HTTP status is an answer. Raises ServerUnreachable, and AnswerLost for a call that
        changes something, may not be repeated, and broke after it was sent."""
        payload, headers = self._prepare(call)
        with self._lock:
            return self._send_patiently(call, payload, headers)

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _prepare(self, call: Call) -> tuple[bytes | None, dict[str, str]]:
        headers = {
            "Accept": "application/json, */*;q=0.5",
            "Accept-Encoding": "gzip",
            "User-Agent": f"jobmon/{__version__}",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if call.method != "GET":
            headers["Idempotency-Key"] = call.key
        if call.body is None:
            return None, headers
        payload = json.dumps(call.body, separators=(",", ":")).encode("utf-8")
        headers["Content-Type"] = "application/json"
        if len(payload) >= GZIP_FROM_BYTES:
            payload = gzip.compress(payload, 1)  # a graph of 100,000 jobs in a tenth of a second, a tenth larger
            headers["Content-Encoding"] = "gzip"
        digest = base64.b64encode(hashlib.sha256(payload).digest()).decode()
        headers["Content-Digest"] = f"sha-256=:{digest}:"  # the server refuses what was changed or cut on its way
        return payload, headers

    def _send_patiently(self, call: Call, payload: bytes | None, headers: Mapping[str, str]) -> Answer:
        patience = self._retry_seconds if self._has_answered else min(FIRST_CONTACT_SECONDS, self._retry_seconds)
        begun = time.monotonic()
        deadline = begun + patience
        pause, told = 0.1, False
        while True:
            answer, why = self._try_once(call, payload, headers)
            if answer is not None and not _asks_to_wait(call, answer):
                if told:
                    tell(f"{self.server} answers again.")
                return answer
            if answer is not None:
                pause = max(pause, _retry_after(answer))
                deadline = max(deadline, time.monotonic() + self._retry_seconds if _is_at_work(answer) else 0.0)
            if time.monotonic() + pause > deadline:
                if answer is not None:
                    return answer
                raise ServerUnreachable(self._describe_silence(why, patience))
            if not told and pause >= 0.4:
                tell(f"{self.server} does not answer ({why}); trying again for up to {patience:.0f} s.")
                told = True
            clock.pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _try_once(self, call: Call, payload: bytes | None, headers: Mapping[str, str]) -> tuple[Answer | None, str]:
        """An answer, or None and why there is none; only what is safe to repeat comes back as None."""
        was_kept = self._connection is not None and call.is_repeatable
        try:
            try:
                answer = self._exchange(call, payload, headers)
            except BROKEN:
                if not was_kept:
                    raise
                answer = self._exchange(call, payload, headers)  # the server had closed the kept connection
        except _NotSent as error:
            return None, str(error)
        except BROKEN as error:
            if not call.is_repeatable:
                raise AnswerLost(
                    f"The connection to {self.server} broke during {call.what} ({_words(error)}). Whether it was "
                    "carried out is not known: look with `jobmon workflow list` before you repeat it."
                ) from error
            return None, _words(error)
        self._has_answered = True
        return answer, f"HTTP status {answer.status}"

    def _exchange(self, call: Call, payload: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = self._connect(fresh=not call.is_repeatable)
        try:
            if connection.sock is not None:
                connection.sock.settimeout(call.timeout)
            connection.request(call.method, self._prefix + call.target, body=payload, headers=dict(headers))
            response = connection.getresponse()
            body = response.read()
        except BaseException:  # also Ctrl-C: half an answer must not be read as the next one
            self.close()
            raise
        found = {name.lower(): value for name, value in response.getheaders()}
        if found.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return Answer(response.status, found, body)

    def _connect(self, fresh: bool) -> http.client.HTTPConnection:
        """The kept connection, or a new one: after a fork, and for a call that may not be repeated, since a kept
        connection that the server closed meanwhile would leave its outcome unknown."""
        # Closed after its last answer: the library would open it again and wait for the answer only CONNECT_SECONDS.
        is_closed = self._connection is not None and self._connection.sock is None
        if fresh or is_closed or self._pid != os.getpid():
            self.close()
            self._pid = os.getpid()
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            connection = kind(self._host, self._port, timeout=CONNECT_SECONDS)
            try:
                connection.connect()
            except OSError as error:
                raise _NotSent(_words(error)) from error
            self._connection = connection
        return self._connection

    def _describe_silence(self, why: str, patience: float) -> str:
        return (
            f"No Jobmon server answers at {self.server} ({why}; tried for {patience:.0f} s). Start it, or set "
            "JOBMON_SERVER or run `jobmon configure`; `jobmon config show` tells where this address comes from."
        )


def _asks_to_wait(call: Call, answer: Answer) -> bool:
    return _is_at_work(answer) or (answer.status in TRY_LATER and (call.is_repeatable or answer.status == 429))


def _is_at_work(answer: Answer) -> bool:
    """An earlier sending of this very request is being carried out, or was when the server died: it has not answered
    yet, and asking again repeats nothing."""
    return answer.status == 409 and b'"request-in-progress"' in answer.body


def _retry_after(answer: Answer) -> float:
    """Seconds the server asks us to wait; 0 if it does not say, or gives a date."""
    try:
        return max(0.0, min(float(answer.headers.get("retry-after", "0")), 60.0))
    except ValueError:
        return 0.0


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
