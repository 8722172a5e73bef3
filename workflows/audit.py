"""Writes audit rows; call it inside the transaction of what it records."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from workflows.actor import Actor
from workflows.models import AuditEntry


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
    AuditEntry.objects.create(
        at=timezone.now(),
        actor=actor.name,
        via=actor.via,
        token_prefix=actor.token_prefix,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        target=target,
        workflow_id=workflow_id,
        before=before or {},
        after=after or {},
        job_count=job_count,
    )
