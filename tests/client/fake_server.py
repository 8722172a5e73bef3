"""A server for the client's tests: docs/rest.md over real HTTP, in memory, standard library only.

It can be told to misbehave: `fail_next` answers with an error status, `drop_next` closes the connection (before or
after the call took effect), `stop` and `start` restart it on the same port.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.client.fake_state import Problem, State
from tests.ports import find_ports

TOKEN = "secret-token"


@dataclass
class Seen:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Mischief:
    """What is to go wrong, and how often."""

    statuses: list[int] = field(default_factory=list)
    drops_before: int = 0
    drops_after: int = 0


class FakeServer:
    """A server on a port of its own. `seen` holds all requests, `state` all that it knows, `extra` more routes:
    (method, path) → answer."""

    def __init__(self) -> None:
        self.state = State()
        self.seen: list[Seen] = []
        self.mischief = Mischief()
        self.extra: dict[tuple[str, str], Any] = {}
        self.lock = threading.RLock()
        self.connections: set[socket.socket] = set()
        self._port = find_ports(1)  # its own while it is away, too
        self._http: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; after `stop`, on the same port again."""
        handler = type("BoundHandler", (Handler,), {"fake": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._http.daemon_threads = True
        self.state.url = self.url
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Go away, with all open connections."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        self.close_connections()

    def close_connections(self) -> None:
        """Close what clients hold open, as a server does after its keep-alive time."""
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def fail_next(self, *statuses: int) -> None:
        self.mischief.statuses.extend(statuses)

    def requests(self, method: str, ending: str = "") -> list[Seen]:
        """What came in with this method, at paths that end so."""
        return [one for one in self.seen if one.method == method and one.path.endswith(ending)]


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.fake.connections.add(self.connection)

    def finish(self) -> None:
        self.fake.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, parts.path, parse_qs(parts.query), headers, body)
        with self.fake.lock:
            self.fake.seen.append(seen)
            if self._drops("drops_before"):
                return
            status, answer, more = self._answer(seen)
            if self.fake.mischief.drops_after and self._drops("drops_after"):
                return
        self._write(status, answer, more)

    def _drops(self, which: str) -> bool:
        left = getattr(self.fake.mischief, which)
        if left <= 0:
            return False
        setattr(self.fake.mischief, which, left - 1)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return True

    def _read_body(self) -> Any:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return json.loads(content) if content else None

    def _answer(self, seen: Seen) -> tuple[int, Any, dict[str, str]]:
        if self.fake.mischief.statuses:
            status = self.fake.mischief.statuses.pop(0)
            code = "request-in-progress" if status == 409 else "unavailable"
            return status, {"status": status, "code": code, "detail": "not now"}, {"Retry-After": "0"}
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"status": 401, "code": "not-authenticated", "detail": "no token"}, {}
        try:
            return self._route(seen)
        except Problem as problem:
            return problem.status, problem.body, {}

    def _route(self, seen: Seen) -> tuple[int, Any, dict[str, str]]:
        if (seen.method, seen.path) in self.fake.extra:
            return 200, self.fake.extra[seen.method, seen.path], {}
        for method, pattern, name in ROUTES:
            match = re.fullmatch("/api/v1/" + pattern, seen.path)
            if match and method == seen.method:
                numbers = [int(part) if part.isdigit() else part for part in match.groups()]
                answer: tuple[int, Any, dict[str, str]] = getattr(self, name)(seen, *numbers)
                return answer
        return 404, "<h1>Not Found</h1>", {}

    def _write(self, status: int, answer: Any, more: dict[str, str]) -> None:
        is_raw = isinstance(answer, (str, bytes))
        content = answer.encode() if isinstance(answer, str) else answer if is_raw else json.dumps(answer).encode()
        if status == 204:
            content = b""
        headers = {"Content-Type": "text/plain" if is_raw else "application/json", **more}
        if "gzip" in (self.headers.get("Accept-Encoding") or "") and len(content) > 500:
            content = gzip.compress(content)
            headers["Content-Encoding"] = "gzip"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _page(self, seen: Seen, found: list[Any]) -> tuple[int, Any, dict[str, str]]:
        size, start = int(seen.query.get("per_page", ["50"])[0]), int(seen.query.get("after", ["0"])[0])
        rest = start + size
        following = f"http://elsewhere.invalid{seen.path}?per_page={size}&after={rest}" if rest < len(found) else None
        return 200, {"results": found[start:rest], "next": following}, {}

    def info(self, seen: Seen) -> Any:
        state = self.fake.state
        body = {"version": state.version, "user": state.user, "executors": ["local", "dummy"], "url": self.fake.url}
        return 200, {**body, "default_executor": "local", "features": state.features}, {}

    def submit(self, seen: Seen) -> Any:
        found = self.fake.state.submit(seen.body)
        return 201 if found["created"] else 200, found, {}

    def make_draft(self, seen: Seen) -> Any:
        key = f"d{len(self.fake.state.drafts)}"
        self.fake.state.drafts[key] = {"body": seen.body, "chunks": {}}
        return 201, {"id": key}, {}

    def put_chunk(self, seen: Seen, key: str, number: int) -> Any:
        self.fake.state.find(self.fake.state.drafts, key)["chunks"][number] = seen.body["jobs"]
        return 204, b"", {}

    def commit(self, seen: Seen, key: str) -> Any:
        draft = self.fake.state.find(self.fake.state.drafts, key)
        jobs = [job for number in sorted(draft["chunks"]) for job in draft["chunks"][number]]
        if len(jobs) != draft["body"]["job_count"]:
            raise Problem(400, "invalid-request", "chunks are missing")
        found = self.fake.state.submit({**draft["body"], "jobs": [dict(job) for job in jobs]})
        return 201 if found["created"] else 200, found, {}

    def workflows(self, seen: Seen) -> Any:
        found = [self.fake.state.show_workflow(number) for number in sorted(self.fake.state.workflows, reverse=True)]
        for key in ("status", "user", "name", "workflow_args"):
            if key in seen.query:
                found = [one for one in found if one[key] in seen.query[key]]
        return self._page(seen, found)

    def workflow(self, seen: Seen, number: int) -> Any:
        return 200, self.fake.state.show_workflow(number), {}

    def start(self, seen: Seen, number: int) -> Any:
        return 201, self.fake.state.start(number, seen.body), {}

    def runs(self, seen: Seen, number: int) -> Any:
        runs = self.fake.state.find(self.fake.state.workflows, number)["runs"]
        return self._page(seen, [self.fake.state.show_run(run) for run in reversed(runs)])

    def jobs(self, seen: Seen, number: int) -> Any:
        found = [self.fake.state.jobs[job] for job in self.fake.state.find(self.fake.state.workflows, number)["jobs"]]
        for key in ("status", "tag", "name"):
            if key in seen.query:
                found = [one for one in found if one[key] in seen.query[key]]
        return self._page(seen, found)

    def errors(self, seen: Seen, number: int) -> Any:
        return 200, self.fake.state.list_errors(number), {}

    def run(self, seen: Seen, number: int) -> Any:
        self.fake.state.advance(number)
        found = self.fake.state.show_run(number)
        return (204, b"", {}) if seen.query.get("v") == [str(found["change_no"])] else (200, found, {})

    def stop(self, seen: Seen, number: int) -> Any:
        return 202, self.fake.state.stop(number, seen.body["mode"]), {}

    def job(self, seen: Seen, number: int) -> Any:
        return 200, self.fake.state.find(self.fake.state.jobs, number), {}

    def instance(self, seen: Seen, number: int) -> Any:
        return 200, self.fake.state.find_instance(number), {}

    def log(self, seen: Seen, number: int, stream: str) -> Any:
        content = self.fake.state.find_instance(number)[stream].encode()
        begin = int(seen.query.get("offset", [str(max(0, len(content) - 65536))])[0])
        limit = int(seen.query.get("limit", ["65536"])[0])
        return 200, content[begin : begin + limit], {"X-Log-Offset": str(begin)}


ROUTES = [
    ("GET", "", "info"),
    ("POST", "workflows/", "submit"),
    ("POST", "drafts/", "make_draft"),
    ("PUT", r"drafts/(\w+)/chunks/(\d+)/", "put_chunk"),
    ("POST", r"drafts/(\w+)/commit/", "commit"),
    ("GET", "workflows/", "workflows"),
    ("GET", r"workflows/(\d+)/", "workflow"),
    ("POST", r"workflows/(\d+)/runs/", "start"),
    ("GET", r"workflows/(\d+)/runs/", "runs"),
    ("GET", r"workflows/(\d+)/jobs/", "jobs"),
    ("GET", r"workflows/(\d+)/errors/", "errors"),
    ("GET", r"workflow-runs/(\d+)/", "run"),
    ("POST", r"workflow-runs/(\d+)/stop/", "stop"),
    ("GET", r"jobs/(\d+)/", "job"),
    ("GET", r"job-instances/(\d+)/", "instance"),
    ("GET", r"job-instances/(\d+)/log/(stdout|stderr)/", "log"),
]
