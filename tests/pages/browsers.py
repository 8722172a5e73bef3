"""Browsers in which people are signed in, for the tests of sessions."""

from __future__ import annotations

import re
from datetime import datetime

from django.conf import settings as site_settings
from django.contrib.sessions.models import Session
from django.test import Client

from workflows.queries.sessions import public_id_of
from workflows.session_store import SessionStore

URL = "/account/sessions/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.6 Safari/605.1"
)
PASSWORD = "correct horse"


def sign_in(name: str, agent: str = FIREFOX, address: str = "127.0.0.1") -> Client:
    client = Client(HTTP_HOST="127.0.0.1", HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    assert client.post("/login/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def key_of(client: Client) -> str:
    return str(client.cookies[site_settings.SESSION_COOKIE_NAME].value)


def end_url(client: Client) -> str:
    return f"{URL}{public_id_of(key_of(client))}/end/"


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def text_of(client: Client) -> str:
    return client.get(URL).content.decode()


def ids_in(text: str) -> list[str]:
    return re.findall(r'action="/account/sessions/(\w+)/end/"', text)


def rows_in(text: str) -> list[str]:
    return re.findall(r"<tr.*?</tr>", text)[1:]


def times_in(row: str) -> list[float]:
    return [datetime.fromisoformat(text).timestamp() for text in re.findall(r'<time datetime="([^"]+)"', row)]


def change(client: Client, **values: object) -> None:
    session = client.session
    session.update(values)
    session.save()


def copy_session(client: Client, times: int) -> None:
    row = Session.objects.get(pk=key_of(client))
    for _ in range(times):
        store = SessionStore()
        store.update(row.get_decoded())
        store.save()
