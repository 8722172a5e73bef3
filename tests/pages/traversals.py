"""Eighty ways to write the name of a file that is not the one that was meant."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

NAMES = (
    "../secret", "../../secret", "../../../../../../etc/passwd", "/etc/passwd", "./../secret", "out/../../secret",
    "....//secret", "..;/secret", "~/secret", "file:///etc/passwd",
)  # fmt: skip
WAYS: dict[str, Callable[[str], str]] = {
    "plain": lambda name: name,
    "encoded": lambda name: quote(name, safe="").replace(".", "%2e"),
    "encoded twice": lambda name: quote(quote(name, safe="").replace(".", "%2e"), safe=""),
    "backslashes": lambda name: name.replace("/", "\\"),
    "overlong": lambda name: name.replace(".", "%c0%ae").replace("/", "%c0%af"),
    "full width": lambda name: name.replace(".", "\uff0e").replace("/", "\uff0f"),
    "with a zero byte": lambda name: f"{name}%00.txt",
    "behind a good name": lambda name: f"stdout/{name}",
}
TRAVERSALS = [way(name) for way in WAYS.values() for name in NAMES]
