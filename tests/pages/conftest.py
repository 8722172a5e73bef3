"""Chromium for the pages: signed in, and strict. A console error, a breach of the content security policy or a request
to another site fails the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.factories import make_user

CHROMIUM = "/usr/bin/chromium"
# How long a busy machine may take. A page that is right costs no more time than it needs.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"]  # fmt: skip


@dataclass
class Watched:
    """What a page did that it must not do."""

    base: str
    problems: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: self._note(message.type in ("error", "warning"), f"console: {message.text}"))
        page.on("pageerror", lambda error: self._note(True, f"script: {error}"))
        page.on("dialog", lambda dialog: (self._note(True, f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request", lambda request: self._note(not self._is_ours(request.url), f"outside request: {request.url}")
        )

    def _is_ours(self, url: str) -> bool:
        return url.startswith(("data:", "blob:")) or urlsplit(url).netloc == urlsplit(self.base).netloc

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem and not any(part in text for part in self.expected):
            self.problems.append(text)


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def client(owner: User) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(owner)
    return client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM}")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = (
        "1"  # the driver runs an event loop in this thread; the tests are not async
    )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS, timeout=2 * PATIENCE)
        yield chromium
        chromium.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


OpenPage = Callable[..., Page]


@pytest.fixture
def watched(live_server) -> Watched:
    """What the pages of `open_page` did. A test of failures names parts of the console's words in `expected`."""
    return Watched(live_server.url)


@pytest.fixture
def open_page(browser: Browser, live_server, owner: User, watched: Watched) -> Iterator[OpenPage]:
    """`open_page(url, theme=, width=, javascript=)`: a page signed in as the owner. Problems fail the test at last."""
    client = Client()
    client.force_login(owner)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    contexts: list[BrowserContext] = []

    def open_it(url: str, *, theme: str = "light", width: int = 1440, javascript: bool = True) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=javascript)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        cookies = {settings.SESSION_COOKIE_NAME: session, "jobmon_theme": theme}
        context.add_cookies([{"name": name, "value": value, "url": live_server.url} for name, value in cookies.items()])
        page = context.new_page()
        watched.watch(page)
        page.goto(live_server.url + url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not watched.problems, watched.problems


def visit_all(open_page: OpenPage, urls: Mapping[str, str], **options: object) -> Iterator[tuple[str, Page]]:
    """One window that opens these addresses in turn: name and page of each."""
    page = open_page("/account/", **options)
    base = page.url.removesuffix("/account/")
    for name, url in urls.items():
        page.goto(base + url)
        yield name, page
    page.context.close()
