"""Text that is written from right to left, as a part of ours; and text on a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.plain import clean, clean_log, escape_unseen
from workflows.directions import fenced, turns
from workflows.markup import apart, make_unseen_seen

TURNING = ("R", "AL", "AN", "RLE", "LRE", "RLO", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI")


@given(st.characters(blacklist_categories=("Cs", "Cn")))
def test_what_turns_is_known(letter: str) -> None:
    """Every character that the standard draws from right to left, or that says so of others."""
    assert turns(f"a{letter}b") or unicodedata.bidirectional(letter) not in TURNING


@pytest.mark.parametrize("letter", ["\u05d0", "\u0627", "\u0661", "\u200f", "\u061c", "\u202e", "\u2067", "\U0001e900"])
def test_it_is_kept_apart(letter: str) -> None:
    shown = "\ufffd" if unicodedata.bidirectional(letter) in TURNING[3:] else letter
    assert fenced(f"3{letter}4") == f"\u200e3{shown}4\u200e"
    assert apart(f"<3{letter}4") == f"<bdi>&lt;3{letter}4</bdi>"


@pytest.mark.parametrize("text", ["", "fit_0042", "müller & söhne", "東京", "a\u200eb", 7])
def test_other_text_stays_as_it_is(text: object) -> None:
    assert fenced(text) == str(text)
    assert "bdi" not in apart(text)


@given(st.text())
def test_a_page_has_no_unseen_character(text: str) -> None:
    shown = make_unseen_seen(text.encode("utf-8", "replace")).decode()
    assert not [letter for letter in shown if unicodedata.category(letter) == "Cc" and letter not in "\t\n\r"]
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text())
def test_nothing_steers_a_terminal(text: str) -> None:
    for shown in (clean(text), clean_log(text).replace("\x1b[", "").replace("m", "")):
        assert not [letter for letter in shown if unicodedata.category(letter) == "Cc" and letter not in "\t\n"]
        assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text())
def test_json_says_the_same_in_seen_characters(text: str) -> None:
    said = escape_unseen(json.dumps(text, ensure_ascii=False))
    assert json.loads(said) == text
    assert not [letter for letter in said if unicodedata.category(letter) == "Cc"]
