"""Every answer is held against the published description: its status, its media type and its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

PROBLEM = "application/problem+json"


@cache
def description() -> dict[str, Any]:
    return dict(SchemaGenerator().get_schema(request=None, public=True))


@cache
def patterns() -> list[tuple[re.Pattern[str], str]]:
    """Paths without parameters first."""
    paths = sorted(description()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]


def find_operation(method: str, path: str) -> dict[str, Any] | None:
    """The description of this call; None if there is none."""
    for pattern, template in patterns():
        if pattern.fullmatch(path):
            return dict(description()["paths"][template]).get(method.lower())
    return None


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema says a type."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    made = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


@cache
def components() -> dict[str, Any]:
    return {"schemas": as_json_schema(description()["components"]["schemas"])}


def check_shape(schema: Mapping[str, Any], value: Any) -> None:
    Draft202012Validator({**as_json_schema(schema), "components": components()}).validate(value)


def check_problem(response: HttpResponse) -> dict[str, Any]:
    """Every refusal has the one shape, wherever it comes from."""
    assert response["Content-Type"] == PROBLEM, response.content[:500]
    body: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    check_shape({"$ref": "#/components/schemas/ProblemShape"}, body)
    assert body["status"] == response.status_code
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", body["code"])
    assert body["detail"]
    return body


def check_answer(method: str, path: str, response: HttpResponse) -> None:
    """Status documented, media type as documented, body of the documented shape; problems are problems."""
    status = response.status_code
    assert status < 500, response.content[:2000]
    if status >= 400:
        check_problem(response)
    operation = find_operation(method, path)
    if operation is None:
        return
    documented = operation["responses"]
    assert str(status) in documented, f"{method} {path} answers {status}, which is not documented"
    content = documented[str(status)].get("content", {})
    if not content:
        assert response.content == b""
        return
    media_type = response["Content-Type"].partition(";")[0]
    assert media_type in content, f"{method} {path} answers {media_type}; documented: {sorted(content)}"
    if media_type.endswith("json"):
        check_shape(content[media_type]["schema"], response.json())  # type: ignore[attr-defined]
