"""Pure: bytes of a log as lines of safe HTML. Colours become classes of ours; every other control sequence goes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

LONGEST_LINE = 4096
_SGR = re.compile(r"\x1b\[([0-9;]{0,40})m")
_SEQUENCE = re.compile(
    r"\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)?"  # operating system commands: titles, links
    r"|\x1b[PX^_][^\x1b]{0,4096}(?:\x1b\\)?"  # device control and other strings
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # control sequences
    r"|\x1b[ -/]*[0-~]?"  # the other escapes
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_DIRECTION = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_STYLES = {1: "a-b", 2: "a-d", 3: "a-i", 4: "a-u"}
_ENDS = {22: ("a-b", "a-d"), 23: ("a-i",), 24: ("a-u",)}


@dataclass(frozen=True, slots=True)
class LogLine:
    """`number` counts from 1 in the piece shown."""

    number: int
    html: SafeString
    is_clipped: bool = False


def to_lines(data: bytes, *, is_cut: bool = False) -> list[LogLine]:
    """The lines of a piece; `is_cut` when it does not begin at the beginning of the file."""
    text = decode(data, is_cut=is_cut)
    if text.endswith("\n"):
        text = text[:-1]
    lines: list[LogLine] = []
    style: frozenset[str] = frozenset()
    for number, line in enumerate(text.split("\n"), 1):
        shown = line.rstrip("\r").rsplit("\r", 1)[-1]
        is_clipped = len(shown) > LONGEST_LINE
        html, style = to_html(shown[:LONGEST_LINE], style)
        lines.append(LogLine(number, html, is_clipped))
    return lines if text else []


def decode(data: bytes, *, is_cut: bool = False) -> str:
    """UTF-8 with replacement; the end of a character cut in two at the beginning is left out."""
    if is_cut:
        start = 0
        while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
            start += 1
        data = data[start:]
    return data.decode("utf-8", "replace")


def plain(text: str) -> str:
    """The text without any control sequence."""
    return _clean(_SGR.sub("", text))


def _clean(text: str) -> str:
    return _DIRECTION.sub("\ufffd", _CONTROL.sub("", _SEQUENCE.sub("", text)))


def to_html(line: str, style: frozenset[str]) -> tuple[SafeString, frozenset[str]]:
    """One line as HTML, beginning in a style; the style at its end goes into the next line."""
    parts: list[tuple[str, str]] = []
    pieces = _SGR.split(line)
    for index, piece in enumerate(pieces):
        if index % 2:
            style = next_style(style, piece)
        elif piece:
            parts.append((" ".join(sorted(style)), _clean(piece)))
    html = format_html_join("", "{}", ((_span(classes, text),) for classes, text in parts if text))
    return html, style


def _span(classes: str, text: str) -> SafeString:
    return format_html('<span class="{}">{}</span>', classes, text) if classes else format_html("{}", text)


def next_style(style: frozenset[str], codes: str) -> frozenset[str]:
    """The classes after "select graphic rendition" with these codes."""
    result = set(style)
    numbers = [int(code or 0) for code in codes.split(";")]
    index = 0
    while index < len(numbers):
        code = numbers[index]
        index += 1
        if code == 0:
            result.clear()
        elif code in (38, 48):
            index += 2 if numbers[index : index + 1] == [5] else 4
        elif code in _STYLES:
            result.add(_STYLES[code])
        elif code in _ENDS:
            result.difference_update(_ENDS[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:
            result = {name for name in result if not name[2:].isdigit()} | {f"a-{30 + code % 10}"}
        elif code == 39:
            result = {name for name in result if not name[2:].isdigit()}
    return frozenset(result)
