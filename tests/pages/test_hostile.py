"""Payload by payload, without a browser: what is on a page is what would be there with harmless text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_user
from tests.pages.hostile_fields import Words
from tests.pages.hostile_world import World, build_world, make_hostile
from tests.pages.payloads import PAYLOADS, as_many_as_fit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(db: None) -> User:
    """Sees every page."""
    return make_user("alice", is_admin=True)


@pytest.fixture
def world(owner: User, tmp_path: Path, settings: Any) -> World:
    settings.SPOOL = tmp_path / "spool"
    return build_world(owner)


class Pieces(HTMLParser):
    """The kinds of elements of a page: their names with those of their attributes, and where `javascript:` leads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *sorted(name for name, _ in attrs)))
        for name, value in attrs:
            is_address = name in ("href", "src", "action", "formaction")
            if is_address and re.match(r"\s*(javascript|data|vbscript):", value or "", re.IGNORECASE):
                self.found.add((tag, name, str(value)[:60]))


def pieces_of(client: Client, urls: dict[str, str]) -> dict[str, set[tuple[str, ...]]]:
    found = {}
    for name, url in urls.items():
        pieces = Pieces()
        response = client.get(url, follow=name == "jobs of a graph")
        assert response.status_code == 200, (name, response.status_code)
        pieces.feed(response.content.decode())
        found[name] = pieces.found
    return found


def harmless(length: int, first: int) -> str:
    """As long as what will be in its place, so that what is cut is cut."""
    return "x" * len(as_many_as_fit(length, first))


ROUNDS = [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 60))]


def test_there_are_sixty_different_texts() -> None:
    assert len(set(PAYLOADS)) == 60


@pytest.mark.parametrize("first", ROUNDS)
def test_no_text_makes_an_element_or_an_attribute(client: Client, world: World, first: int) -> None:
    """In every field its own texts, so that each field has had all of them after some rounds."""
    before = pieces_of(client, make_hostile(world, Words(harmless), first))
    after = pieces_of(client, make_hostile(world, Words(as_many_as_fit), first))
    known = set().union(*before.values())
    assert {name: found - known for name, found in after.items() if found - known} == {}
