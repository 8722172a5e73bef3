"""Pure: text that is written from right to left, among ours that is not. Unless something stands between them, it turns
numbers and signs beside it around: a name could make `3 failed` read as part of itself."""

from __future__ import annotations

import re

FENCE = "\u200e"
_MARKS = "\u202a-\u202e\u2066-\u2069"
# Hebrew, Arabic and their neighbours, with the marks that stand for such letters and those that turn what follows
_TURNS = re.compile(
    f"[\u0590-\u08ff\u200f{_MARKS}\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_OPENS = re.compile(f"[{_MARKS}]")


def turns(text: str) -> bool:
    """Whether it could change the order of what is drawn beside it."""
    return _TURNS.search(text) is not None


def fenced(text: object) -> str:
    """Text of somebody's as a part of a sentence of ours. Most text stays as it is."""
    plain = str(text)
    return FENCE + _OPENS.sub("\ufffd", plain) + FENCE if turns(plain) else plain
