"""What people are told by mail, what stands still, and which moment of the database is the newest one."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from workflows.models.execution import WorkflowRun

RUN_ENDS = ("off", "failures", "all")
NOTICE_STATES = ("waiting", "sending", "sent", "unsure", "given-up")
NOTICE_KINDS = ("run-ended", "error-group", "stall")


class MailSettings(models.Model):
    """Where to a person's mail goes and what it may be about. Nothing is sent to an address before its owner has
    followed the link in a first mail; `since` is when the present wishes were made: older events are not told."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mail_settings", primary_key=True
    )
    address = models.EmailField(max_length=254, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    code_hash = models.CharField(max_length=64, blank=True)
    code_wanted_at = models.DateTimeField(null=True, blank=True)
    code_sent_at = models.DateTimeField(null=True, blank=True)
    run_ends = models.CharField(max_length=8, default="failures")
    tells_new_errors = models.BooleanField(default=True)
    tells_stalls = models.BooleanField(default=True)
    since = models.DateTimeField()
    last_mail_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "mail_settings"
        constraints = [
            models.CheckConstraint(condition=models.Q(run_ends__in=RUN_ENDS), name="mail_settings_run_ends_known")
        ]

    def __str__(self) -> str:
        return f"mail of {self.user_id}"


class Notice(models.Model):
    """One event that one person is told of: the outbox. `event` names the event, once per person for ever; `digest`
    the mail that it went into. "unsure": the mail server may have taken it or not, so it is not sent again."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    workflow_id = models.BigIntegerField()
    words = models.CharField(max_length=400)
    path = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=8, default="waiting")
    state_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, blank=True)
    digest = models.CharField(max_length=32, blank=True)
    trouble = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "notice"
        indexes = [models.Index(fields=["state", "user", "id"], name="notice_state_user")]
        constraints = [
            models.UniqueConstraint(fields=["user", "event"], name="notice_once"),
            models.CheckConstraint(condition=models.Q(state__in=NOTICE_STATES), name="notice_state_known"),
            models.CheckConstraint(condition=models.Q(kind__in=NOTICE_KINDS), name="notice_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.event} for {self.user_id}"


class RunStall(models.Model):
    """A live run in which nothing has moved since `since` although something could; the sweep writes and removes it."""

    run = models.OneToOneField(WorkflowRun, on_delete=models.CASCADE, related_name="stall", primary_key=True)
    kind = models.CharField(max_length=16)
    words = models.CharField(max_length=400)
    since = models.DateTimeField()
    noted_at = models.DateTimeField()

    class Meta:
        db_table = "run_stall"

    def __str__(self) -> str:
        return f"run {self.run_id}: {self.kind}"


class DatabaseEpoch(models.Model):
    """How far this database has come: `number` rises with every sweep, and the spool remembers it. A database that is
    behind its spool was restored from a backup. `identity` is the same in both for as long as they belong together."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    identity = models.CharField(max_length=32)
    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        db_table = "database_epoch"

    def __str__(self) -> str:
        return f"{self.identity} {self.number}"
