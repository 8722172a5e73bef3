"""How sessions are kept: under keys that find a person's own and nobody else's, dated coarsely, and ended for good."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import make_user
from tests.pages.browsers import (
    SAFARI,
    change,
    copy_session,
    end_url,
    ids_in,
    is_in,
    key_of,
    sign_in,
    text_of,
)
from workflows.access import make_sign_in_link
from workflows.accounts import Change, change_account
from workflows.queries.sessions import MOST_SHOWN, public_id_of, rows_of
from workflows.scheduling import housekeeping
from workflows.session_store import ADDRESS, BROWSER, SEEN_AT, SessionStore, is_marked
from workflows.sessions import SEEN_EVERY

pytestmark = pytest.mark.django_db


def test_what_is_ended_is_not_brought_back_by_a_request_that_was_on_its_way(owner: User) -> None:
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    late = SessionStore(key_of(there))
    late["x"] = 1
    here.post(end_url(there))
    with pytest.raises(UpdateError):
        late.save()
    assert not is_in(there)


def test_a_session_that_calls_itself_another_persons_is_not_listed(owner: User) -> None:
    """The key's mark finds it; what it holds decides."""
    bob = make_user("bob")
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    change(there, _auth_user_id=str(bob.pk))
    assert ids_in(text_of(here)) == [public_id_of(key_of(here))]
    assert here.post(end_url(there)).status_code == 404
    assert not is_in(there)


def test_seen_is_written_at_most_every_few_minutes_and_never_by_a_poll(owner: User) -> None:
    here = sign_in("alice")

    def writes(url: str, **headers: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            here.get(url, headers=headers)
        return sum(query["sql"].startswith(("UPDATE", "INSERT", "DELETE")) for query in queries)

    assert writes("/workflows/") == 0
    change(here, **{SEEN_AT: int(time.time()) - SEEN_EVERY - 5})
    assert writes("/workflows/?v=1", **{"HX-Request": "true"}) == 0
    assert writes("/workflows/") == 1
    assert writes("/workflows/") == 0


def test_the_address_and_browser_are_those_of_the_last_use(owner: User) -> None:
    here = sign_in("alice")
    change(here, **{SEEN_AT: int(time.time()) - SEEN_EVERY - 5})
    here.get("/workflows/", REMOTE_ADDR="10.9.9.9", headers={"User-Agent": SAFARI})
    assert (here.session[ADDRESS], here.session[BROWSER]) == ("10.9.9.9", "Safari on macOS")


def test_a_session_without_the_persons_mark_is_signed_out(owner: User) -> None:
    """It would be in no list of theirs."""
    here = sign_in("alice")
    row = Session.objects.get(pk=key_of(here))
    Session.objects.create(session_key="a" * 32, session_data=row.session_data, expire_date=row.expire_date)
    here.cookies[site_settings.SESSION_COOKIE_NAME] = "a" * 32
    assert not is_in(here)
    assert not Session.objects.filter(pk="a" * 32).exists()


def test_keys_are_as_random_as_before_and_new_at_each_sign_in(owner: User) -> None:
    here = sign_in("alice")
    first = key_of(here)
    here.post("/login/once/", {"code": make_sign_in_link(owner)})
    other = sign_in("alice")
    keys = {first, key_of(here), key_of(other)}
    assert all(is_marked(key, owner.pk) and re.fullmatch("[0-9a-z]{40}", key) for key in keys)
    assert len({key[12:] for key in keys}) == 3
    assert not Session.objects.filter(pk=first).exists()


def test_a_disabled_persons_sessions_are_all_ended(owner: User) -> None:
    make_user("bob")
    alice, bob = sign_in("alice"), sign_in("bob")
    change_account("alice", Change(is_active=False), "root")
    assert [is_in(client) for client in (alice, bob)] == [False, True]
    assert not rows_of(owner).exists()


def test_the_sweep_forgets_those_who_did_not_come_back(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("bob")
    here, gone = sign_in("alice"), sign_in("bob")
    copy_session(gone, 4)
    Session.objects.exclude(pk=key_of(here)).update(expire_date=timezone.now() - timedelta(days=1))
    monkeypatch.setattr(housekeeping, "SESSIONS_AT_ONCE", 3)
    left = []
    for _ in range(3):
        housekeeping.sweep()
        left.append(Session.objects.count())
    assert left == [3, 1, 1]
    assert is_in(here)


def test_many_sessions_are_cut_and_said_so(owner: User) -> None:
    here = sign_in("alice")
    there = sign_in("alice", SAFARI)
    copy_session(there, MOST_SHOWN - 2)
    assert (len(ids_in(text_of(here))), "There are more" in text_of(here)) == (MOST_SHOWN, False)
    copy_session(there, 1)
    text = text_of(here)
    assert (len(ids_in(text)), "There are more" in text) == (MOST_SHOWN, True)
    assert len(text.encode()) <= 60 * 1024
    here.post("/account/sign-out-everywhere/")
    assert not rows_of(owner).exists()


def test_nobody_elses_sessions_are_looked_at(owner: User) -> None:
    """However many there are: by the primary key, and four queries."""
    here = sign_in("alice")
    copy_session(sign_in(make_user("bob").username), 300)
    with connection.cursor() as cursor:
        with CaptureQueriesContext(connection) as queries:
            assert len(ids_in(text_of(here))) == 1
        assert len(queries) <= 6
        sql = next(query["sql"] for query in queries if "BETWEEN" in query["sql"] and "django_session" in query["sql"])
        sql = re.sub(r"^SET STATEMENT \S+ FOR ", "", sql)  # MariaDB's limit of time
        explain = "EXPLAIN " if connection.vendor == "mysql" else "EXPLAIN QUERY PLAN "
        cursor.execute(explain + sql.replace("%", "%%"))
        plan = str(cursor.fetchall())
    assert ("'range'" in plan and "'PRIMARY'" in plan) or "session_key>? AND session_key<?" in plan, plan


OLD, NEW = "old-" * 20, "new-" * 20


def test_new_secret_key_signs_nobody_out_while_the_old_one_still_counts(owner: User, settings) -> None:
    settings.SECRET_KEY = OLD
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    old_key = key_of(here)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert rows_of(owner).count() == 2
    assert is_in(here)
    assert key_of(here) != old_key
    assert len(ids_in(text_of(here))) == 2
    settings.SECRET_KEY_FALLBACKS = []
    assert is_in(here)
    assert not is_in(there)


def test_sessions_of_the_old_secret_key_can_be_ended(owner: User, settings) -> None:
    settings.SECRET_KEY = OLD
    here, there = sign_in("alice"), sign_in("alice", SAFARI)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    assert here.post(end_url(there)).status_code == 302
    assert not is_in(there)
    assert is_in(here)


def test_old_secret_key_that_counts_no_more_signs_everybody_out(owner: User, settings) -> None:
    settings.SECRET_KEY = OLD
    here = sign_in("alice")
    settings.SECRET_KEY = NEW
    assert not is_in(here)
