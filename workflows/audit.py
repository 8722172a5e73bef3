"""Writes audit rows; call `write_audit` inside the transaction of what it records. Rows are never changed or removed:
on MariaDB the server's account may be given INSERT and SELECT only (docs/users.md)."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from workflows.actor import Actor
from workflows.models import AuditEntry
from workflows.transactions import on_commit, write_transaction

logger = logging.getLogger("jobmon.audit")
MOST_VALUES = 20
COPIED = ("at", "actor", "via", "token_prefix", "address", "request_id", "action", "target", "workflow_id", "before", "after",
          "job_count", "result")  # fmt: skip


def write_audit(
    actor: Actor,
    action: str,
    target: str,
    *,
    workflow_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    job_count: int | None = None,
) -> None:
    assert connection.in_atomic_block, "the audit row belongs into the transaction of what it records"
    _insert(
        AuditEntry(
            at=timezone.now(),
            actor=actor.name,
            via=actor.via,
            token_prefix=actor.token_prefix,
            address=actor.address[:64],
            request_id=actor.request_id,
            action=action,
            target=target,
            workflow_id=workflow_id,
            before=before or {},
            after=after or {},
            job_count=job_count,
            result="done",
        )
    )


@write_transaction
def write_event(
    action: str,
    target: str,
    *,
    name: str = "",
    request: HttpRequest | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    result: str = "done",
) -> None:
    """Something that nobody did who is signed in already: a sign-in, an account that a directory made, a repair."""
    meta = {} if request is None else request.META
    _insert(
        AuditEntry(
            at=timezone.now(),
            actor=name[:150],
            via="system" if request is None else "page",
            address=str(meta.get("REMOTE_ADDR", ""))[:64],
            request_id=getattr(request, "request_id", ""),
            action=action,
            target=target[:64],
            before=before or {},
            after=after or {},
            result=result,
        )
    )


def sum_up(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What many had: a field's one value, or the list of the different ones."""
    found: dict[str, set[Any]] = defaultdict(set)
    for row in rows:
        for name, value in row.items():
            found[name].add(value)
    listed = {name: sorted(values, key=lambda value: (value is None, value)) for name, values in found.items()}
    return {name: values[0] if len(values) == 1 else values[:MOST_VALUES] for name, values in listed.items()}


def _insert(entry: AuditEntry) -> None:
    entry.save(force_insert=True)
    on_commit(lambda: logger.info("audit %s", as_line(entry)))


def as_line(entry: AuditEntry) -> str:
    """The row as one line for the log and syslog: JSON in ASCII, so that no stored text can break or fake a line."""
    facts = {name: getattr(entry, name) for name in COPIED}
    return json.dumps(
        {name: value for name, value in facts.items() if value not in ("", None, {})}, default=str
    ).replace("\x7f", "\\u007f")
