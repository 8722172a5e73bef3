"""JSON bodies of a sensible depth, in which no key comes twice. The framework's settings name this, so it imports no view."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from workflows.json_keys import find_doubled_keys

DEEPEST = 32


class JsonBody(JSONParser):
    """What is nested deeper than anything of ours is refused before anybody walks through it; so is a key that comes
    twice, of whose values one would be ignored."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = bytes(stream.read())
        data: object = super().parse(BytesIO(body), media_type, parser_context)
        demand_shallow(data)
        if doubled := find_doubled_keys(body):
            raise ParseError(f"These keys come twice in one object: {', '.join(doubled[:20])}.")
        return data


def demand_shallow(data: object) -> None:
    """Raises ParseError for what is nested deeper than DEEPEST. Level by level, without recursion."""
    level = [data]
    for _ in range(DEEPEST + 1):
        level = [item for parent in level for item in _children(parent)]
        if not level:
            return
    raise ParseError(f"The body is nested deeper than {DEEPEST}.")


def _children(parent: object) -> Iterable[object]:
    if isinstance(parent, dict):
        return parent.values()
    return parent if isinstance(parent, list) else ()
