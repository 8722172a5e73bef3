"""Pure: keys that come twice in one JSON object. Every reader would silently take the last, so they are refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

_TEXT_OR_OPENER = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]', re.DOTALL)


def has_more_parts_than(most: int, body: bytes) -> bool:
    """Whether this text opens more objects and lists than that; told without making any of them."""
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    found = 0
    for match in _TEXT_OR_OPENER.finditer(body):  # those in texts do not count
        found += body[match.start()] != 0x22
        if found > most:
            return True
    return False


class _Paths(list[str]):
    """Stands for an object in which keys come twice: their paths in it. Other objects become None, so that reading a
    large body takes little memory."""


def find_doubled_keys(body: bytes) -> list[str]:
    """The path of each key that comes twice, as in `jobs[3].command`; nothing for what is no JSON object."""
    has_any = False

    def read_object(pairs: Sequence[tuple[str, Any]]) -> _Paths | None:
        nonlocal has_any
        if len(dict(pairs)) == len(pairs) and not has_any:  # nearly always
            return None
        found = _paths_of(pairs)
        has_any = has_any or bool(found)
        return found or None

    try:
        found = json.loads(body, object_pairs_hook=read_object)
    except (ValueError, RecursionError):
        return []
    return list(found) if isinstance(found, _Paths) else []


def _paths_of(pairs: Sequence[tuple[str, Any]]) -> _Paths:
    found = _Paths(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    for key, value in pairs:
        if isinstance(value, list):
            found += [_join(key, path) for path in _paths_in(value)]
    return found


def _paths_in(value: list[Any]) -> Iterator[str]:
    if isinstance(value, _Paths):
        yield from value
        return
    for position, item in enumerate(value):
        if isinstance(item, list):
            for path in _paths_in(item):
                yield _join(f"[{position}]", path)


def _join(outer: str, inner: str) -> str:
    return f"{outer}{inner}" if inner.startswith("[") else f"{outer}.{inner}"
