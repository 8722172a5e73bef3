"""Signing in with a password: lockout, the audit of failures, and how long a browser stays in."""

from __future__ import annotations

import time
import uuid

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import acts, make_user
from workflows.access import create_token, make_sign_in_link
from workflows.models import AuditEntry
from workflows.session_store import SEEN_AT, SIGNED_IN_AT
from workflows.sessions import SEEN_EVERY

pytestmark = pytest.mark.django_db
RIGHT = {"username": "alice", "password": "correct horse"}
WRONG = {"username": "alice", "password": "wrong"}


@pytest.fixture
def visitor(owner: User) -> Client:
    return Client(HTTP_HOST="127.0.0.1")


def age(client: Client, **seconds: int) -> None:
    """Make the session older."""
    session = client.session
    for name, value in seconds.items():
        session[name] = int(time.time()) - value
    session.save()


def is_in(client: Client, url: str = "/account/", **headers: str) -> bool:
    return client.get(url, headers=headers).status_code != 302


def test_too_many_failures_lock_the_name_from_here(visitor: Client, settings) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    make_user("bob")
    answers = [visitor.post("/login/", WRONG).status_code for _ in range(3)]
    locked = visitor.post("/login/", RIGHT)
    assert (answers, locked.status_code) == ([200, 200, 429], 429)
    assert "Too many failed sign-ins" in locked.content.decode()
    assert locked["Retry-After"] == "900"
    elsewhere = Client(HTTP_HOST="127.0.0.1", REMOTE_ADDR="10.9.8.7")
    assert elsewhere.post("/login/", RIGHT).status_code == 302
    assert visitor.post("/login/", {**RIGHT, "username": "bob"}).status_code == 302


def test_spellings_of_a_name_are_counted_together(visitor: Client, settings) -> None:
    """A directory takes them for one."""
    settings.AXES_FAILURE_LIMIT = 4
    spellings = ("alice", "ALICE", " aLice ", "\uff41lice")  # the last with a fullwidth letter
    answers = [visitor.post("/login/", {**WRONG, "username": name}).status_code for name in spellings]
    assert answers == [200, 200, 200, 429]
    assert visitor.post("/login/", RIGHT).status_code == 429


def test_address_that_tries_many_names_is_locked(visitor: Client, settings) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    answers = [visitor.post("/login/", {**WRONG, "username": f"name{number}"}).status_code for number in range(20)]
    assert answers == [200] * 19 + [429]
    assert visitor.post("/login/", RIGHT).status_code == 429
    elsewhere = Client(HTTP_HOST="127.0.0.1", REMOTE_ADDR="10.9.8.7")
    assert elsewhere.post("/login/", RIGHT).status_code == 302


def test_a_success_forgets_the_failures(visitor: Client, settings) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(2):
        assert [visitor.post("/login/", WRONG).status_code for _ in range(2)] == [200, 200]
        assert visitor.post("/login/", RIGHT).status_code == 302
        visitor.post("/logout/")


def test_guessing_in_the_form_for_tokens_is_locked_too(client: Client, owner: User, settings) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    form = {"name": "x", "scope": "read", "days": "30", "password": "wrong"}
    answers = [client.post("/account/tokens/", form).status_code for _ in range(3)]
    assert answers == [409, 429, 429]
    assert client.post("/account/tokens/", {**form, "password": "correct horse"}).status_code == 429


def test_a_failure_is_in_the_audit_cut_and_stripped(visitor: Client) -> None:
    visitor.post("/login/", {"username": "al\x1b[31mice\r\nroot" + "x" * 100, "password": "secret-typed"})
    entry = AuditEntry.objects.get(action="sign-in-failed")
    assert (entry.actor, entry.result) == ("al[31miceroot" + "x" * 44, "refused")
    assert "secret-typed" not in str(AuditEntry.objects.values())
    assert entry.address == "127.0.0.1"


def test_coming_and_going_is_in_the_audit(visitor: Client) -> None:
    visitor.post("/login/", RIGHT)
    visitor.post("/logout/")
    visitor.post("/logout/")
    rows = AuditEntry.objects.order_by("pk").values_list("actor", "action", "target", "address")
    assert list(rows) == [
        ("alice", "sign-in", "user alice", "127.0.0.1"), ("alice", "sign-out", "user alice", "127.0.0.1"),
    ]  # fmt: skip


