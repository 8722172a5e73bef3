"""Pages for what went wrong. They need no database and never show a traceback."""

from __future__ import annotations

import json

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

WORDS: dict[int, tuple[str, str]] = {
    400: ("This request was not understood", "A part of the address or of the form is not valid."),
    403: (
        "You may see this, but not do it",
        "Only the owner of a workflow may start and resume it; staff may stop it.",
    ),
    404: (
        "There is no such page",
        "It does not exist, or you may not see it. The search finds things by number or name.",
    ),
    429: ("Too much at once", "Wait a little and try again."),
    500: (
        "Something broke on the server",
        "It is noted there with the request id below. Nothing was changed half-way.",
    ),
    503: ("The server is busy or its database is away", "Runs go on meanwhile. This page tries again by itself."),
}


MAY_NOT_SEE = "This page is not for you"


def _answer(request: HttpRequest, status: int, detail: str = "", title: str = "") -> HttpResponse:
    usual_title, text = WORDS[status]
    title = title or usual_title
    if request.path.startswith("/api/"):
        return _problem(status, title, detail or text)
    context = {"status": status, "title": title, "text": detail or text, "is_error_page": True}
    if status == 503:
        return _without_database(request, context)
    return render(request, "errors/error.html", context, status=status)


def _without_database(request: HttpRequest, context: dict[str, object]) -> HttpResponse:
    """Neither user nor session can be asked now: the page is drawn without them."""
    known = {"request_id": getattr(request, "request_id", ""), "version": settings.VERSION}
    text = render_to_string("errors/error.html", {**context, **known})
    return HttpResponse(text, status=503, headers={"Retry-After": "10", "Cache-Control": "no-store"})


def _problem(status: int, title: str, detail: str) -> HttpResponse:
    codes = {400: "invalid-request", 403: "not-allowed", 404: "not-found", 429: "too-many-requests", 500: "server-error",
             503: "unavailable"}  # fmt: skip
    body = {"type": "about:blank", "title": title, "status": status, "code": codes[status], "detail": detail}
    response = HttpResponse(json.dumps(body), status=status, content_type="application/problem+json")
    if status == 503:
        response["Retry-After"] = "10"
    return response


def too_many(request: HttpRequest, detail: str) -> HttpResponse:
    response = _answer(request, 429, detail)
    response["Retry-After"] = "10"
    return response


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400)


def not_allowed(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """In the words of whoever refused it: who may. Nobody who only looks at a page sees it, and may not act."""
    title = MAY_NOT_SEE if request.method in ("GET", "HEAD") else ""
    return _answer(request, 403, str(exception or ""), title)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, 500)


def unavailable(request: HttpRequest) -> HttpResponse:
    return _answer(request, 503)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    words = "The form was too old, or it came from another site. Go back, reload the page and try again."
    return _answer(request, 403, words, "This form was not accepted")
