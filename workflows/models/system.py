"""What the server remembers about itself."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class IdSequence(models.Model):
    """Hands out blocks of ids for bulk inserts, so that children need no read-back of their parents' ids."""

    name = models.CharField(primary_key=True, max_length=32)
    next_id = models.PositiveBigIntegerField(default=1)

    class Meta:
        db_table = "id_sequence"

    def __str__(self) -> str:
        return self.name


class ExecutorState(models.Model):
    """What the last listing of an executor told, and when; pages read this and never ask a batch system."""

    name = models.CharField(primary_key=True, max_length=64)
    kind = models.CharField(max_length=32)
    poll_started_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)
    poll_seconds = models.FloatField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(blank=True)
    failures_in_a_row = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True)
    disbelief_until = models.DateTimeField(null=True, blank=True)
    # At the last listing: our live attempts, and how many it takes by its own number
    live = models.PositiveIntegerField(null=True, blank=True)
    own_max_live = models.PositiveIntegerField(null=True, blank=True)
    # When it may next be asked why attempts wait, and what an administrator may change so that it says more
    reasons_due_at = models.DateTimeField(null=True, blank=True)
    advice = models.CharField(max_length=500, blank=True, default="", db_default="")
    # What people set: how many attempts it holds at once at most (null: the executor's own number), and a hold
    max_live = models.PositiveIntegerField(null=True, blank=True)
    hold_reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    held_at = models.DateTimeField(null=True, blank=True)
    held_by = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        db_table = "executor_state"

    def __str__(self) -> str:
        return self.name


class ExecutorMinute(models.Model):
    """Our attempts with an executor in one minute, at its last listing: running ones, and all others. A minute without
    a row: nobody listed them."""

    executor = models.CharField(max_length=64)
    minute = models.DateTimeField()
    waiting = models.PositiveIntegerField()
    running = models.PositiveIntegerField()

    class Meta:
        db_table = "executor_minute"
        constraints = [models.UniqueConstraint(fields=["executor", "minute"], name="executor_minute_once")]

    def __str__(self) -> str:
        return f"{self.executor} at {self.minute}"


class HostExclusion(models.Model):
    """A host of an executor on which nothing new starts, or no longer: the row stays, so that failures of before a
    readmission do not exclude it again. `changed_by` is empty where the server did it."""

    executor = models.CharField(max_length=64)
    host = models.CharField(max_length=255)
    is_excluded = models.BooleanField(default=True)
    reason = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "host_exclusion"
        constraints = [models.UniqueConstraint(fields=["executor", "host"], name="host_exclusion_once")]

    def __str__(self) -> str:
        return self.host


class Draft(models.Model):
    """A large graph that is still arriving; invisible until it is committed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="drafts")
    created_at = models.DateTimeField(db_index=True)
    header = models.JSONField()
    workflow = models.ForeignKey("workflows.Workflow", on_delete=models.SET_NULL, null=True, blank=True)

    class Meta:
        db_table = "draft"

    def __str__(self) -> str:
        return str(self.id)


class DraftChunk(models.Model):
    """One piece of a draft: the request's body, gzip-compressed; how many jobs that are, and bytes when unpacked."""

    draft = models.ForeignKey(Draft, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    body = models.BinaryField()
    jobs = models.PositiveIntegerField(default=0, db_default=0)
    size = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "draft_chunk"
        constraints = [models.UniqueConstraint(fields=["draft", "number"], name="draft_chunk_once")]

    def __str__(self) -> str:
        return f"{self.draft_id} #{self.number}"


class IdempotencyRecord(models.Model):
    """The answer that a request with this key got; the same request again gets the same answer. `status` is null
    while the first one is still at work."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="idempotency_records")
    key = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_index=True)
    status = models.PositiveIntegerField(null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "idempotency_record"
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key


class SystemState(models.Model):
    """A moment that the server remembers: "sweep" is when the last sweep ended, "worker <name>" when it last heard.
    `facts` is what the sweep found of the machine then."""

    name = models.CharField(primary_key=True, max_length=150)
    at = models.DateTimeField()
    facts = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "system_state"

    def __str__(self) -> str:
        return self.name
