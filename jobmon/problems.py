"""Turns a refusal of the server (`application/problem+json`) into the exception that says what to do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobmon.exceptions import (
    InvalidGraph,
    InvalidRequest,
    JobmonError,
    LeftoversRemain,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RequestRefused,
    ServerError,
    WorkflowAlreadyComplete,
    WorkflowInUse,
    WorkflowRunning,
)
from jobmon.plain import clean

if TYPE_CHECKING:
    from jobmon.transport import Answer

ERRORS_SHOWN = 10

BY_CODE: dict[str, tuple[type[RequestRefused], str]] = {
    "invalid-request": (InvalidRequest, "Correct the request; nothing was stored."),
    "invalid-graph": (InvalidGraph, "Correct these tasks and run the script again; nothing was stored."),
    "not-authenticated": (
        NotAuthenticated,
        "Make a token on the server's account page, then run `jobmon configure`; `jobmon config show` tells which "
        "server was asked, with which token.",
    ),
    "not-allowed": (
        NotAllowed,
        "Ask the owner of the workflow or an administrator to do it, or to give you the right.",
    ),
    "not-found": (NotFound, "Check the number with `jobmon workflow list`; what you may not see is not found either."),
    "unknown-tag": (NotFound, "`jobmon workflow graph` lists the tags of a workflow."),
    "unknown-job": (NotFound, "`jobmon workflow jobs` lists the jobs of a workflow."),
    "workflow-already-complete": (
        WorkflowAlreadyComplete,
        "To run its jobs again, change workflow_args, or use `jobmon job rerun`.",
    ),
    "workflow-in-use": (WorkflowInUse, "Choose other workflow_args, or ask its owner to resume it."),
    "workflow-running": (
        WorkflowRunning,
        "Wait for it with `jobmon workflow wait`, or end it with `jobmon workflow stop` and run again.",
    ),
    "leftovers": (LeftoversRemain, "Try again in a minute, or resume with 'hot' to adopt what still runs."),
    "too-large": (RequestRefused, "Make the workflow smaller, or ask the administrator for a higher limit."),
}

BY_STATUS: dict[int, str] = {
    400: "invalid-request",
    401: "not-authenticated",
    403: "not-allowed",
    404: "not-found",
    413: "too-large",
    429: "too-many-requests",
}


def read_problem(answer: Answer) -> dict[str, Any]:
    """The problem in an answer's body; empty when it holds none (a proxy's page, say)."""
    try:
        problem = json.loads(answer.body.decode("utf-8"))
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def describe_errors(problem: dict[str, Any]) -> str:
    """The listed errors, one a line, at most ten; says how many are left out."""
    errors = problem.get("errors") or []
    lines = []
    for error in errors[:ERRORS_SHOWN]:
        where = error.get("job") or error.get("path") or error.get("code") or "?"
        lines.append(f"  {where}: {error.get('detail', '')}")
    count = int(problem.get("error_count") or len(errors))
    if count > len(lines):
        lines.append(f"  … and {count - len(lines)} more")
    return "\n".join(lines)


def _advise(answer: Answer, problem: dict[str, Any]) -> str:
    """For a refusal without advice of its own: a conflict that the server has explained does not end by waiting."""
    if answer.status != 429 and problem.get("detail"):
        return ""
    return "Try again later; if it stays, tell the administrator."


def error_for(answer: Answer, what: str) -> JobmonError:
    """The exception for an answer that is not a success. `what` names the call, as in "GET /api/v1/jobs/7/"."""
    problem = read_problem(answer)
    if answer.status >= 500:
        detail = problem.get("detail") or "no further word"
        return ServerError(
            f"The server failed with {answer.status} on {what}: {detail}. "
            "Try again; if it stays, tell the administrator."
        )
    if 300 <= answer.status < 400:
        return ServerError(
            f"The server sent {what} on to {answer.headers.get('location', 'nowhere')}. "
            "Set JOBMON_SERVER (or `jobmon configure`) to that address."
        )
    code = str(problem.get("code") or BY_STATUS.get(answer.status, ""))
    kind, advice = BY_CODE.get(code, (RequestRefused, _advise(answer, problem)))
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP status {answer.status}").rstrip(". ")
    listed = describe_errors(problem)
    message = f"{detail} ({what}). {advice}".rstrip() + (f"\n{listed}" if listed else "")
    return kind(clean(message), status=answer.status, code=code, problem=problem)
