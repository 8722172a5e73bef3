"""What all pages share: who may come in, the reader's zone, live fragments, and the frame's words."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache

from workflows.actor import Actor
from workflows.markup import make_unseen_seen
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
    """The page's poll: its own URL with the change number; 0 seconds ends it."""

    url: str
    seconds: int


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
            return render(request, "errors/too_wide.html", {"is_error_page": True}, status=503)

    return run


def page(view: View[P]) -> View[P]:
    """A page for signed-in people, never cached by others, in the reader's zone, within the time for reads."""
    return never_cache(login_required(in_zone(in_time(view))))


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


def is_unchanged(request: HttpRequest, change_no: int | None) -> bool:
    """Whether the poll already shows this state. Checked before anything else is read."""
    return is_fragment(request) and request.GET.get("v") == str(change_no)


def nothing_new() -> HttpResponse:
    response = HttpResponse(status=204)
    patch_vary_headers(response, ["HX-Request"])
    return response


def poll(request: HttpRequest, change_no: int, seconds: int) -> Live:
    query = request.GET.copy()
    query["v"] = str(change_no)
    return Live(f"{request.path}?{query.urlencode()}", seconds)


def show(
    request: HttpRequest, template: str, context: dict[str, Any], *, fragment: str = "", status: int = 200
) -> HttpResponse:
    """The page, or for a poll the fragment of it that is live."""
    name = fragment if fragment and is_fragment(request) else template
    response = render(request, name, context, status=status)
    response.content = make_unseen_seen(response.content)
    patch_vary_headers(response, ["HX-Request", "Cookie"])
    return response


def per_page(query: QueryDict, default: int) -> int:
    text = query.get("per_page", "")
    return max(1, min(int(text), MOST_PER_PAGE)) if text.isdigit() and len(text) < 6 else default


def query_without(query: QueryDict, *names: str) -> str:
    copy = query.copy()
    for name in ("after", "before", "v", *names):
        copy.pop(name, None)
    return copy.urlencode()
