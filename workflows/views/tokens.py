"""A person's tokens for scripts: made, shown once, revoked. And signing out everywhere."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from workflows.access import SCOPES, create_token, revoke_token
from workflows.models import ApiToken
from workflows.transactions import write_transaction
from workflows.views.base import Crumb, page, show, user_of
from workflows.views.confirm import is_first

DAYS = (7, 30, 90)
SCOPE_WORDS = {"read": "look only", "submit": "look and submit workflows", "operate": "all that you may do"}
TOKENS_SHOWN = 100


@page
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _show(request)
    name = request.POST.get("name", "").strip()[:100]
    scope, days = request.POST.get("scope", ""), request.POST.get("days", "")
    if not name or scope not in SCOPES or days not in map(str, DAYS):
        return _show(request, problem="Give the token a name, and choose what it may do and for how long.")
    if not _is_confirmed(request):
        return _show(request, problem="The password is wrong; no token was made.")
    return _make(request, name, scope, int(days))


def _is_confirmed(request: HttpRequest) -> bool:
    """People with a password type it again; the one of the embedded server has none."""
    user = user_of(request)
    return not user.has_usable_password() or user.check_password(request.POST.get("password", ""))


def _make(request: HttpRequest, name: str, scope: str, days: int) -> HttpResponse:
    """The value goes into the answer of this one request and is kept nowhere."""
    if not is_first(request):
        messages.info(
            request, "This form was sent before; a token is shown only once. Revoke it if you did not copy it."
        )
        return HttpResponseRedirect("/account/tokens/")
    return _show(request, made=create_token(user_of(request), name, scope, timedelta(days=days)))


def _show(request: HttpRequest, made: str = "", problem: str = "") -> HttpResponse:
    user = user_of(request)
    rows = list(ApiToken.objects.filter(user=user).order_by("revoked_at", "-id")[:TOKENS_SHOWN])
    context = {
        "rows": [(row, _state(row)) for row in rows],
        "made": made,
        "problem": problem,
        "once": uuid.uuid4().hex,
        "scopes": [(scope, SCOPE_WORDS[scope]) for scope in SCOPES],
        "days": DAYS,
        "has_password": user.has_usable_password(),
        "crumbs": [Crumb("Account", "/account/"), Crumb("Tokens")],
        "section": "account",
    }
    return show(request, "account/tokens.html", context, status=409 if problem else 200)


def _state(token: ApiToken) -> str:
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= timezone.now() else "valid"


@page
@require_POST
def revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    if revoke_token(user_of(request), prefix):
        messages.success(request, f"The token {prefix} is revoked; it works no more.")
    else:
        messages.info(request, f"There is no valid token {prefix} of yours.")
    return HttpResponseRedirect("/account/tokens/")


@page
@require_http_methods(["POST"])
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Every browser of this person is signed out; tokens stay."""
    _end_sessions(user_of(request))
    logout(request)
    return HttpResponseRedirect(settings.LOGIN_URL)


@write_transaction
def _end_sessions(user: User) -> None:
    for session in Session.objects.filter(expire_date__gte=timezone.now()).iterator():
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            session.delete()
