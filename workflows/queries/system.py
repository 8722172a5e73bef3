"""Reads of what is written in the audit log."""

from __future__ import annotations

from django.db.models import QuerySet

from workflows.models import AuditEntry


def audit_entries(workflow_id: int | None = None) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.all()
    return entries if workflow_id is None else entries.filter(workflow_id=workflow_id)
