"""How long a browser stays signed in: so long after its last use, and so long at most; and ending all of a person's."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from workflows.middleware import is_database_away
from workflows.transactions import write_transaction

SIGNED_IN_AT, SEEN_AT = "signed_in_at", "seen_at"
PROBES = ("/healthz", "/readyz", "/metrics")
FRESH = 600
SEEN_EVERY = 600  # a page view writes this at most so often


def note_sign_in(sender: object, request: HttpRequest, user: User, **more: object) -> None:
    """Django renews the session's key at each sign-in; its age begins anew with it."""
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = int(time.time())


def connect() -> None:
    user_logged_in.connect(note_sign_in, dispatch_uid="workflows.sessions")


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
        session = request.session
        since, seen = session.get(SIGNED_IN_AT), session.get(SEEN_AT)
        if since is None or seen is None:  # signed in before this was kept
            session[SIGNED_IN_AT] = session[SEEN_AT] = now
        elif now - since > settings.SESSION_COOKIE_AGE or now - seen > settings.SESSION_IDLE_SECONDS:
            logout(request)
        elif now - seen > SEEN_EVERY and not _is_poll(request):
            session[SEEN_AT] = now


def _is_poll(request: HttpRequest) -> bool:
    """A page that was left open asks by itself; that is not somebody being there."""
    return request.headers.get("HX-Request") == "true" and "v" in request.GET


def is_fresh(request: HttpRequest) -> bool:
    """Whether this person has signed in within the last minutes."""
    return int(time.time()) - int(request.session.get(SIGNED_IN_AT, 0)) < FRESH


@write_transaction
def end_sessions(user: User) -> int:
    """Every browser of this person is signed out; how many were in."""
    ended = 0
    for session in Session.objects.filter(expire_date__gte=timezone.now()).iterator():
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            session.delete()
            ended += 1
    return ended
