"""Each worker's own row: when it last heard something."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from workflows.models import SystemState
from workflows.queries.health import WORKER
from workflows.transactions import write_transaction

FORGET_AFTER = timedelta(days=1)


@write_transaction
def note_worker(name: str) -> None:
    """It hears. Rows of workers that are long gone go with it."""
    now, key = timezone.now(), f"{WORKER}{name}"[:150]
    if SystemState.objects.filter(name=key).update(at=now) == 0:
        SystemState.objects.filter(name__startswith=WORKER, at__lt=now - FORGET_AFTER).delete()
        SystemState.objects.get_or_create(name=key, defaults={"at": now})
