"""Letter → label, for people who join in SQL. Rows are loaded by migration."""

from __future__ import annotations

from django.db import models


class StatusLabel(models.Model):
    id = models.CharField(primary_key=True, max_length=1)
    label = models.CharField(max_length=32)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.label


class WorkflowStatusLabel(StatusLabel):
    class Meta:
        db_table = "workflow_status"


class WorkflowRunStatusLabel(StatusLabel):
    class Meta:
        db_table = "workflow_run_status"


class JobStatusLabel(StatusLabel):
    class Meta:
        db_table = "job_status"


class JobInstanceStatusLabel(StatusLabel):
    class Meta:
        db_table = "job_instance_status"
