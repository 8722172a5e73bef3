"""Signing in and out, and a person's own settings."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from workflows.access import use_sign_in_link
from workflows.queries.accounts import find_account
from workflows.sign_in import has_oidc, note_failure
from workflows.views.base import (
    KEYS_COOKIE,
    PATTERNS_COOKIE,
    THEME_COOKIE,
    THEMES,
    ZONE_COOKIE,
    Crumb,
    page,
    show,
    user_of,
)

YEAR = 365 * 24 * 3600


class SignIn(LoginView):
    """A name and a password. Never says which of them was wrong; each failure goes into the audit."""

    template_name = "account/login.html"
    redirect_authenticated_user = True

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        words = {"crumbs": [Crumb("Sign in")], "has_oidc": has_oidc(), "failed": "failed" in self.request.GET}
        return super().get_context_data(**{**words, **more})

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        if not getattr(self.request, "axes_locked_out", False):
            note_failure(self.request, "password", self.request.POST.get("username", ""))
        return super().form_invalid(form)


def locked_out(request: HttpRequest, *_: object) -> HttpResponse:
    """The answer after too many failures of one name from one address; the right password would not help either."""
    context = {"minutes": settings.AXES_COOLOFF_TIME.seconds // 60, "crumbs": [Crumb("Sign in")]}
    response = show(request, "account/locked.html", context, status=429)
    response["Retry-After"] = str(settings.AXES_COOLOFF_TIME.seconds)
    return response


sign_in = SignIn.as_view()
sign_out = LogoutView.as_view(next_page="/login/")


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_once(request: HttpRequest) -> HttpResponse:
    """GET shows one button, so that a link preview does not spend the code; POST spends it."""
    if request.method != "POST":
        context = {"code": request.GET.get("code", ""), "crumbs": [Crumb("Sign in")]}
        return show(request, "account/once.html", context)
    user = use_sign_in_link(request.POST.get("code", "")[:200])
    if user is None:
        messages.error(request, "This link was used already or is too old. Run `jobmon open` for a new one.")
        return HttpResponseRedirect(settings.LOGIN_URL)
    login(request, user, backend="workflows.sign_in.PasswordBackend")
    return HttpResponseRedirect(settings.LOGIN_REDIRECT_URL)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _save(request)
    context = {
        "person": user_of(request),
        "runs_as_owner": settings.RUN_AS == "owner",
        "unix_account": find_account(user_of(request)) if settings.RUN_AS == "owner" else None,
        "themes": THEMES,
        "zones": sorted(zoneinfo.available_timezones()),
        "crumbs": [Crumb("Account")],
        "section": "account",
    }
    return show(request, "account/account.html", context)


def _save(request: HttpRequest) -> HttpResponse:
    zone = request.POST.get("zone", "")
    if zone and zone not in zoneinfo.available_timezones():
        messages.error(request, f"“{zone[:60]}” is not the name of a time zone; nothing was saved.")
        return HttpResponseRedirect("/account/")
    theme = request.POST.get("theme", "auto")
    response = HttpResponseRedirect("/account/")
    choices = {THEME_COOKIE: theme if theme in THEMES else "auto", ZONE_COOKIE: zone,
               KEYS_COOKIE: "on" if request.POST.get("keys") == "on" else "off",
               PATTERNS_COOKIE: "on" if request.POST.get("patterns") == "on" else "off"}  # fmt: skip
    for name, value in choices.items():
        response.set_cookie(
            name, value, max_age=YEAR, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE or False
        )
    messages.success(request, "Saved.")
    return response