def test_who_was_away_too_long_did_not_sign_out(visitor: Client, settings) -> None:
    visitor.post("/login/", RIGHT)
    age(visitor, **{SEEN_AT: settings.SESSION_IDLE_SECONDS + 60})
    assert not is_in(visitor)
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["sign-in"]


def test_the_session_gets_a_new_key_at_sign_in(visitor: Client) -> None:
    visitor.get("/login/")
    session = visitor.session
    session["x"] = 1
    session.save()
    visitor.cookies["jobmon_session_8000"] = session.session_key
    before = session.session_key
    visitor.post("/login/", RIGHT)
    assert visitor.session.session_key != before


def test_who_is_away_too_long_is_signed_out(visitor: Client, settings) -> None:
    settings.SESSION_IDLE_SECONDS = 12 * 3600
    visitor.post("/login/", RIGHT)
    age(visitor, **{SEEN_AT: 12 * 3600 - 60})
    assert is_in(visitor)
    age(visitor, **{SEEN_AT: 12 * 3600 + 60})
    assert not is_in(visitor)


def test_a_busy_browser_is_signed_out_after_seven_days(visitor: Client) -> None:
    visitor.post("/login/", RIGHT)
    age(visitor, **{SIGNED_IN_AT: 7 * 24 * 3600 - 60})
    assert is_in(visitor)
    age(visitor, **{SIGNED_IN_AT: 7 * 24 * 3600 + 60})
    assert not is_in(visitor)


def test_a_page_left_open_is_nobody_there(visitor: Client) -> None:
    visitor.post("/login/", RIGHT)
    age(visitor, **{SEEN_AT: SEEN_EVERY + 60})
    before = visitor.session[SEEN_AT]
    assert is_in(visitor, "/workflows/?v=1", **{"HX-Request": "true"})
    assert visitor.session[SEEN_AT] == before
    assert is_in(visitor, "/workflows/")
    assert visitor.session[SEEN_AT] > before


def test_a_link_signs_in_with_an_age_too(visitor: Client, owner: User) -> None:
    visitor.post("/login/once/", {"code": make_sign_in_link(owner)})
    assert visitor.session[SIGNED_IN_AT] > 0


def test_tokens_leave_audit_rows_without_their_values(client: Client, owner: User) -> None:
    form = {"name": "laptop", "scope": "read", "days": "30", "once": uuid.uuid4().hex}
    client.post("/account/tokens/", {**form, "password": "correct horse"})
    prefix = owner.api_tokens.get().prefix
    client.post(f"/account/tokens/{prefix}/revoke/")
    rows = list(acts().values_list("actor", "action", "target"))
    assert rows == [("alice", "make-token", f"token {prefix}"), ("alice", "revoke-token", f"token {prefix}")]
    assert owner.api_tokens.get().secret_hash not in str(AuditEntry.objects.values())


def test_whoever_has_no_password_here_signed_in_just_now(client: Client, owner: User, settings) -> None:
    """A person of an identity provider on a shared server."""
    owner.set_unusable_password()
    owner.save()
    client.force_login(owner, backend="workflows.sign_in.PasswordBackend")
    settings.IS_EMBEDDED = False
    form = {"name": "x", "scope": "read", "days": "30", "once": uuid.uuid4().hex}
    age(client, **{SIGNED_IN_AT: 3600})
    assert "You signed in a while ago" in client.post("/account/tokens/", form).content.decode()
    age(client, **{SIGNED_IN_AT: 60})
    assert client.post("/account/tokens/", form).status_code == 200
    assert owner.api_tokens.count() == 1


def test_the_longest_life_of_a_token_is_a_setting(client: Client, settings) -> None:
    settings.MOST_TOKEN_DAYS = 30
    assert "90 days" not in client.get("/account/tokens/").content.decode()
    form = {"name": "x", "scope": "read", "days": "90", "password": "correct horse"}
    assert client.post("/account/tokens/", form).status_code == 409


@pytest.mark.parametrize(("run_as", "is_shown"), [("self", False), ("owner", False), ("service", True)])
def test_every_page_says_that_jobs_run_as_one_account(client: Client, settings, run_as: str, is_shown: bool) -> None:
    settings.RUN_AS = run_as
    for url in ("/workflows/", "/account/", "/executors/", "/search/"):
        assert ("run as one account" in client.get(url).content.decode()) is is_shown, url


def test_a_token_is_not_a_session(owner: User) -> None:
    bearer = {"Authorization": f"Bearer {create_token(owner, 'x')}"}
    assert Client(HTTP_HOST="127.0.0.1").get("/account/", headers=bearer).status_code == 302
