"""How long a browser stays signed in: so long after its last use, and so long at most; and ending one or all of a
person's. What the person is shown of a session is kept in the session itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from workflows.actor import Actor
from workflows.audit import write_audit, write_event
from workflows.browser_words import name_browser
from workflows.middleware import is_database_away
from workflows.queries.sessions import find_session, is_live, is_of, rows_of
from workflows.session_store import ADDRESS, BROWSER, SEEN_AT, SIGNED_IN_AT, end_of, is_marked
from workflows.transactions import write_transaction

PROBES = ("/healthz", "/readyz", "/metrics")
FRESH = 600
SEEN_EVERY = 300  # a page view writes this at most so often


def note_sign_in(sender: object, request: HttpRequest, user: User, **more: object) -> None:
    """The session gets a new key, which begins with the mark of the person; its age begins anew with it."""
    request.session.cycle_key()
    request.session[SIGNED_IN_AT] = int(time.time())
    _note_use(request)


def _note_use(request: HttpRequest) -> None:
    request.session[SEEN_AT] = int(time.time())
    request.session[ADDRESS] = str(request.META.get("REMOTE_ADDR", ""))[:64]
    request.session[BROWSER] = name_browser(request.headers.get("User-Agent", ""))


def record_sign_in(sender: object, request: HttpRequest, user: User, **more: object) -> None:
    _record("sign-in", request, user)


def record_sign_out(sender: object, request: HttpRequest, user: User | None, **more: object) -> None:
    if user is not None:
        _record("sign-out", request, user)


def _record(action: str, request: HttpRequest, user: User) -> None:
    name = user.get_username()
    write_event(action, f"user {name}", name=name, request=request)


def connect() -> None:
    user_logged_in.connect(note_sign_in, dispatch_uid="workflows.sessions")
    user_logged_in.connect(record_sign_in, dispatch_uid="workflows.sessions.audit")
    user_logged_out.connect(record_sign_out, dispatch_uid="workflows.sessions.audit")


class SessionAgeMiddleware:
    """Signs out whoever was away too long, or has been in too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path not in PROBES and settings.SESSION_COOKIE_NAME in request.COOKIES:
            try:
                if request.user.is_authenticated:
                    self._check(request, int(time.time()))
            except DatabaseError as error:
                if not is_database_away(error):
                    raise  # without a database nobody is signed in, and the view says so
        return self.get_response(request)

    def _check(self, request: HttpRequest, now: int) -> None:
        """A session without the person's mark would be in no list of theirs; all have had one since there are lists."""
        session = request.session
        if not is_marked(session.session_key, str(request.user.pk)) or now > end_of(session):
            session.flush()  # nobody signs out here: the session is over by its age
            request.user = AnonymousUser()
        elif now - session[SEEN_AT] > SEEN_EVERY and not _is_poll(request):
            _note_use(request)


def _is_poll(request: HttpRequest) -> bool:
    """A page that was left open asks by itself; that is not somebody being there."""
    return request.headers.get("HX-Request") == "true" and "v" in request.GET


def is_fresh(request: HttpRequest) -> bool:
    """Whether this person has signed in within the last minutes."""
    return int(time.time()) - int(request.session.get(SIGNED_IN_AT, 0)) < FRESH


@write_transaction
def end_session(user: User, public_id: str, actor: Actor) -> bool:
    """Whether there was such a session of this person; its browser is signed out."""
    session = find_session(user, public_id)
    if session is None or not session.delete()[0]:
        return False
    write_audit(actor, "end-session", f"session {public_id}")
    return True


@write_transaction
def end_sessions(user: User, actor: Actor | None = None) -> int:
    """Every browser of this person is signed out; how many were in."""
    own = [(row, data) for row in rows_of(user) if is_of(data := row.get_decoded(), user)]
    for row, _ in own:
        row.delete()
    ended = sum(is_live(data, user) for _, data in own)
    if actor is not None:
        write_audit(actor, "end-sessions", f"user {user.get_username()}"[:64], after={"sessions": ended})
    return ended
