"""The same request again gets the same answer: `Idempotency-Key`, unique per user, kept for a day."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.problems import CONTENT_TYPE, Problem, answer
from workflows.models import IdempotencyRecord
from workflows.transactions import write_transaction

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=2)  # by a process of another machine, of which we cannot tell whether it lives
LONGEST_WORK = timedelta(hours=1)
HOST = socket.gethostname()
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def fingerprint(request: Request, body: bytes) -> str:
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    digest.update(body)
    return digest.hexdigest()


def answer_once(
    request: Request, body: bytes, act: Callable[[], Response], kept: Callable[[Response], Response] | None = None
) -> Response:
    """Run `act` for the first request with its key; later ones get what the first one got, or what `kept` makes of it."""
    key = request.headers.get("Idempotency-Key", "")
    if not key or request.method not in METHODS or not isinstance(request.user, User):
        return act()
    if len(key) > 100 or not key.isprintable():
        raise Problem(400, "invalid-request", "Idempotency-Key must be at most 100 printable characters.")
    found = claim(request.user, key, fingerprint(request, body))
    if found is not None:
        return found
    try:
        response = act()
    except BaseException:
        forget(request.user, key)
        raise
    to_keep = kept(response) if kept else response
    remember(request.user, key, to_keep.status_code, to_keep.data)
    return response


def without_secret(response: Response) -> Response:
    """What is kept of an answer that holds a secret."""
    told = "The first request with this Idempotency-Key was carried out; its answer held a secret and is not kept."
    return response if response.status_code >= 300 else answer(409, "answer-not-kept", told)


def claim(user: User, key: str, print_: str) -> Response | None:
    """None if the key is now ours; else the answer that it has got. Raises Problem."""
    try:
        _insert(user, key, print_)
    except IntegrityError:
        return _replay(user, key, print_)
    return None


@write_transaction
def _insert(user: User, key: str, print_: str) -> None:
    now = timezone.now()
    rows = IdempotencyRecord.objects.filter(user=user, key=key)
    rows.filter(created_at__lt=now - KEPT).delete()
    for record in rows.filter(status=None):
        if is_given_up(record.answer, now - record.created_at):
            record.delete()
    at_work = {"host": HOST, "pid": os.getpid()}
    IdempotencyRecord.objects.create(user=user, key=key, fingerprint=print_, created_at=now, answer=at_work)


def is_given_up(at_work: Any, age: timedelta) -> bool:
    """Whether nobody is at work on it any more. Storing half a million jobs takes minutes; to begin it again meanwhile
    would hold the graph in memory twice."""
    is_here = isinstance(at_work, dict) and at_work.get("host") == HOST
    return has_died(at_work) or age > (LONGEST_WORK if is_here else ABANDONED)


def has_died(at_work: Any) -> bool:
    """Whether the process that took a key was one of this machine and is no more: nobody will answer."""
    if not isinstance(at_work, dict) or at_work.get("host") != HOST:
        return False
    return not Path(f"/proc/{at_work.get('pid')}").exists()


def _replay(user: User, key: str, print_: str) -> Response:
    record = IdempotencyRecord.objects.filter(user=user, key=key).first()
    if record is None or record.status is None:
        raise Problem(
            409, "request-in-progress", "The first request with this Idempotency-Key is still at work; ask again."
        )
    if record.fingerprint != print_:
        raise Problem(
            409, "idempotency-key-reused", "This Idempotency-Key was used for another request; make a new one."
        )
    content_type = CONTENT_TYPE if record.status >= 400 else None
    response = Response(record.answer, status=record.status, content_type=content_type)
    response["Idempotent-Replay"] = "true"
    return response


@write_transaction
def remember(user: User, key: str, status: int, answer: Any) -> None:
    IdempotencyRecord.objects.filter(user=user, key=key).update(status=status, answer=answer)


@write_transaction
def forget(user: User, key: str) -> None:
    IdempotencyRecord.objects.filter(user=user, key=key, status=None).delete()
