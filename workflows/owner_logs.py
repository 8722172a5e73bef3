"""Logs that only their owner can read: a page asks, a worker reads as the owner, the page finds the piece.

The one who asks has been checked before, at every request; the message to the worker carries only the row's number, and
what is read is fixed by the row. A lost message costs one more click.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from workflows import bell
from workflows.models import LogPiece
from workflows.transactions import write_transaction

TASK = "workflows.tasks.read_log"
WAIT_SECONDS, LOOK_EVERY = 2.0, 0.05
KEPT, KEPT_END = timedelta(seconds=30), timedelta(seconds=2)
ASK_AGAIN = timedelta(seconds=5)
REMOVED_AFTER = timedelta(seconds=60)
# Pieces that workers are reading, or will: they share their threads with what starts and ends jobs
MOST_OF_ATTEMPT, MOST_WAITING = 3, 12
_pause = threading.Event()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A piece of a log. `offset` -1: the end."""

    instance_id: int
    stream: str
    offset: int
    limit: int


def fetch(wanted: Wanted, wait: float = WAIT_SECONDS) -> LogPiece | None:
    """The piece as it was read a moment ago. None: it has been asked for; look again."""
    found = _find_fresh(wanted)
    if found is not None:
        return found
    number = ask(wanted)
    if number is not None:
        bell.send(TASK, piece_id=number)
    until = time.monotonic() + wait
    while found is None and time.monotonic() < until:
        _pause.wait(LOOK_EVERY)
        found = _find_fresh(wanted)
    return found


def _find_fresh(wanted: Wanted) -> LogPiece | None:
    age = KEPT_END if wanted.offset < 0 else KEPT
    rows = LogPiece.objects.filter(instance_id=wanted.instance_id, stream=wanted.stream, offset=wanted.offset)
    return rows.filter(limit=wanted.limit, read_at__gte=timezone.now() - age).first()


@write_transaction
def ask(wanted: Wanted) -> int | None:
    """The number of the row to ring for; None: somebody has rung for it just now, or too many wait already."""
    now = timezone.now()
    key = {"instance_id": wanted.instance_id, "stream": wanted.stream, "offset": wanted.offset, "limit": wanted.limit}
    row = LogPiece.objects.select_for_update().filter(**key).first()
    if _is_too_much(wanted.instance_id, 0 if row is None else row.pk):
        return None
    if row is None:
        LogPiece.objects.bulk_create([LogPiece(**key, asked_at=now)], ignore_conflicts=True)
        return LogPiece.objects.values_list("pk", flat=True).get(**key)
    if row.read_at is None and row.asked_at > now - ASK_AGAIN:
        return None
    LogPiece.objects.filter(pk=row.pk).update(asked_at=now, read_at=None)
    return row.pk


def _is_too_much(instance_id: int, own_id: int) -> bool:
    """Whether others wait in such numbers, for this attempt or in all, that one more would hold up the workers."""
    waiting = LogPiece.objects.filter(read_at=None, asked_at__gt=timezone.now() - ASK_AGAIN).exclude(pk=own_id)
    attempts = list(waiting.values_list("instance_id", flat=True)[:MOST_WAITING])
    return len(attempts) >= MOST_WAITING or attempts.count(instance_id) >= MOST_OF_ATTEMPT


def find_asked(piece_id: int) -> LogPiece | None:
    """What a worker was rung for, unless it is read or forgotten already."""
    return LogPiece.objects.filter(pk=piece_id, read_at=None).first()


@write_transaction
def answer(piece_id: int, **values: object) -> None:
    """What a worker has read, or why it could not."""
    LogPiece.objects.filter(pk=piece_id).update(read_at=timezone.now(), **values)


@write_transaction
def remove_old() -> None:
    LogPiece.objects.filter(asked_at__lt=timezone.now() - REMOVED_AFTER).delete()
