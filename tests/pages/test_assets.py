"""Files that pages name are there, unchanged, and nothing points to another site."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from workflows import looks

ROOT = Path(__file__).parents[2]
SPRITE = (ROOT / "static/icons.svg").read_text(encoding="utf-8")
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SOURCES = sorted((ROOT / "workflows").rglob("*.py"))


def test_every_icon_is_in_the_sprite() -> None:
    known = set(re.findall(r'<symbol id="([\w-]+)"', SPRITE))
    named = {look.icon for kind in looks.KINDS.values() for look in kind.values()} | {looks.BLOCKED.icon}
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r'{% icon "([\w-]+)"', text)) | set(
            re.findall(r'{% fact (?:"[^"]*"|[\w.]+) "([\w-]+)"', text)
        )
    for path in SOURCES:
        named |= set(re.findall(r'fact_badge\([^,]+, "([\w-]+)"', path.read_text(encoding="utf-8")))
    assert named <= known, named - known


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_that_the_policy_forbids(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for forbidden in (
        " style=",
        "<style",
        "<script>",
        "javascript:",
        "hx-on",
        "|safe",
        "autoescape off",
        "https://",
        "http://",
    ):
        assert forbidden not in text, forbidden
    assert not re.search(r"\son\w+=", text)


@pytest.mark.parametrize("sums", sorted(ROOT.glob("static/vendor/*/SHA256SUMS")), ids=lambda path: path.parent.name)
def test_files_of_others_are_unchanged_and_licensed(sums: Path) -> None:
    lines = [line.split() for line in sums.read_text(encoding="utf-8").splitlines()]
    assert "LICENSE" in {name for _, name in lines}
    for digest, name in lines:
        assert hashlib.sha256((sums.parent / name).read_bytes()).hexdigest() == digest, name


def bodies(text: str) -> list[str]:
    """What stands in the bodies of tables whose rows a poll keeps."""
    return re.findall(r"<table[^>]* data-rows=.*?<tbody>(.*?)</tbody>", text, flags=re.DOTALL)


def test_rows_that_polls_keep_can_be_told_apart() -> None:
    """A row without an id would be taken for another one. The answer of a search is never polled."""
    found = {str(path): bodies(path.read_text(encoding="utf-8")) for path in TEMPLATES if path.name != "search.html"}
    rows = {name: re.findall(r"<tr\b[^>]*", "".join(texts)) for name, texts in found.items() if texts}
    assert len(rows) > 8
    assert [name for name, tags in rows.items() if not all(' id="' in tag for tag in tags)] == []
