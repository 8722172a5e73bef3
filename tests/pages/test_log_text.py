"""Hostile output becomes harmless text."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.log_text import LONGEST_LINE, next_style, plain, to_lines

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</pre><h1>", "&lt;b&gt;", '" onmouseover="alert(1)',
    "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", "\x1b[2J\x1b[H", "\x1bP1$r\x1b\\", "\x1b[31",
    "\x1b[38;5;196mred", "\x1b[38;2;1;2;3mred", "\x9b31m", "\x00\x01\x02\x7f",
    "a\u202eb", "\u2066x\u2069", "{{ x }}", "{% x %}",
]  # fmt: skip


def shown(text: str) -> str:
    return "\n".join(str(line.html) for line in to_lines(text.encode("utf-8", "surrogatepass")))


@pytest.mark.parametrize("text", HOSTILE)
def test_only_our_spans_are_tags(text: str) -> None:
    assert set(re.findall(r"<[^>]*>", shown(text))) <= set(
        re.findall(r'<span class="[a-z0-9 -]+">|</span>', shown(text))
    )


@given(st.text())
def test_no_text_breaks_out(text: str) -> None:
    result = shown(text)
    assert "<" not in re.sub(r'<span class="a-[a-z0-9 -]+">|</span>', "", result)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", result)


@given(st.binary(max_size=500))
def test_no_bytes_break_it(data: bytes) -> None:
    for line in to_lines(data, is_cut=True):
        assert "<script" not in str(line.html)


def test_colours_become_classes() -> None:
    assert shown("\x1b[31mred\x1b[0m plain") == '<span class="a-31">red</span> plain'
    assert shown("\x1b[1;92mok\x1b[39m bold") == '<span class="a-32 a-b">ok</span><span class="a-b"> bold</span>'


def test_a_colour_goes_on_in_the_next_line() -> None:
    lines = to_lines(b"\x1b[33mone\ntwo\x1b[m\nthree")
    assert [str(line.html) for line in lines] == [
        '<span class="a-33">one</span>',
        '<span class="a-33">two</span>',
        "three",
    ]


def test_a_progress_bar_shows_its_last_state() -> None:
    assert shown("10%\r50%\r100%\r\ndone") == "100%\ndone"


def test_long_lines_are_clipped() -> None:
    (line,) = to_lines(b"x" * (LONGEST_LINE + 1))
    assert line.is_clipped
    assert len(str(line.html)) == LONGEST_LINE


def test_a_cut_character_at_the_beginning_is_left_out() -> None:
    assert shown("ü") == "ü"
    assert str(to_lines("ü!".encode()[1:], is_cut=True)[0].html) == "!"


def test_plain_has_no_sequences() -> None:
    assert plain("\x1b[31merror\x1b[0m\x1b[K: x") == "error: x"
    assert html.escape(plain("<b>")) == "&lt;b&gt;"


def test_style_codes_without_numbers_reset() -> None:
    assert next_style(frozenset({"a-31", "a-b"}), "") == frozenset()
    assert next_style(frozenset({"a-31"}), "39;1") == {"a-b"}
