"""What the sweep does every half minute: finds the runs to look at, and tidies up."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from workflows.models import Draft, WorkflowRun
from workflows.state_machine import RunStatus
from workflows.transactions import write_transaction

DRAFT_LIFE = timedelta(hours=24)


def sweep() -> list[int]:
    """The ids of all live runs."""
    if Draft.objects.filter(created_at__lt=timezone.now() - DRAFT_LIFE).exists():
        remove_old_drafts()
    return list(WorkflowRun.objects.filter(status=RunStatus.RUNNING.value).values_list("pk", flat=True))


@write_transaction
def remove_old_drafts() -> None:
    Draft.objects.filter(created_at__lt=timezone.now() - DRAFT_LIFE).delete()
