"""`/healthz`: does this process answer? `/readyz`: could it do its work now? Words about the why are for staff."""

from __future__ import annotations

from dataclasses import dataclass

from celery import current_app
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from workflows.permissions import is_staff
from workflows.queries import health
from workflows.scheduling import epoch

REDIS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    is_ok: bool
    words: str


def check_database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return Check("database", False, f"does not answer: {error}")
    return Check("database", True, "answers")


def check_redis() -> Check:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": REDIS_SECONDS}
    try:
        with current_app.connection_for_write(transport_options=options) as broker:
            client = getattr(broker.default_channel, "client", None)
            if client is not None:
                client.ping()
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
        return Check("redis", False, f"does not answer ({type(error).__name__}); pages work, runs wait for the sweep")
    return Check("redis", True, "answers")


def queue_depth() -> int | None:
    """Messages that wait for a worker; None if Redis does not answer, or the broker is another one."""
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": REDIS_SECONDS}
    try:
        with current_app.connection_for_write(transport_options=options) as broker:
            client = getattr(broker.default_channel, "client", None)
            return None if client is None else int(client.llen(settings.CELERY_TASK_DEFAULT_QUEUE))
    except Exception:  # noqa: BLE001 - whatever the broker's client raises
        return None


def check_sweep() -> Check:
    try:
        age = health.sweep_age()
    except Error:
        return Check("sweep", False, "not known without the database")
    if age is None:
        return Check("sweep", False, "there was none yet: start a worker and a beat")
    words = f"ended {age:.0f} s ago"
    return (
        Check("sweep", True, words)
        if age <= health.LATE_SECONDS
        else Check("sweep", False, f"{words}: is there a worker and a beat?")
    )


def check_epoch() -> Check:
    """Not for a web process that has no access to the spool: the workers look as well."""
    try:
        is_behind = epoch.is_behind()
    except (Error, OSError):
        return Check("epoch", True, "not known here")
    return Check("epoch", False, epoch.sentence()) if is_behind else Check("epoch", True, "as new as the spool")


def is_for_staff(request: HttpRequest) -> bool:
    """Whether a signed-in member of the staff asks; nobody is, while the sessions cannot be read."""
    try:
        return is_staff(request.user)
    except Error:
        return False


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    checks = [check_database(), check_redis(), check_sweep(), check_epoch()]
    is_ready = all(check.is_ok for check in checks)
    lines = ["ready" if is_ready else "not ready"]
    if is_for_staff(request):
        lines += [f"{check.name}: {check.words}" for check in checks]
    return HttpResponse("\n".join(lines) + "\n", status=200 if is_ready else 503, content_type="text/plain")
