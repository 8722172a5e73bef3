"""A person's own sessions: what is shown of them, and ending one or all. Never somebody else's."""

from __future__ import annotations

import logging
import re
import time

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import expect

from tests.factories import make_user
from tests.pages.browsers import (
    FIREFOX,
    PASSWORD,
    SAFARI,
    URL,
    change,
    end_url,
    ids_in,
    is_in,
    key_of,
    rows_in,
    sign_in,
    text_of,
    times_in,
)
from tests.pages.conftest import OpenPage
from workflows.audit import as_line
from workflows.models import AuditEntry
from workflows.queries.sessions import public_id_of, rows_of
from workflows.session_store import SEEN_AT, SIGNED_IN_AT

pytestmark = pytest.mark.django_db


def test_shows_browser_address_and_which_one_is_this_one(owner: User) -> None:
    here, there = sign_in("alice"), sign_in("alice", SAFARI, "10.1.2.3")
    now = int(time.time())
    change(there, **{SIGNED_IN_AT: now - 7200, SEEN_AT: now - 3600})
    text = text_of(here)
    assert ids_in(text) == [public_id_of(key_of(here)), public_id_of(key_of(there))]
    first, second = rows_in(text)
    assert "Firefox on Linux" in first
    assert "this one" in first
    assert "Safari on macOS" in second
    assert "10.1.2.3" in second
    assert "this one" not in second
    assert times_in(second) == [now - 7200, now - 3600, now - 7200 + 7 * 86400]


@pytest.mark.parametrize(
    ("since", "seen", "left"),
    [(0, 0, 12 * 3600), (3600, 1800, 12 * 3600 - 1800), (7 * 86400 - 3600, 0, 3600)],
    ids=["new", "idle", "old"],
)
def test_tells_when_each_ends(owner: User, settings, since: int, seen: int, left: int) -> None:
    settings.SESSION_IDLE_SECONDS = 12 * 3600
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    now = int(time.time())
    change(there, **{SIGNED_IN_AT: now - since, SEEN_AT: now - seen})
    text = text_of(here)
    row = next(row for row in rows_in(text) if end_url(there) in row)
    assert times_in(row) == [now - since, now - seen, now + left]
    assert "12 h after its last use" in text


def test_one_browser_is_signed_out_and_the_others_stay(owner: User) -> None:
    here, there, third = sign_in("alice"), sign_in("alice", SAFARI), sign_in("alice")
    assert here.get(end_url(there)).status_code == 405
    answer = here.post(end_url(there), follow=True)
    assert "That browser is signed out." in answer.content.decode()
    assert [is_in(client) for client in (here, there, third)] == [True, False, True]
    assert here.post(end_url(there)).status_code == 404
    assert len(ids_in(text_of(here))) == 2


def test_this_browser_can_be_signed_out_too(owner: User) -> None:
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    answer = here.post(end_url(here))
    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert [is_in(client) for client in (here, there)] == [False, True]


