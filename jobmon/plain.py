"""Text that others wrote, without what would steer the terminal it is printed on."""

from __future__ import annotations

import re

# Escape sequences, and control characters other than tab and newline
_CONTROL = re.compile(
    r"\x1b\[[0-9;]*m|\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# Marks that turn around what follows them
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_UNSEEN = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def clean(text: str) -> str:
    """Text without what would steer the terminal, colours included."""
    return _TURNING.sub("\ufffd", _CONTROL.sub("", text))


def clean_log(text: str) -> str:
    """Log text with its colours, and nothing else that steers the terminal."""
    return _TURNING.sub("\ufffd", _CONTROL.sub(_colour_of, text))


def _colour_of(found: re.Match[str]) -> str:
    sequence = found.group()
    return sequence if sequence.startswith("\x1b[") and sequence.endswith("m") else ""


def escape_unseen(json_text: str) -> str:
    """JSON that says the same; `json.dumps` escapes only the older control characters."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", json_text)
