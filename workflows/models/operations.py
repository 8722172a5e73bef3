"""Actions on many jobs at once: which ones, frozen, and what became of each."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from workflows.models.definition import Workflow

STATES = ("collecting", "draft", "working", "finished", "stopped", "failed")
UNCONFIRMED = ("collecting", "draft")


class Operation(models.Model):
    """One action on the jobs in its items. A large selection is collected first; a draft does nothing until it is
    confirmed. `said` is the selection in words, `options` belong to the action. From where, by which request and
    token: of the draft first, then of its confirmation, which its maker alone can give."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="operations")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="operations")
    action = models.CharField(max_length=16)
    options = models.JSONField(default=dict, blank=True)
    said = models.TextField(blank=True)
    via = models.CharField(max_length=16, default="page")
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=36, blank=True)
    token_prefix = models.CharField(max_length=8, blank=True, default="", db_default="")
    state = models.CharField(max_length=16, default="draft")
    problem = models.TextField(blank=True)
    jobs = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True, blank=True)  # when a collected selection was complete
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    stop_asked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "operation"
        indexes = [models.Index(fields=["state", "created_at"], name="operation_state")]
        constraints = [models.CheckConstraint(condition=models.Q(state__in=STATES), name="operation_state_known")]

    def __str__(self) -> str:
        return f"{self.action} {self.jobs} jobs"


class OperationItem(models.Model):
    """One job of an operation. `outcome`: empty until its turn, then "changed" or "skipped" with the reason."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="items", db_index=False)
    job_id = models.BigIntegerField()
    outcome = models.CharField(max_length=8, default="")
    why = models.CharField(max_length=100, default="")

    class Meta:
        db_table = "operation_item"
        indexes = [models.Index(fields=["operation", "outcome", "job_id"], name="operation_item_next")]

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.outcome}"
