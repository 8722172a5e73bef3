"""Each worker's own row: when it last heard something."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from workflows.models import SystemState
from workflows.transactions import write_transaction

PREFIX = "worker "
FORGET_AFTER = timedelta(days=1)


@write_transaction
def note_worker(name: str) -> None:
    """It hears. Rows of workers that are long gone go with it."""
    now, key = timezone.now(), f"{PREFIX}{name}"[:150]
    if SystemState.objects.filter(name=key).update(at=now) == 0:
        SystemState.objects.filter(name__startswith=PREFIX, at__lt=now - FORGET_AFTER).delete()
        SystemState.objects.get_or_create(name=key, defaults={"at": now})


def read_workers() -> dict[str, datetime]:
    """Name → when it last heard something."""
    rows = SystemState.objects.filter(name__startswith=PREFIX).values_list("name", "at")
    return {name.removeprefix(PREFIX): at for name, at in rows}
