"""Settings, URLs, the Celery application and the WSGI entry point."""

from jobmon_site.celery import app as celery_app

__all__ = ["celery_app"]
