"""The tokens of other people: an administrator sees that they are there, never their values, and revokes them."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from workflows.access import revoke_token
from workflows.directions import fenced
from workflows.filters import TokenFilter
from workflows.models import ApiToken
from workflows.permissions import may_revoke_tokens
from workflows.queries.counting import count_list
from workflows.queries.tokens import NEWEST_TOKEN, tokens_of_others
from workflows.views.base import Crumb, actor_of, found, page, show, user_of
from workflows.views.confirm import Confirm, do_once, show_confirm
from workflows.views.system import page_of

PATH = "/tokens/"
CRUMBS = (Crumb("Account", "/account/"), Crumb("Tokens", "/account/tokens/"))


def _demand_administrator(request: HttpRequest) -> None:
    if not may_revoke_tokens(user_of(request)):
        raise PermissionDenied("Only administrators may see and revoke other people's tokens.")


@page
@require_safe
def others(request: HttpRequest) -> HttpResponse:
    _demand_administrator(request)
    filters = TokenFilter(request.GET, tokens_of_others(user_of(request)))
    this_page, wrong_cursor = page_of(request, filters.rows, NEWEST_TOKEN, 50)
    context = {
        "filters": filters,
        "page": this_page,
        "total": count_list(filters.rows, this_page),
        "wrong_cursor": wrong_cursor,
        "now": timezone.now(),
        "crumbs": [*CRUMBS, Crumb("Of others")],
        "section": "account",
    }
    return show(request, "account/tokens_of_others.html", context)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    """Of whoever it is; one's own are revoked on one's own page."""
    _demand_administrator(request)
    if request.method == "POST":
        return do_once(request, lambda: _revoke(request, prefix))
    token = found(tokens_of_others(user_of(request)).filter(prefix=prefix).first())
    return show_confirm(request, _confirm(token), [*CRUMBS, Crumb("Of others", PATH), Crumb("Revoke")])


def _confirm(token: ApiToken) -> Confirm:
    owner = token.user.get_username()
    return Confirm(
        title=f"Revoke a token of {fenced(owner)}?",
        sentence=f"The token jm_{token.prefix}… (“{fenced(token.name)}”, may {token.scope}) of {fenced(owner)} works no more at once. "
        "What runs goes on; scripts that use it are refused until they get another one.",
        verb=f"Revoke this token of {fenced(owner)}",
        back=PATH,
        is_dangerous=True,
    )


def _revoke(request: HttpRequest, prefix: str) -> HttpResponse:
    token = found(tokens_of_others(user_of(request)).filter(prefix=prefix).first())
    owner = token.user.get_username()
    if revoke_token(token.user, prefix, actor_of(request)):
        messages.success(request, f"The token {prefix} of {fenced(owner)} is revoked; it works no more.")
    else:
        messages.info(request, f"The token {prefix} of {fenced(owner)} was revoked meanwhile.")
    return HttpResponseRedirect(PATH)
