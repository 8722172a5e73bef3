"""Where sessions are kept: in the database, as Django does it, under keys that begin with a mark of whoever is signed in.

So a person's sessions are one range of the primary key: to list or end them, nobody else's are looked at, however many there
are. The mark is keyed and tells nothing of the person; the rest of the key is as random as Django's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils.crypto import get_random_string, salted_hmac

SIGNED_IN_AT, SEEN_AT, ADDRESS, BROWSER = "signed_in_at", "seen_at", "address", "browser"
MARK_CHARACTERS = 12
RANDOM_CHARACTERS = 28  # with the mark as long as the column; 144 random bits


class SessionStore(DatabaseStore):
    """Named as Django's, since the name is part of what the stored data is signed with."""

    def _get_new_session_key(self) -> str:
        user_id = self.get(SESSION_KEY)
        if user_id is None:
            return str(super()._get_new_session_key())  # type: ignore[misc]  # the stubs leave it out
        return mark_of(user_id) + get_random_string(RANDOM_CHARACTERS, VALID_KEY_CHARS)


def mark_of(user_id: int | str, secret: str | None = None) -> str:
    """With this secret key; the present one unless said."""
    digest = salted_hmac("workflows.session_store.mark", str(user_id), secret=secret, algorithm="sha256").hexdigest()
    return digest[:MARK_CHARACTERS]


def _marks_of(user_id: int | str) -> list[str]:
    """The present one, and those of former secret keys that still count. Django gives such a session a new key when it
    is used next."""
    return [mark_of(user_id, secret) for secret in (None, *settings.SECRET_KEY_FALLBACKS)]


def is_marked(key: str | None, user_id: int | str) -> bool:
    """Whether the key is one that this person's list of sessions finds."""
    return (
        key is not None
        and len(key) == MARK_CHARACTERS + RANDOM_CHARACTERS
        and key.startswith(tuple(_marks_of(user_id)))
    )


def key_ranges(user_id: int | str) -> list[tuple[str, str]]:
    """The first and the last key that this person's sessions may have, for each mark; in every collation."""
    return [(mark + "0" * RANDOM_CHARACTERS, mark + "z" * RANDOM_CHARACTERS) for mark in _marks_of(user_id)]


def end_of(data: Mapping[str, Any]) -> int:
    """When the session ends, in seconds since 1970, unless it is used again: so long after its last use, and so long at
    most. One that does not know its age is over."""
    latest = int(data.get(SIGNED_IN_AT, 0)) + settings.SESSION_COOKIE_AGE
    return int(min(latest, int(data.get(SEEN_AT, 0)) + settings.SESSION_IDLE_SECONDS))
