"""Failures that are alike, as a work queue."""

from __future__ import annotations

from django.db import models

from workflows.models.definition import Workflow


class ErrorGroup(models.Model):
    """All failed attempts of one workflow with one fingerprint. `attempts` counts them; jobs name their group."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="error_groups", db_index=False)
    fingerprint = models.CharField(max_length=64)
    title = models.CharField(max_length=255)
    reason = models.CharField(max_length=8)
    attempts = models.PositiveIntegerField(default=0)
    count_blocked = models.PositiveIntegerField(
        default=0, db_default=0
    )  # jobs that wait for its failed ones; the sweep counts them
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    first_run_id = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=12, default="open")
    note = models.TextField(blank=True)
    trend = models.JSONField(null=True, blank=True)  # attempts over time, see workflows.error_counts
    hosts = models.JSONField(null=True, blank=True)  # attempts by host, see workflows.error_counts
    changed_by = models.CharField(max_length=150, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "error_group"
        indexes = [
            models.Index(fields=["fingerprint"], name="error_group_alike"),
            models.Index(fields=["first_seen_at"], name="error_group_first_seen"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "fingerprint"], name="error_group_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["open", "acknowledged", "fixed"]), name="error_group_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.title
