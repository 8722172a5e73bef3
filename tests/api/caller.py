"""A caller of the API in this process, who checks every answer against the description."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from tests.api.answers import check_answer
from workflows.access import create_token

GRAPH: dict[str, Any] = {
    "workflow_args": "quickstart",
    "jobs": [
        {"name": "write", "command": "ok write"},
        {"name": "copy", "command": "ok copy", "upstreams": ["write"]},
    ],
}


def graph(*names: str, args: str = "a", **header: Any) -> dict[str, Any]:
    return {"workflow_args": args, **header, "jobs": [{"name": name, "command": f"ok {name}"} for name in names]}


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]
    content: bytes

    @property
    def code(self) -> str:
        return str(self.body["code"])


@dataclass
class Caller:
    """`headers` go with every call. Without a token the caller is anonymous, unless its client is signed in."""

    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    client: Client = field(default_factory=lambda: Client(HTTP_HOST="127.0.0.1", enforce_csrf_checks=True))

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` as JSON, or as it is if it is bytes. `path` below /api/v1/, unless it begins with a slash."""
        url = path if path.startswith("/") else f"/api/v1/{path}"
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {**self.headers, **headers}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        content_type = sent.pop("content_type", "application/json")
        response = self.client.generic(method, url, data, content_type, headers=sent)
        check_answer(method, url.partition("?")[0], response)
        is_json = response.headers.get("Content-Type", "").partition(";")[0].endswith("json")
        return Answer(
            response.status_code, response.json() if is_json and response.content else None,
            dict(response.headers), b"" if response.streaming else response.content,
        )  # fmt: skip

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.call("PUT", path, body, **headers)

    def post_gzip(self, path: str, body: Any) -> Answer:
        data = body if isinstance(body, bytes) else gzip.compress(json.dumps(body).encode())
        return self.post(path, data, **{"Content-Encoding": "gzip"})


def caller_for(user: User, scope: str = "operate") -> Caller:
    return Caller(create_token(user, "test", scope))
