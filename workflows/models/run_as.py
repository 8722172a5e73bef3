"""Who is whom on the machine, and pieces of logs that were read as their owners."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from workflows.models.execution import WorkflowRun


class UnixAccount(models.Model):
    """The Unix account as which a person's jobs run. An administrator says so; nothing derives it from a name."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="unix_account", primary_key=True
    )
    account = models.CharField(max_length=32, unique=True)
    verified_at = models.DateTimeField()
    verified_by = models.CharField(max_length=150)

    class Meta:
        db_table = "unix_account"

    def __str__(self) -> str:
        return f"{self.user_id} is {self.account}"


class RunAccount(models.Model):
    """The account as which all attempts of a run were handed over: it stays, whatever becomes of the mapping."""

    run = models.OneToOneField(WorkflowRun, on_delete=models.CASCADE, related_name="run_account", primary_key=True)
    account = models.CharField(max_length=32)

    class Meta:
        db_table = "run_account"

    def __str__(self) -> str:
        return f"run {self.run_id} as {self.account}"


class LogPiece(models.Model):
    """A piece of an attempt's log: asked for by a page, read by a worker, kept for a minute. `offset` -1: the end."""

    instance_id = models.BigIntegerField()
    stream = models.CharField(max_length=6)
    offset = models.BigIntegerField()
    limit = models.PositiveIntegerField(db_column="piece_limit")
    asked_at = models.DateTimeField(db_index=True)
    read_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=16, blank=True)
    words = models.TextField(blank=True)
    start = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    data = models.BinaryField(default=b"")

    class Meta:
        db_table = "log_piece"
        constraints = [
            models.UniqueConstraint(fields=["instance_id", "stream", "offset", "limit"], name="log_piece_once")
        ]

    def __str__(self) -> str:
        return f"{self.stream} of attempt {self.instance_id} from {self.offset}"
