"""What a browser says of itself, in words for people; whatever it says, the words are short and harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.browser_words import LONGEST_RAW, UNKNOWN, name_browser

KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS, MAC, LINUX = "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


CASES = [
    (f"Mozilla/5.0 ({LINUX}; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
    (f"Mozilla/5.0 ({WINDOWS}) {KHTML} Chrome/141.0.0.0 Safari/537.36", "Chrome on Windows"),
    (f"Mozilla/5.0 ({WINDOWS}) {KHTML} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", "Edge on Windows"),
    (f"Mozilla/5.0 ({MAC}) {KHTML} Chrome/141.0.0.0 Safari/537.36 OPR/123.0.0.0", "Opera on macOS"),
    (f"Mozilla/5.0 ({MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15", "Safari on macOS"),
    (f"{PHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
    (f"{PHONE} CriOS/141.0.0.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
    (f"{PHONE} FxiOS/140.0 Mobile/15E148 Safari/604.1", "Firefox on iPhone"),
    (f"Mozilla/5.0 (Linux; Android 10; K) {KHTML} Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
    ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
    (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KHTML} Chrome/141.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
    (f"Mozilla/5.0 ({LINUX}) {KHTML} HeadlessChrome/141.0.0.0 Safari/537.36", "Chrome without a window on Linux"),
    ("curl/8.14.1", "curl"),
    ("python-requests/2.32.5", "a Python script"),
    ("Lynx/2.9.2 libwww-FM/2.14", "Lynx/2.9.2 libwww-FM/2.14"),
    ("", UNKNOWN),
    ("\x00\r\n\u202e", UNKNOWN),
    ("a\r\nb\u202ec", "a b c"),
    ("x" * 500, "x" * (LONGEST_RAW - 1) + "…"),
]


@pytest.mark.parametrize(("agent", "words"), CASES, ids=[f"{number}" for number in range(len(CASES))])
def test_browsers_in_words(agent: str, words: str) -> None:
    assert name_browser(agent) == words


@given(st.text(max_size=600))
def test_any_text_becomes_a_short_printable_line(agent: str) -> None:
    words = name_browser(agent)
    assert 0 < len(words) <= LONGEST_RAW
    assert words.isprintable()
