"""Errors as application/problem+json, with a stable code."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from workflows.binding import WorkflowInUse
from workflows.graph import InvalidGraph
from workflows.lifecycle import Refused
from workflows.queries.keyset import CursorError
from workflows.queries.limits import is_over_time

logger = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"
LONGEST = 500  # characters of a listed error: names come from outside
CODES = {400: "invalid-request", 401: "not-authenticated", 403: "not-allowed", 404: "not-found", 405: "method-not-allowed",
         406: "not-acceptable", 413: "too-large", 415: "unsupported-media-type", 429: "too-many-requests"}  # fmt: skip


class Problem(Exception):
    """A refusal with a status and a code."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more


def answer(status: int, code: str, detail: str, **more: Any) -> Response:
    body = {
        "type": "about:blank",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return Response({**body, **more}, status=status, content_type=CONTENT_TYPE)


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every known error becomes a problem; the unknown ones stay what they are: bugs."""
    if isinstance(error, Problem):
        return answer(error.status, error.code, error.detail, **error.more)
    if isinstance(error, Refused):
        return _refuse(error)
    if isinstance(error, WorkflowInUse):
        return answer(
            409,
            "workflow-in-use",
            "The same graph with the same workflow_args belongs to somebody else. Choose other workflow_args.",
        )
    if isinstance(error, InvalidGraph):
        return _invalid_graph(error)
    if isinstance(error, CursorError):
        return answer(400, "invalid-request", str(error))
    if isinstance(error, Http404):
        return answer(404, "not-found", "There is no such thing here, or you may not see it.")
    if isinstance(error, PermissionDenied):
        return answer(403, "not-allowed", str(error) or "You may not do this.")
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    if isinstance(error, RecursionError):
        return answer(400, "invalid-request", "The body is nested too deeply.")
    if is_over_time(error):
        return _too_wide()
    if isinstance(error, DatabaseError):
        logger.exception("database error")
        response = answer(503, "unavailable", "The database does not answer. Try again in a few seconds.")
        response["Retry-After"] = "5"
        return response
    return None


def _too_wide() -> Response:
    response = answer(
        503,
        "too-wide",
        "The answer took over 2 seconds and was given up. Narrow it by status, tag or the beginning of a name.",
    )
    response["Retry-After"] = "5"
    return response


def _refuse(error: Refused) -> Response:
    """What one may not now is a conflict; too much of it is said so, with when to try again."""
    is_over_quota = error.code.startswith("too-many-")
    response = answer(429 if is_over_quota else 409, error.code, error.message, **error.facts)
    if is_over_quota:
        response["Retry-After"] = "60"
    return response


def _invalid_graph(error: InvalidGraph) -> Response:
    listed = [
        {"code": item.code, "path": item.path[:LONGEST], "job": item.job[:LONGEST], "detail": item.detail[:LONGEST]}
        for item in error.errors
    ]
    return answer(400, "invalid-graph", str(error), errors=listed, error_count=error.count, kinds=error.kinds)


def _printable(text: object) -> str:
    """What was sent is named in the answer; a lone surrogate in it cannot be encoded."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _from_framework(error: exceptions.APIException) -> Response:
    status = error.status_code
    more: dict[str, Any] = {}
    detail = str(error.detail)
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"": error.detail}
        more["errors"] = [
            {"code": "invalid-field", "path": _printable(path), "detail": _printable(item)}
            for path, items in fields.items()
            for item in (items if isinstance(items, list) else [items])
        ]
        detail = "; ".join(f"{item['path']}: {item['detail']}" for item in more["errors"])
    response = answer(status, CODES.get(status, "error"), _printable(detail), **more)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if (wait := getattr(error, "wait", None)) is not None:
        response["Retry-After"] = str(int(wait) + 1)
    return response
