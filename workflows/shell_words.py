"""Pure: words for a shell, safe to be pasted. A terminal takes some characters for keys pressed before any shell reads them,
quoted or not: they are spelled out."""

from __future__ import annotations

import re
import shlex

# Control characters, what is drawn as nothing, and what turns around the text beside it
_KEYS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quote_word(text: str) -> str:
    """One word that bash, zsh and ksh read as this text."""
    if not _KEYS.search(text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_KEYS.sub(_spelled, escaped)}'"


def _spelled(found: re.Match[str]) -> str:
    """Byte by byte and in octal digits, of which there are never more than three: what follows is not taken for more."""
    text = found[0]
    return _SHORT.get(text) or "".join(f"\\{byte:03o}" for byte in text.encode())
