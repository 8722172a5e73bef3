"""Who may come in, and what they did."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ApiToken(models.Model):
    """A token of a script. Only the hash of its secret is stored; `prefix` finds the row."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=8, unique=True)
    secret_hash = models.CharField(max_length=64)
    scope = models.CharField(max_length=8, default="operate")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, blank=True)

    class Meta:
        db_table = "api_token"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scope__in=["read", "submit", "operate"]), name="api_token_scope_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class SignInLink(models.Model):
    """A one-time link that signs a browser in (embedded mode)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_in_links")
    code_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "sign_in_link"

    def __str__(self) -> str:
        return f"sign-in link of {self.user_id}"


class ExternalIdentity(models.Model):
    """Who a person is at an identity provider: its `iss` and `sub`, never an e-mail address or a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="external_identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "external_identity"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="external_identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class AuditEntry(models.Model):
    """Append-only: who changed what, by which way, from where."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=150)
    via = models.CharField(max_length=16)
    token_prefix = models.CharField(max_length=8, blank=True)
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=36, blank=True)
    action = models.CharField(max_length=64)
    workflow_id = models.BigIntegerField(null=True, blank=True)
    target = models.CharField(max_length=64)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    job_count = models.PositiveIntegerField(null=True, blank=True)
    result = models.CharField(max_length=16, blank=True, default="", db_default="")

    class Meta:
        db_table = "audit_entry"
        indexes = [
            models.Index(fields=["at", "id"], name="audit_at"),
            models.Index(fields=["workflow_id", "id"], name="audit_workflow"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
