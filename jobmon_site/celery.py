"""The Celery application: carries bells, nothing else."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_ready

from jobmon_site.readiness import announce_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobmon_site.settings")

app = Celery("jobmon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workflows"])


@worker_ready.connect
def _sweep_at_once(**_: Any) -> None:
    """A worker that comes back does not wait for the next sweep: bells may have been lost while there was none."""
    app.send_task("workflows.tasks.sweep", ignore_result=True, expires=60)
    announce_ready()


@beat_init.connect
def _announce_beat(**_: Any) -> None:
    announce_ready()
