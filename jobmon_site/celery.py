"""The Celery application: carries bells, nothing else."""

from __future__ import annotations

import os
from typing import Any

import structlog
from celery import Celery
from celery.signals import beat_init, task_postrun, task_prerun, worker_ready, worker_shutdown
from django.conf import settings

from jobmon_site import memory
from jobmon_site.counters import note_task
from jobmon_site.hearing import Hearing
from jobmon_site.readiness import announce_ready
from workflows import bell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobmon_site.settings")

app = Celery("jobmon")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workflows"])


_hearing = Hearing(app)


@worker_ready.connect
def _sweep_at_once(sender: Any, **_: Any) -> None:
    """A worker that comes back does not wait for the next sweep: bells may have been lost while there was none. The
    broker may be gone again by now: that bell comes last, and can be lost."""
    memory.settle()
    _hearing.start(sender.hostname)
    announce_ready()
    bell.send("workflows.tasks.sweep")


@worker_shutdown.connect
def _stop_hearing(**_: Any) -> None:
    _hearing.stop()


@beat_init.connect
def _announce_beat(**_: Any) -> None:
    announce_ready()


@task_prerun.connect
def _begin_task(task_id: str, task: Any, kwargs: dict[str, Any], **_: Any) -> None:
    """What is logged meanwhile names the run, the executor or the operation that the task is about."""
    structlog.contextvars.bind_contextvars(task_id=task_id, **kwargs)
    _hearing.begin_task(task_id, task.name, is_heard=not task.request.is_eager)


@task_postrun.connect
def _end_task(task_id: str, task: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    note_task(settings.METRICS_FILE, task.name.rpartition(".")[2], _hearing.end_task(task_id))
