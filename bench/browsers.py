"""People who watch: each signed in once, then asking as an open page does, and noting what it got and how long it took."""

from __future__ import annotations

import http.client
import itertools
import random
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Site:
    """Where it is: a host name that may differ from the address, and a certificate of its own if it has one."""

    host: str
    port: int
    certificate: str = ""

    def connect(self) -> http.client.HTTPConnection:
        if not self.certificate:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        context = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=60)
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        connection.sock = context.wrap_socket(plain, server_hostname=self.host)
        return connection

    @property
    def origin(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.host}:{self.port}"


class Browser:
    """Keeps one connection and its cookies."""

    def __init__(self, site: Site, cookies: dict[str, str] | None = None) -> None:
        self.site = site
        self.cookies = dict(cookies or {})
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        headers = {"Host": f"{self.site.host}:{self.site.port}", "Referer": f"{self.site.origin}/", **headers}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = self._connection = self._connection or self.site.connect()
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            connection.close()
            self._connection = None
            raise
        for line in response.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response.status, text

    def submit_form(self, path: str, **fields: str) -> int:
        _, form = self.send("GET", path)
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert found is not None, form[:500]
        sent = urllib.parse.urlencode({"csrfmiddlewaretoken": found[1], **fields})
        target = path.partition("?")[0]
        return self.send("POST", target, sent, **{"Content-Type": "application/x-www-form-urlencoded"})[0]

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@dataclass
class Seen:
    """What all browsers got: answers by class of status, seconds of pages and of polls, and what failed on the way."""

    answers: Counter[str] = field(default_factory=Counter)
    pages: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int, seconds: float, is_poll: bool) -> None:
        with self.lock:
            self.answers[f"{status // 100}xx"] += 1
            (self.polls if is_poll else self.pages).append(seconds)

    def note_broken(self, words: str) -> None:
        with self.lock:
            self.broken.append(words)

    @property
    def is_clean(self) -> bool:
        return not self.broken and not self.answers["5xx"]


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Audience:
    """So many browsers, each on one of the pages of a workflow, polling; now and then one turns to another page."""

    PAGES = ("", "jobs/", "errors/", "timeline/", "graph/", "resources/")

    def __init__(self, site: Site, cookies: dict[str, str], workflow_id: int, count: int, poll_seconds: float) -> None:
        self.seen = Seen()
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(site, cookies, workflow_id, number, poll_seconds))
            for number in range(count)
        ]

    def __enter__(self) -> Audience:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, site: Site, cookies: dict[str, str], workflow_id: int, number: int, pause: float) -> None:
        browser, chance = Browser(site, cookies), random.Random(number)
        self._over.wait(chance.uniform(0, pause))
        try:
            for turn in itertools.count(number):
                page = f"/workflows/{workflow_id}/{self.PAGES[turn % len(self.PAGES)]}" if turn % 7 else "/workflows/"
                live = self._open(browser, page)
                for _ in range(8):
                    if self._over.wait(pause):
                        return
                    if live:
                        live = self._poll(browser, live)
        finally:
            browser.close()

    def _open(self, browser: Browser, path: str) -> str:
        return _polled_address(self._timed(browser, path, is_poll=False))

    def _poll(self, browser: Browser, path: str) -> str:
        text = self._timed(browser, path, is_poll=True, **{"HX-Request": "true"})
        return _polled_address(text) or path

    def _timed(self, browser: Browser, path: str, is_poll: bool, **headers: str) -> str:
        begun = time.perf_counter()
        try:
            status, text = browser.send("GET", path, **headers)
        except (OSError, http.client.HTTPException) as error:
            if not self._over.is_set():
                self.seen.note_broken(f"{path}: {error!r}")
            return ""
        self.seen.note(status, time.perf_counter() - begun, is_poll)
        if status >= 500:
            self.seen.note_broken(f"{path}: {status}")
        return text


def _polled_address(text: str) -> str:
    found = re.search(r'hx-get="([^"]+)"', text)
    return found[1].replace("&amp;", "&") if found is not None else ""


def in_parallel(actions: Sequence[Callable[[], None]]) -> list[BaseException]:
    """Run all at once; what they raised."""
    raised: list[BaseException] = []

    def run(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - told to the caller
            raised.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised
