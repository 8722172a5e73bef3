"""Filters that people keep: made on the lists, shared and deleted here."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_http_methods, require_POST

from workflows import saved_filters
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.models import SavedFilter
from workflows.tables import JobTable
from workflows.url_filters import VIEW_NAMES, without_empty
from workflows.views.base import Crumb, page, show, user_of

BACK = "/account/filters/"


def expand(request: HttpRequest, list_name: str) -> HttpResponse | None:
    """`?filter=<slug>` leads to what it stands for, with the filters beside it. One that is not there stays in the
    address, as not understood; so does one beside another value for the same name, which could mean either."""
    slug = request.GET.get("filter")
    found = saved_filters.find(user_of(request), slug, list_name) if slug else None
    if found is None:
        return None
    query, beside = QueryDict(found.query, mutable=True), without_empty(request.GET)
    del beside["filter"]
    for name, values in beside.lists():
        if name in query and name not in VIEW_NAMES and set(query.getlist(name)) != set(values):
            return None
        query.setlist(name, values)
    return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")


def _address(row: SavedFilter) -> str:
    """Where the filter can be opened; those of job tables belong to no single workflow."""
    return f"/workflows/?filter={row.slug}" if row.list_name == "workflows" else ""


@page
@require_http_methods(["GET", "HEAD", "POST"])
def filters(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _save(request)
    user = user_of(request)
    rows = [(row, _address(row)) for row in saved_filters.list_usable(user)]
    context = {
        "mine": [pair for pair in rows if pair[0].owner_id == user.pk],
        "shared": [pair for pair in rows if pair[0].owner_id != user.pk],
        "crumbs": [Crumb("Account", "/account/"), Crumb("Filters")],
        "section": "account",
    }
    return show(request, "account/filters.html", context)


def _save(request: HttpRequest) -> HttpResponse:
    """Back to the list that it was saved on, with its filters."""
    list_name, text = request.POST.get("list", ""), request.POST.get("query", "")[:4000]
    back = _list_path(request)
    try:
        saved = saved_filters.save(user_of(request), list_name, request.POST.get("name", ""), text)
    except saved_filters.NotSaved as error:
        messages.error(request, f"Nothing was saved. {error}")
        return HttpResponseRedirect(f"{back}?{text}" if text else back)
    messages.success(request, f"The filter “{fenced(saved.name)}” is saved; it is a tab of this list now.")
    return HttpResponseRedirect(f"{back}?{saved.query}" if back != BACK else back)


def _list_path(request: HttpRequest) -> str:
    """Of the page with the form. Only an id is taken from the form, so it leads nowhere else."""
    if request.POST.get("list") == "workflows":
        return "/workflows/"
    workflow = read_digits(request.POST.get("workflow", ""))
    return BACK if workflow is None else f"/workflows/{workflow}/jobs/"


@page
@require_POST
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Share, keep to oneself, or delete."""
    user, wanted = user_of(request), request.POST.get("do", "")
    if wanted == "delete":
        is_done, words = saved_filters.delete(user, slug), "The filter is deleted."
    else:
        is_done = wanted in ("share", "unshare") and saved_filters.share(user, slug, wanted == "share")
        words = "Everybody who is signed in may use it." if wanted == "share" else "Only you may use it."
    if is_done:
        messages.success(request, words)
    else:
        messages.error(request, "You have no such filter; nothing was changed.")
    return HttpResponseRedirect(BACK)


@page
@require_POST
def keep_columns(request: HttpRequest) -> HttpResponse:
    """The columns of the job table for this person, in all browsers."""
    names = [name.strip() for name in request.POST.get("cols", "").split(",") if name.strip()]
    unknown = [name for name in names if name not in JobTable.base_columns]
    if unknown:
        messages.error(request, f"There is no column “{fenced(unknown[0][:40])}”; nothing was saved.")
    else:
        chosen = ",".join(dict.fromkeys(names))
        saved_filters.keep_columns(user_of(request), "" if chosen == ",".join(JobTable.DEFAULT) else chosen)
        messages.success(request, "These are your columns now." if names else "You see the usual columns again.")
    return HttpResponseRedirect(_list_path(request))
