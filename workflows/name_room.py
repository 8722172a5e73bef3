"""Pure: long names in little room. Reads nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from unicodedata import east_asian_width

from workflows.directions import fenced

ELLIPSIS = "…"


def bytes_of(text: str) -> int:
    """In a page, escaped and fenced."""
    return len(escape(fenced(text)).encode())


def columns_of(text: str) -> int:
    """How wide it is: ideographs and the like take two columns."""
    return sum(1 + (east_asian_width(letter) in "WF") for letter in text)


def shorten(text: str, most_bytes: int, most_columns: int = 10_000) -> str:
    """Its beginning and its end, since names that begin alike often end apart; whole where it has room."""
    if bytes_of(text) <= most_bytes and columns_of(text) <= most_columns:
        return text
    low, high = 0, len(text)
    while high - low > 1:  # the most letters that have room
        middle = (low + high) // 2
        cut = _cut(text, middle)
        if bytes_of(cut) <= most_bytes and columns_of(cut) <= most_columns:
            low = middle
        else:
            high = middle
    return _cut(text, low)


def _cut(text: str, letters: int) -> str:
    end = letters // 3
    return text[: letters - end] + ELLIPSIS + text[len(text) - end :]


def shorten_all(texts: Iterable[str], room: int, most_columns: int = 10_000) -> dict[str, str]:
    """Each as it fits when all together may take so many bytes: the longest give way first, to the same length."""
    wanted = {text: shorten(text, 10_000, most_columns) for text in texts}
    most, left = room, room
    sizes = sorted(bytes_of(text) for text in wanted.values())
    for place, size in enumerate(sizes):
        most = left // (len(sizes) - place)
        if size > most:
            break
        left -= size
    else:
        return wanted
    return {text: shorten(text, most, most_columns) for text in wanted}
