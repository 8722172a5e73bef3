"""Reads of a person's own sessions: one range of the primary key, never anybody else's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db.models import Q, QuerySet
from django.utils.crypto import constant_time_compare, salted_hmac

from workflows.session_store import ADDRESS, BROWSER, SEEN_AT, SIGNED_IN_AT, end_of, key_ranges

MOST_READ, MOST_SHOWN = 500, 40
PUBLIC_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class OwnSession:
    """`public_id` names it on the page and in the audit; its key signs in and is shown nowhere."""

    public_id: str
    since: datetime
    seen: datetime
    ends: datetime
    address: str
    browser: str
    is_current: bool


def public_id_of(key: str | None) -> str:
    """A keyed digest, from which the key cannot be had."""
    digest = salted_hmac("workflows.queries.sessions.public", key or "", algorithm="sha256").hexdigest()
    return digest[:PUBLIC_CHARACTERS]


def rows_of(user: User) -> QuerySet[Session]:
    """All that is kept of this person, also what has ended by its age."""
    is_own = Q()
    for first_and_last in key_ranges(user.pk):
        is_own |= Q(session_key__range=first_and_last)
    return Session.objects.filter(is_own).order_by("session_key")


def is_of(data: Mapping[str, Any], user: User) -> bool:
    return data.get(SESSION_KEY) == str(user.pk)


def is_live(data: Mapping[str, Any], user: User) -> bool:
    """Whether the browser that has it is signed in: not over, and not from before the password was changed."""
    valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    is_valid = any(constant_time_compare(data.get(HASH_SESSION_KEY, ""), one) for one in valid)
    return is_of(data, user) and is_valid and end_of(data) >= time.time()


def list_sessions(user: User, current: SessionBase) -> tuple[list[OwnSession], bool]:
    """The one that asks, then the others, the latest seen first; and whether there are more than are shown."""
    rows = list(rows_of(user).exclude(session_key=current.session_key)[: MOST_READ + 1])
    found = [(row.session_key, row.get_decoded()) for row in rows[:MOST_READ]]
    live = [_describe(key, data, False) for key, data in found if is_live(data, user)]
    live.sort(key=lambda session: session.seen, reverse=True)
    shown = [_describe(current.session_key, dict(current.items()), True), *live[: MOST_SHOWN - 1]]
    return shown, len(rows) > MOST_READ or len(live) >= MOST_SHOWN


def _describe(key: str | None, data: Mapping[str, Any], is_current: bool) -> OwnSession:
    return OwnSession(
        public_id=public_id_of(key),
        since=datetime.fromtimestamp(data[SIGNED_IN_AT], UTC),
        seen=datetime.fromtimestamp(data[SEEN_AT], UTC),
        ends=datetime.fromtimestamp(end_of(data), UTC),
        address=data.get(ADDRESS, ""),
        browser=data.get(BROWSER, ""),
        is_current=is_current,
    )


def find_session(user: User, public_id: str) -> Session | None:
    """The live one of this person that is named so."""
    keys = rows_of(user).values_list("session_key", flat=True)
    named = next((key for key in keys if constant_time_compare(public_id_of(key), public_id)), None)
    row = rows_of(user).filter(pk=named).first() if named is not None else None
    return row if row is not None and is_live(row.get_decoded(), user) else None
