"""Pure: a graph in the DOT language, for Graphviz and whatever else reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def write_dot(boxes: Mapping[int, str], edges: Iterable[tuple[int, int, str]]) -> str:
    """`boxes`: text by number; `edges`: from, to, and what is written beside it ('' for nothing)."""
    lines = [f"  n{_key(number)} [label={quote(text)}];" for number, text in boxes.items()]
    lines += [
        f"  n{_key(start)} -> n{_key(end)}" + (f" [label={quote(text)}];" if text else ";")
        for start, end, text in edges
    ]
    return "\n".join(["digraph jobs {", "  rankdir=LR;", "  node [shape=box];", *lines, "}", ""])


def _key(number: int) -> str:
    """Boxes that stand for several have negative numbers, which are no names in DOT."""
    return f"{number}" if number >= 0 else f"_{-number}"


def quote(text: str) -> str:
    """A string of the language. Control characters would end the text, or make a picture that is no XML."""
    escaped = _CONTROL.sub("\ufffd", text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
