"""A person's mail: the address, what it may be about, and the proof that it is theirs."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from workflows import bell
from workflows.notices import addresses
from workflows.notices.delivery import CONFIRM_TASK
from workflows.notices.events import is_mail_set_up
from workflows.queries.notices import latest_notices
from workflows.views.base import Crumb, actor_of, page, show, user_of

RUN_ENDS = (("off", "never"), ("failures", "when it failed"), ("all", "always"))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _save(request)
    return _show(request)


def _save(request: HttpRequest) -> HttpResponse:
    wishes = addresses.Wishes(
        address=request.POST.get("address", "").strip()[:300],
        run_ends=request.POST.get("run_ends", ""),
        tells_new_errors=request.POST.get("new_errors") == "on",
        tells_stalls=request.POST.get("stalls") == "on",
    )
    try:
        has_to_prove = addresses.save_wishes(actor_of(request), wishes)
    except addresses.Refused as problem:
        return _show(request, problem=str(problem))
    if has_to_prove:
        bell.send(CONFIRM_TASK, user_id=user_of(request).pk)
        messages.success(request, "Saved. A mail with a link is on its way to that address; open it to confirm.")
    else:
        messages.success(request, "Saved.")
    return HttpResponseRedirect("/account/mail/")


def _show(request: HttpRequest, problem: str = "") -> HttpResponse:
    user = user_of(request)
    context = {
        "wishes": addresses.find_settings(user),
        "run_ends": RUN_ENDS,
        "is_set_up": is_mail_set_up(),
        "minutes": settings.MAIL_MINUTES,
        "stall_minutes": settings.STALL_MINUTES,
        "notices": latest_notices(user),
        "problem": problem,
        "crumbs": [Crumb("Account", "/account/"), Crumb("Mail")],
        "section": "account",
    }
    return show(request, "account/mail.html", context, status=409 if problem else 200)


@page
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """GET shows one button, so that a mail program that looks at links confirms nothing; POST does it."""
    if request.method != "POST":
        crumbs = [Crumb("Account", "/account/"), Crumb("Mail", "/account/mail/"), Crumb("Confirm")]
        context = {"code": request.GET.get("code", "")[:200], "crumbs": crumbs, "section": "account"}
        return show(request, "account/mail_confirm.html", context)
    if addresses.confirm_address(actor_of(request), request.POST.get("code", "")[:200]):
        messages.success(request, "Your address is confirmed.")
    else:
        messages.error(request, "This link was used already, is too old, or belongs to another person or address.")
    return HttpResponseRedirect("/account/mail/")
