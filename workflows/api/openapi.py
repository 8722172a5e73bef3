"""What every call may answer, added to the description in one place."""

from __future__ import annotations

from typing import Any

PROBLEM = "application/problem+json"
WORDS = {
    "400": "The request was not understood; `errors` says what is wrong with it.",
    "401": "No token, or one that is unknown, expired or revoked.",
    "403": "You may see it, but not do this.",
    "404": "There is no such thing, or you may not see it.",
    "405": "There is no such method here.",
    "406": "Only JSON can be had here.",
    "409": "It cannot be done in its present state; `code` says why.",
    "413": "The body is too large.",
    "415": "The body must be JSON.",
    "429": "More than one person may have; `detail` says of what. Try again after `Retry-After` seconds.",
    "503": "The database does not answer, or this asks for too much; try again after `Retry-After` seconds.",
}
ALWAYS = ("400", "401", "403", "406", "503")
WITH_BODY = ("413", "415", "429")
CHANGING = ("post", "put", "patch", "delete")
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key within a day is carried out once and gets the same answer.",
    "schema": {"type": "string", "maxLength": 100},
}


def document_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: names the refusals that any call may meet, all of the same shape and media type."""
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            extra = [*ALWAYS, *(WITH_BODY if method in ("post", "put") else ()), *(("404",) if "{" in path else ())]
            if method in CHANGING:
                extra.append("409")
                operation["parameters"] = [*operation.get("parameters", ()), KEY]
            responses = operation["responses"]
            for status in {*extra, *(status for status in responses if status >= "400")}:
                told = responses.get(status, {}).get("description")
                responses[status] = _problem(told or WORDS.get(status, "It was refused; `code` says why."))
            operation["responses"] = dict(sorted(responses.items()))
    return result


def _problem(words: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemShape"}
    return {"description": words, "content": {PROBLEM: {"schema": schema}}}
