"""Counts and logs every request, names its id in all that is logged meanwhile; finds the address behind a proxy."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from jobmon_site.counters import note_request

logger = logging.getLogger("jobmon.http")


class ObserveMiddleware:
    """Stands right behind the one that gives the request its id. Logs paths, never queries: a code may be in them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begin = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=getattr(request, "request_id", "")):
            response = self.get_response(request)
            facts: dict[str, object] = {"method": request.method, "path": request.path, "status": response.status_code}
            facts["seconds"] = round(time.monotonic() - begin, 4)
            logger.info("request", extra=facts)
        note_request(settings.METRICS_FILE, response.status_code)
        return response


class ProxyAddressMiddleware:
    """Only behind a proxy that always sets X-Forwarded-For (JOBMON_BEHIND_PROXY): the address of the proxy's client, as
    the audit log shows it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if forwarded := request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip():
            request.META["REMOTE_ADDR"] = forwarded[:64]
        return self.get_response(request)
