"""The browsers in which a person is signed in: listed, and signed out one by one or all at once."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST, require_safe

from workflows.queries.sessions import list_sessions, public_id_of
from workflows.sessions import SEEN_EVERY, end_session, end_sessions
from workflows.views.base import Crumb, actor_of, page, show, user_of


@page
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    rows, has_more = list_sessions(user_of(request), request.session)
    context = {
        "rows": rows,
        "has_more": has_more,
        "idle_seconds": settings.SESSION_IDLE_SECONDS,
        "most_seconds": settings.SESSION_COOKIE_AGE,
        "seen_seconds": SEEN_EVERY,
        "crumbs": [Crumb("Account", "/account/"), Crumb("Sessions")],
        "section": "account",
    }
    return show(request, "account/sessions.html", context)


@page
@require_POST
def end(request: HttpRequest, public_id: str) -> HttpResponse:
    """Signs one browser out. What has ended, or is somebody else's, does not exist."""
    is_this_one = public_id == public_id_of(request.session.session_key)
    if not end_session(user_of(request), public_id, actor_of(request)):
        raise Http404
    if is_this_one:
        logout(request)
        return HttpResponseRedirect(settings.LOGIN_URL)
    messages.success(request, "That browser is signed out.")
    return HttpResponseRedirect("/account/sessions/")


@page
@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Every browser of this person is signed out; tokens stay."""
    end_sessions(user_of(request), actor_of(request))
    logout(request)
    return HttpResponseRedirect(settings.LOGIN_URL)
