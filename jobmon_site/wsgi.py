"""The WSGI entry point."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from jobmon_site import memory

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobmon_site.settings")

application = get_wsgi_application()


def settle() -> None:
    """Once, before the first request: load all pages, so that what is broken shows now and not at the first click."""
    _ = get_resolver().url_patterns
    memory.settle()
