"""Whose failed sign-ins are counted together, and when they lock: what django-axes does not do by itself."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone

# Behind one address there may be a whole building: it gets so many times what one name gets.
NAMES_OF_AN_ADDRESS = 10


def name_of(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """The name that failures are counted for. A directory takes ALICE for alice: so does the count."""
    given = credentials.get("username") if credentials else request.POST.get("username")
    return unicodedata.normalize("NFKC", str(given or "")).strip().casefold()[:255]


class LockHandler(AxesDatabaseHandler):  # type: ignore[misc]  # the library is not typed
    """Locks a name from an address, as django-axes does, and an address that tries many names."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return bool(super().is_locked(request, credentials)) or _tries_many_names(request)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **more: Any
    ) -> None:
        """Count it, and mark the request of a locked address: the middleware then answers that it is locked."""
        super().user_login_failed(sender, credentials, request, **more)
        if request is not None and _tries_many_names(request):
            request.axes_locked_out = True  # type: ignore[attr-defined]


def _tries_many_names(request: HttpRequest) -> bool:
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    attempts = AccessAttempt.objects.filter(ip_address=request.axes_ip_address, attempt_time__gte=since)  # type: ignore[attr-defined]
    failures = attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0
    return bool(failures >= NAMES_OF_AN_ADDRESS * settings.AXES_FAILURE_LIMIT)
