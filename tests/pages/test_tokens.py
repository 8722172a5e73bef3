"""Tokens: made with a password, shown once, revoked; and signing out everywhere."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobmon.config import load_config
from tests.factories import make_user
from workflows.access import create_token, find_token
from workflows.models import ApiToken

pytestmark = pytest.mark.django_db
URL = "/account/tokens/"
FORM = {"name": "laptop", "scope": "read", "days": "30", "password": "correct horse"}


def form_of(client: Client) -> dict[str, str]:
    once = re.search(r'name="once" value="(\w+)"', client.get(URL).content.decode())
    assert once is not None
    return {**FORM, "once": once[1]}


def test_a_token_is_shown_once_and_works(client: Client, owner: User) -> None:
    form = form_of(client)
    text = client.post(URL, form).content.decode()
    value = re.search(r'value="(jm_[\w-]+)"', text)
    assert value is not None
    token = find_token(value[1])
    assert token is not None
    assert (token.user, token.scope, (token.expires_at - token.created_at).days) == (owner, "read", 30)
    again = client.post(URL, form, follow=True).content.decode()
    assert "sent before" in again
    assert value[1] not in again
    assert ApiToken.objects.count() == 1


def test_the_lines_beside_a_new_token_are_those_that_the_client_reads(
    client: Client, owner: User, tmp_path: Path
) -> None:
    text = html.unescape(client.post(URL, form_of(client)).content.decode())
    given = dict(re.findall(r"export (\w+)=([^\s<]+)", text))
    found = load_config(environ={"HOME": str(tmp_path), "JOBMON_HOME": str(tmp_path), **given})
    assert found.server.value == "http://127.0.0.1"
    assert find_token(found.token.value) is not None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("password", "wrong", "The password is wrong"),
        ("scope", "all", "Give the token a name"),
        ("days", "9999", "Give the token a name"),
        ("name", " ", "Give the token a name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(client: Client, field: str, value: str, words: str) -> None:
    response = client.post(URL, {**form_of(client), field: value})
    assert response.status_code == 409
    assert words in response.content.decode()
    assert not ApiToken.objects.exists()


def test_the_one_of_the_embedded_server_has_no_password(client: Client, owner: User) -> None:
    owner.set_unusable_password()
    owner.save()
    client.force_login(owner)
    assert "Your password, again" not in client.get(URL).content.decode()
    client.post(URL, {**form_of(client), "password": ""})
    assert ApiToken.objects.count() == 1


def test_only_ones_own_tokens_are_revoked(client: Client, owner: User) -> None:
    own, other = create_token(owner, "own"), create_token(make_user("bob"), "other")
    for text in (own, other):
        prefix = text[3:11]
        assert client.get(f"{URL}{prefix}/revoke/").status_code == 405
        assert client.post(f"{URL}{prefix}/revoke/").status_code == 302
    assert find_token(own) is None
    assert find_token(other) is not None
    client.get(URL)  # the messages are read
    page = client.get(URL).content.decode()
    assert own[3:11] in page
    assert other[3:11] not in page


def test_sign_out_everywhere(client: Client, owner: User) -> None:
    other = Client(HTTP_HOST="127.0.0.1")
    other.force_login(owner)
    stranger = Client(HTTP_HOST="127.0.0.1")
    stranger.force_login(make_user("bob"))
    assert client.get("/account/sign-out-everywhere/").status_code == 405
    client.post("/account/sign-out-everywhere/")
    assert [one.get("/account/").status_code for one in (client, other, stranger)] == [302, 302, 200]
