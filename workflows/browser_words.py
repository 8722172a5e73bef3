"""What a browser is, in a few plain words, from the text with which it introduces itself. Only for people to recognise
their own: the text may say anything."""

from __future__ import annotations

import re

LONGEST_READ = 400
LONGEST_RAW = 60
UNKNOWN = "unknown browser"
# The first that fits: most of them also claim to be those further down.
BROWSERS = (
    (r"\bEdg(e|A|iOS)?/", "Edge"),
    (r"\b(OPR|OPiOS|OPT)/", "Opera"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\b(Firefox|FxiOS)/", "Firefox"),
    (r"\bHeadlessChrome/", "Chrome without a window"),
    (r"\b(Chrome|CriOS)/", "Chrome"),
    (r"\bVersion/.*\bSafari/", "Safari"),
    (r"^curl/", "curl"),
    (r"^Wget/", "Wget"),
    (r"^(python-requests|Python-urllib|python-httpx)/", "a Python script"),
)
SYSTEMS = (
    (r"\bAndroid\b", "Android"),
    (r"\biPhone\b", "iPhone"),
    (r"\biPad\b", "iPad"),
    (r"\bWindows\b", "Windows"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"),
    (r"\bLinux\b|\bX11\b", "Linux"),
)


def name_browser(agent: str) -> str:
    """`Firefox on Linux`; for what is not known, the beginning of its own words."""
    read = agent[:LONGEST_READ]
    browser, system = _first(BROWSERS, read), _first(SYSTEMS, read)
    if browser:
        return f"{browser} on {system}" if system else browser
    return _shorten(read)


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for pattern, name in table if re.search(pattern, text)), "")


def _shorten(text: str) -> str:
    shown = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return (f"{shown[: LONGEST_RAW - 1]}…" if len(shown) > LONGEST_RAW else shown) or UNKNOWN
