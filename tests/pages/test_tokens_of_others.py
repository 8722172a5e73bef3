"""Tokens of other people: an administrator sees that they are there, and revokes them; nobody sees a value."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_user
from workflows.access import create_token, find_token
from workflows.models import ApiToken, AuditEntry

pytestmark = pytest.mark.django_db
URL = "/tokens/"


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice", is_admin=True)


def named(client: Client, query: str = "") -> set[str]:
    return {token.name for token in client.get(f"{URL}?{query}").context["page"].rows}


def test_an_administrator_sees_all_but_values(client: Client, owner: User) -> None:
    create_token(owner, "own")
    text = create_token(make_user("bob"), "laptop of bob", "submit")
    token = ApiToken.objects.get(name="laptop of bob")
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now(), last_used_from="192.0.2.7")
    page = client.get(URL).content.decode()
    for shown in (
        "laptop of bob",
        f"jm_{token.prefix}",
        "bob",
        "submit",
        "192.0.2.7",
        f"/tokens/{token.prefix}/revoke/",
    ):
        assert shown in page
    assert text not in page and token.secret_hash not in page
    assert named(client) == {"laptop of bob"}
    assert 'href="/tokens/"' in client.get("/account/tokens/").content.decode()


def test_it_is_revoked_after_a_confirmation_and_leaves_a_row(client: Client) -> None:
    text = create_token(make_user("bob"), "laptop")
    prefix = ApiToken.objects.get().prefix
    url = f"{URL}{prefix}/revoke/"
    confirm = client.get(url)
    assert "Revoke this token of bob" in confirm.content.decode()
    assert find_token(text) is not None
    client.post(url, {"once": "a1"})
    assert find_token(text) is None
    assert client.post(url, {"once": "a1"}).status_code == 302  # the second click of a double one
    assert client.post(url, {"once": "a2"}).status_code == 404
    rows = list(AuditEntry.objects.filter(action="revoke-token").values_list("actor", "target", "before"))
    assert rows == [("alice", f"token {prefix}", {"owner": "bob"})]
    assert named(client) == set()


def test_nobody_else_sees_or_revokes(owner: User) -> None:
    text = create_token(owner, "own")
    prefix = ApiToken.objects.get().prefix
    for user in (make_user("mallory"), make_user("staff", is_staff=True)):
        client = Client(HTTP_HOST="127.0.0.1")
        client.force_login(user)
        assert [client.get(URL).status_code, client.get(f"{URL}{prefix}/revoke/").status_code] == [403, 403]
        answer = client.post(f"{URL}{prefix}/revoke/")
        assert answer.status_code == 403
        assert "administrators" in answer.content.decode()
        assert 'href="/tokens/"' not in client.get("/account/tokens/").content.decode()
    assert find_token(text) is not None


def test_filters_and_pages(client: Client) -> None:
    for name in ("bob", "carol"):
        user = make_user(name)
        for number in range(3):
            create_token(user, f"{name} {number}", ("read", "submit", "operate")[number])
    prefix = ApiToken.objects.get(name="carol 2").prefix
    assert named(client, "owner=bob") == {"bob 0", "bob 1", "bob 2"}
    assert named(client, "owner=bob&owner=carol&scope=read") == {"bob 0", "carol 0"}
    assert named(client, f"prefix={prefix}") == named(client, "name=carol%202") == {"carol 2"}
    assert named(client, "used=24h") == named(client, "owner=dave") == named(client, "stauts=1") == set()
    first = client.get(f"{URL}?per_page=4").context["page"]
    assert [token.name for token in first.rows] == ["carol 2", "carol 1", "carol 0", "bob 2"]
    assert named(client, f"per_page=4&after={first.next}") == {"bob 0", "bob 1"}


def test_it_keeps_to_its_queries(client: Client) -> None:
    for number in range(60):
        create_token(make_user(f"p{number}"), "laptop")
    with CaptureQueriesContext(connection) as queries:
        assert client.get(URL).status_code == 200
    assert len([query for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]) <= 6
    assert not any("secret_hash" in query["sql"] for query in queries)
