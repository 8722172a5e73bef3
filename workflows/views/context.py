"""What the frame of every page shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from workflows.views.base import KEYS_COOKIE, PATTERNS_COOKIE, THEME_COOKIE, THEMES, frame_of, zone_of


def theme_of(request: HttpRequest) -> str:
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


def _server_url(request: HttpRequest) -> str:
    """Empty where the host is none of ours: the page that says so must not fail in turn."""
    try:
        return f"{request.scheme}://{request.get_host()}" if request.META.get("HTTP_HOST") else ""
    except DisallowedHost:
        return ""


def site(request: HttpRequest) -> dict[str, Any]:
    """Nothing is read before the frame asks: fragments and error pages cost no query."""
    zone = zone_of(request)
    return {
        "version": settings.VERSION,
        "is_embedded": settings.IS_EMBEDDED,
        "runs_as_service": settings.RUN_AS == "service",
        "request_id": getattr(request, "request_id", ""),
        "now": timezone.now(),
        "zone_name": zone.key if zone else "UTC",
        "theme": theme_of(request),
        "keys": request.COOKIES.get(KEYS_COOKIE, "on"),
        "patterns": request.COOKIES.get(PATTERNS_COOKIE, "off"),
        "frame": SimpleLazyObject(lambda: frame_of(request)),
        "server_url": _server_url(request),
    }
