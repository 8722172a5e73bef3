"""A person's tokens for scripts: made, shown once, revoked."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from workflows.access import SCOPES, create_token, revoke_token
from workflows.models import ApiToken
from workflows.permissions import may_revoke_tokens
from workflows.sessions import is_fresh
from workflows.sign_in import has_directory
from workflows.views.base import Crumb, Terminal, actor_of, page, show, user_of
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
    if not name or scope not in SCOPES or days not in map(str, DAYS) or int(days) > settings.MOST_TOKEN_DAYS:
        return _show(request, problem="Give the token a name, and choose what it may do and for how long.")
    if not _is_confirmed(request):
        return _show(request, problem=_unconfirmed(request))
    return _make(request, name, scope, int(days))


def _is_confirmed(request: HttpRequest) -> bool:
    """People with a password type it again, here or in the directory; whoever signed in elsewhere did so just now. The one
    of the embedded server has none."""
    user = user_of(request)
    if settings.IS_EMBEDDED and not user.has_usable_password():
        return True
    password = request.POST.get("password", "")
    if password:
        return authenticate(request, username=user.get_username(), password=password) == user
    return not user.has_usable_password() and not has_directory() and is_fresh(request)


def _unconfirmed(request: HttpRequest) -> str:
    if needs_password(user_of(request)):
        return "The password is wrong; no token was made."
    return "You signed in a while ago. Sign out, sign in again, and make the token within ten minutes."


def needs_password(user: User) -> bool:
    return user.has_usable_password() or (not settings.IS_EMBEDDED and has_directory())


def _make(request: HttpRequest, name: str, scope: str, days: int) -> HttpResponse:
    """The value goes into the answer of this one request and is kept nowhere."""
    if not is_first(request):
        messages.info(
            request, "This form was sent before; a token is shown only once. Revoke it if you did not copy it."
        )
        return HttpResponseRedirect("/account/tokens/")
    return _show(request, made=create_token(user_of(request), name, scope, timedelta(days=days), actor_of(request)))


def _show(request: HttpRequest, made: str = "", problem: str = "") -> HttpResponse:
    user = user_of(request)
    rows = list(ApiToken.objects.filter(user=user).order_by("revoked_at", "-id")[:TOKENS_SHOWN])
    context = {
        "rows": [(row, _state(row)) for row in rows],
        "made": made,
        "problem": problem,
        "once": uuid.uuid4().hex,
        "scopes": [(scope, SCOPE_WORDS[scope]) for scope in SCOPES],
        "days": [days for days in DAYS if days <= settings.MOST_TOKEN_DAYS],
        "has_password": needs_password(user),
        "may_revoke_others": may_revoke_tokens(user),
        "crumbs": [Crumb("Account", "/account/"), Crumb("Tokens")],
        "section": "account",
        "terminal": Terminal("", "/api/v1/tokens/"),
    }
    return show(request, "account/tokens.html", context, status=409 if problem else 200)


def _state(token: ApiToken) -> str:
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= timezone.now() else "valid"


@page
@require_POST
def revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    if revoke_token(user_of(request), prefix, actor_of(request)):
        messages.success(request, f"The token {prefix} is revoked; it works no more.")
    else:
        messages.info(request, f"There is no valid token {prefix} of yours.")
    return HttpResponseRedirect("/account/tokens/")
