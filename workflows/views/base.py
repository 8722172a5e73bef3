"""What all pages share: who may come in, the reader's zone, live fragments, and the frame's words."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache

from workflows.actor import Actor
from workflows.digits import read_digits
from workflows.queries.frame import Frame, read_frame
from workflows.queries.limits import READ_SECONDS, TooSlow, read_limit

P = ParamSpec("P")
T = TypeVar("T")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
ZONE_COOKIE, THEME_COOKIE, KEYS_COOKIE, PATTERNS_COOKIE = (
    "jobmon_zone", "jobmon_theme", "jobmon_keys", "jobmon_patterns",
)  # fmt: skip
THEMES = ("auto", "light", "dark")
MOST_PER_PAGE = 200
MOST_ASKED = 20
PLACE_IN_LIST = ("after", "before", "v", "export")


@dataclass(frozen=True, slots=True)
class Crumb:
    label: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The same view for the terminal: a `jobmon` command ('' if none fits) and a path of the API ('' if none)."""

    cli: str = ""
    api: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """The page's poll: its own URL with the change number; 0 seconds ends it. `reloads`: without script the page comes
    anew by itself, which would take away what is typed into a form."""

    url: str
    seconds: int
    reloads: bool = True


def zone_of(request: HttpRequest) -> zoneinfo.ZoneInfo | None:
    """The zone that the reader chose; None for UTC or a name that no longer exists."""
    name = request.COOKIES.get(ZONE_COOKIE, "")
    try:
        return zoneinfo.ZoneInfo(name) if name else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None


def in_zone(view: View[P]) -> View[P]:
    @functools.wraps(view)
    def run(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        with timezone.override(zone_of(request)):
            return view(request, *args, **kwargs)

    return run


def in_time(view: View[P]) -> View[P]:
    """A read that takes too long is given up, and said so; whatever changes something has all its time."""

    @functools.wraps(view)
    def run(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return view(request, *args, **kwargs)
        try:
            with read_limit(READ_SECONDS):
                return view(request, *args, **kwargs)
        except TooSlow:
            context = {"is_error_page": True, "asked": what_is_asked(request)}
            return render(request, "errors/too_wide.html", context, status=503)

    return run


def for_signed_in(view: View[P]) -> View[P]:
    """Strangers are led to the sign-in; a poll is only told so, and what somebody is reading stays on the screen."""
    shown = login_required(view)

    @functools.wraps(view)
    def run(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if is_fragment(request) and not request.user.is_authenticated:
            return HttpResponse(status=401)
        return shown(request, *args, **kwargs)

    return run


def what_is_asked(request: HttpRequest) -> list[tuple[str, str, str]]:
    """(filter, value, the same address without it), for a page that could not be drawn."""
    query = [(name, value) for name, values in request.GET.lists() for value in values if name not in PLACE_IN_LIST]
    found = []
    for number, (name, value) in enumerate(query):
        rest = urlencode(query[:number] + query[number + 1 :])
        found.append((name, value[:100], f"{request.path}?{rest}"))
    return found[:MOST_ASKED]


def page(view: View[P]) -> View[P]:
    """A page for signed-in people, never cached by others, in the reader's zone, within the time for reads."""
    return never_cache(for_signed_in(in_zone(in_time(view))))


def user_of(request: HttpRequest) -> User:
    """The signed-in person of a view behind `page`."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def frame_of(request: HttpRequest) -> Frame:
    """What surrounds the page for this person, read once per request. Strangers and errors get none."""
    found: Frame | None = getattr(request, "_frame", None)
    if found is None:
        user = getattr(request, "user", None)
        found = read_frame(user.pk) if isinstance(user, User) and user.is_authenticated else Frame()
        request._frame = found  # type: ignore[attr-defined]
    return found


def actor_of(request: HttpRequest) -> Actor:
    return Actor(
        user=user_of(request),
        via="page",
        address=request.META.get("REMOTE_ADDR", ""),
        request_id=getattr(request, "request_id", ""),
    )


def found(thing: T | None) -> T:
    """The thing, or 404: what a person may not see does not exist for this person."""
    if thing is None:
        raise Http404
    return thing


def is_fragment(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False)) and not getattr(request.htmx, "boosted", False)  # type: ignore[attr-defined]


def is_unchanged(request: HttpRequest, version: int | str | None) -> bool:
    """Whether the poll already shows this state. Checked before anything else is read."""
    return is_fragment(request) and request.GET.get("v") == str(version)


def nothing_new() -> HttpResponse:
    response = HttpResponse(status=204)
    patch_vary_headers(response, ["HX-Request"])
    return response


def poll(request: HttpRequest, version: int | str, seconds: int, *, reloads: bool = True) -> Live:
    query = request.GET.copy()
    query["v"] = str(version)
    return Live(f"{request.path}?{query.urlencode()}", seconds, reloads)


def show(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragment: str = "", status: int = 200
) -> HttpResponse:
    """The page, or for a poll the fragment of it that is live: a template of its own, or the page without its frame
    where it extends `layout`."""
    is_part = is_fragment(request) and "live" in context
    layout = "fragment.html" if is_part else "base.html"
    response = render(
        request, fragment if fragment and is_part else template, {**context, "layout": layout}, status=status
    )
    patch_vary_headers(response, ["HX-Request", "Cookie"])
    return response


def per_page(query: QueryDict, default: int) -> int:
    asked = read_digits(query.get("per_page", ""), 5)
    return default if asked is None else max(1, min(asked, MOST_PER_PAGE))


def query_without(query: QueryDict, *names: str) -> str:
    copy = query.copy()
    for name in ("after", "before", "v", *names):
        copy.pop(name, None)
    return copy.urlencode()
