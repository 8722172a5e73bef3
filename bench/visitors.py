"""People with a browser open: each signs in and looks at pages again and again, as the pages themselves do."""

from __future__ import annotations

import http.cookiejar
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

FIELD = re.compile(r'name="(\w+)" value="([^"]*)"')


@dataclass
class Looks:
    """What a visitor has met: (page, seconds) of each answer, and what went wrong."""

    times: list[tuple[str, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Visitor:
    """One browser. `paths` are looked at in turn, each two seconds after the last, from the start to the end of the
    `with` block."""

    def __init__(self, url: str, sign_in_link: str, paths: Sequence[str], pause: float = 2.0) -> None:
        self._url = url
        self._link = urlsplit(sign_in_link)
        self._paths = paths
        self._pause = pause
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_around, daemon=True)
        self.looks = Looks()

    def _look_around(self) -> None:
        self._sign_in()
        while True:
            for path in self._paths:
                if self._over.wait(self._pause):
                    return
                begun = time.perf_counter()
                if self._open(self._url + path):
                    self.looks.times.append((path, time.perf_counter() - begun))

    def _sign_in(self) -> None:
        """The link shows a button; pressing it spends the code."""
        page = self._open(f"{self._url}{self._link.path}?{self._link.query}", is_signed_in=False)
        fields = {name: value for name, value in FIELD.findall(page) if name in ("csrfmiddlewaretoken", "code")}
        self._open(f"{self._url}{self._link.path}", urlencode(fields).encode(), is_signed_in=False)

    def _open(self, address: str, form: bytes | None = None, is_signed_in: bool = True) -> str:
        """The page, "" if none came; being sent to sign in is a failure."""
        try:
            with self._opener.open(address, form, timeout=60) as answer:
                page = str(answer.read().decode("utf-8", "replace"))
                is_ours = not is_signed_in or "/login/" not in answer.url
        except (urllib.error.URLError, OSError) as error:
            self.looks.failures.append(f"{urlsplit(address).path}: {error}")
            return ""
        if not is_ours:
            self.looks.failures.append(f"{urlsplit(address).path}: signed out")
        return page if is_ours else ""

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(70)
