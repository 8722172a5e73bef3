"""What each executor held, minute by minute, for the last day: the poller writes it, its page draws it."""

from __future__ import annotations

from datetime import datetime, timedelta

from workflows.models import ExecutorMinute
from workflows.transactions import write_transaction

KEPT = timedelta(hours=25)


def note_minute(executor: str, now: datetime, waiting: int, running: int) -> None:
    """The last listing of a minute stands for it. Belongs into the transaction that notes the listing."""
    values = {"waiting": waiting, "running": running}
    minute = now.replace(second=0, microsecond=0)
    if not ExecutorMinute.objects.filter(executor=executor, minute=minute).update(**values):
        row = ExecutorMinute(executor=executor, minute=minute, **values)
        ExecutorMinute.objects.bulk_create([row], ignore_conflicts=True)


def forget_minutes(now: datetime) -> None:
    old = ExecutorMinute.objects.filter(minute__lt=now - KEPT)
    if old.exists():
        _remove(now - KEPT)


@write_transaction
def _remove(before: datetime) -> None:
    ExecutorMinute.objects.filter(minute__lt=before).delete()
