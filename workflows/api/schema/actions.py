"""The shapes of what tells of actions: operations on many jobs, and the audit log."""

from __future__ import annotations

from rest_framework import serializers

from workflows.api.schema.answers import PlanGroup
from workflows.api.schema.base import Plain


class OperationPlan(Plain):
    """What was frozen, by tag."""

    sentence = serializers.CharField()
    groups = PlanGroup(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    digest = serializers.CharField()


class Operation(Plain):
    id = serializers.UUIDField()
    workflow_id = serializers.IntegerField()
    user = serializers.CharField()
    via = serializers.CharField()
    action = serializers.CharField()
    said = serializers.CharField()
    state = serializers.ChoiceField(["collecting", "draft", "expired", "working", "finished", "stopped", "failed"])
    jobs = serializers.IntegerField()
    changed = serializers.IntegerField()
    skipped = serializers.IntegerField()
    problem = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    confirmed_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    plan = OperationPlan(allow_null=True)
    page = serializers.URLField()


class OperationList(Plain):
    results = Operation(many=True)
    next = serializers.URLField(allow_null=True)


class Outcome(Plain):
    job_id = serializers.IntegerField()
    name = serializers.CharField(allow_blank=True)
    outcome = serializers.ChoiceField(["waiting", "changed", "skipped"])
    why = serializers.CharField(allow_blank=True)


class OutcomeList(Plain):
    results = Outcome(many=True)
    next = serializers.URLField(allow_null=True)


class AuditEntry(Plain):
    """Who changed what; `before` and `after` hold what differs."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    via = serializers.CharField()
    token_prefix = serializers.CharField(allow_blank=True)
    request_id = serializers.CharField(allow_blank=True)
    action = serializers.CharField()
    workflow_id = serializers.IntegerField(allow_null=True)
    target = serializers.CharField(allow_blank=True)
    before = serializers.DictField(child=serializers.JSONField(allow_null=True))
    after = serializers.DictField(child=serializers.JSONField(allow_null=True))
    job_count = serializers.IntegerField(allow_null=True)
    result = serializers.CharField(allow_blank=True)


class AuditList(Plain):
    results = AuditEntry(many=True)
    next = serializers.URLField(allow_null=True)