def test_somebody_elses_session_is_neither_seen_nor_ended(owner: User) -> None:
    make_user("bob", is_admin=True)
    alice, bob = sign_in("alice", FIREFOX, "10.1.2.3"), sign_in("bob")
    assert ids_in(text_of(bob)) == [public_id_of(key_of(bob))]
    assert "10.1.2.3" not in text_of(bob)
    before = AuditEntry.objects.count()
    assert bob.post(end_url(alice)).status_code == 404
    assert bob.post(f"{URL}{key_of(alice)}/end/").status_code == 404
    assert alice.post(f"{URL}{key_of(alice)}/end/").status_code == 404
    assert is_in(alice)
    assert AuditEntry.objects.count() == before
    assert Client(HTTP_HOST="127.0.0.1").post(end_url(alice))["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("name", [SIGNED_IN_AT, SEEN_AT])
def test_what_has_ended_by_its_age_is_not_there(owner: User, settings, name: str) -> None:
    settings.SESSION_IDLE_SECONDS = 12 * 3600
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    change(there, **{name: int(time.time()) - 8 * 86400})
    assert ids_in(text_of(here)) == [public_id_of(key_of(here))]
    assert here.post(end_url(there)).status_code == 404


def test_a_new_password_ends_the_others(owner: User) -> None:
    sign_in("alice", SAFARI)
    owner.set_password("another one")
    owner.save()
    here = Client(HTTP_HOST="127.0.0.1")
    here.force_login(owner)
    assert ids_in(text_of(here)) == [public_id_of(key_of(here))]


def test_sign_out_everywhere_stays_where_it_was(owner: User) -> None:
    make_user("bob")
    here, there, bob = sign_in("alice"), sign_in("alice", SAFARI), sign_in("bob")
    assert 'action="/account/sign-out-everywhere/"' in text_of(here)
    assert here.post("/account/sign-out-everywhere/")["Location"] == "/login/"
    assert [is_in(client) for client in (here, there, bob)] == [False, False, True]


def test_every_ending_is_in_the_audit_without_key_or_address(owner: User, caplog: pytest.LogCaptureFixture) -> None:
    here, there, third = sign_in("alice"), sign_in("alice", SAFARI, "10.1.2.3"), sign_in("alice")
    keys = [key_of(client) for client in (here, there, third)]
    shown = text_of(here)
    with caplog.at_level(logging.DEBUG):
        here.post(end_url(there))
        shown += text_of(here)
        here.post("/account/sign-out-everywhere/")
    one, everywhere = AuditEntry.objects.filter(action__startswith="end-session").order_by("pk")
    assert (one.actor, one.action, one.target) == ("alice", "end-session", f"session {public_id_of(keys[1])}")
    assert (everywhere.action, everywhere.target, everywhere.after) == ("end-sessions", "user alice", {"sessions": 2})
    told = shown + caplog.text + as_line(one) + as_line(everywhere)
    assert not any(key in told or key[:12] in told for key in keys)
    assert "10.1.2.3" not in as_line(one) + as_line(everywhere) + caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", ["end", "/account/sign-out-everywhere/"], ids=["one", "everywhere"])
def test_nothing_ends_without_its_audit_row(owner: User, url: str) -> None:
    here, there = sign_in("alice"), sign_in("alice", SAFARI)

    def refuse_audit(execute, sql, params, many, context):
        if "audit_entry" in sql and sql.startswith("INSERT"):
            raise RuntimeError("the audit is full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse_audit), pytest.raises(RuntimeError, match="the audit is full"):
        here.post(end_url(there) if url == "end" else url)
    assert [is_in(client) for client in (here, there)] == [True, True]


def test_another_sites_form_ends_nothing(owner: User) -> None:
    there = sign_in("alice", SAFARI)
    here = Client(HTTP_HOST="127.0.0.1", enforce_csrf_checks=True)
    here.force_login(owner)
    assert here.post(end_url(there)).status_code == 403
    assert here.post("/account/sign-out-everywhere/").status_code == 403
    assert [is_in(client) for client in (here, there)] == [True, True]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text_of(here))
    assert token is not None
    assert here.post(end_url(there), {"csrfmiddlewaretoken": token[1]}).status_code == 302
    assert not is_in(there)


def test_a_browser_that_calls_itself_something_bad_is_shown_as_text(owner: User) -> None:
    here = sign_in("alice", "<script>alert(1)</script>\u202e")
    text = text_of(here)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert" not in text
    assert "\u202e" not in text


def test_the_one_of_the_embedded_server_has_the_page_too(owner: User) -> None:
    assert site_settings.IS_EMBEDDED
    here = sign_in("alice")
    assert "7 d after signing in" in text_of(here)


def test_the_account_leads_there(client: Client) -> None:
    for page in ("/account/", "/account/tokens/", "/workflows/"):
        assert f'href="{URL}"' in client.get(page).content.decode(), page


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_browser_that_signed_in_is_named_and_signs_another_out(open_page: OpenPage, owner: User) -> None:
    page = open_page(URL, javascript=False)
    base = page.url.removesuffix(URL)
    page.context.clear_cookies(name=site_settings.SESSION_COOKIE_NAME)
    page.goto(f"{base}/login/?next={URL}")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    this_one = page.get_by_role("row").filter(has_text="this one")
    expect(this_one).to_contain_text("Chrome")
    expect(this_one).to_contain_text("on Linux")
    expect(this_one).to_contain_text("127.0.0.1")
    page.get_by_role("button", name="Sign out unknown browser").click()
    expect(page.get_by_text("That browser is signed out.")).to_be_visible()
    assert rows_of(owner).count() == 1
    page.get_by_role("button", name="Sign out this browser").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not rows_of(owner).exists()
