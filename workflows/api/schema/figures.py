"""The shapes of answers that sum a run up, and of what a search finds."""

from __future__ import annotations

from rest_framework import serializers

from workflows.api.schema.base import Plain


class Bin(Plain):
    at = serializers.DateTimeField()
    queued = serializers.IntegerField(allow_null=True)
    running = serializers.IntegerField(allow_null=True)


class TagSpan(Plain):
    name = serializers.CharField()
    begin = serializers.DateTimeField()
    end = serializers.DateTimeField()


class Band(Plain):
    tag = serializers.CharField(allow_null=True)
    queued = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    running = serializers.ListField(child=serializers.IntegerField(allow_null=True))


class Timeline(Plain):
    run_id = serializers.IntegerField()
    width_seconds = serializers.IntegerField()
    truncated = serializers.BooleanField()
    bins = Bin(many=True)
    bands = Band(many=True)
    tags = TagSpan(many=True)


class Spread(Plain):
    median = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    largest = serializers.FloatField(allow_null=True)


class RequestHint(Plain):
    request = serializers.FloatField(allow_null=True)
    covers = serializers.FloatField()
    saved = serializers.FloatField()
    sentence = serializers.CharField(allow_blank=True)


class TagUse(Plain):
    tag = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    not_measured = serializers.IntegerField()
    memory_asked = serializers.FloatField()
    memory = Spread()
    time_asked = serializers.FloatField(allow_null=True)
    time = Spread()
    unused_gb_hours = serializers.FloatField()
    unused_slot_hours = serializers.FloatField(allow_null=True)
    over_memory = serializers.IntegerField()
    over_time = serializers.IntegerField()
    memory_hint = RequestHint()
    time_hint = RequestHint()


class Outlier(Plain):
    job_id = serializers.IntegerField()
    name = serializers.CharField()
    tag = serializers.CharField()
    kind = serializers.ChoiceField(["memory", "time"])
    used = serializers.FloatField()
    usual = serializers.FloatField()


class RunUse(Plain):
    run_id = serializers.IntegerField()
    attempts = serializers.IntegerField()
    truncated = serializers.BooleanField()
    made_at = serializers.DateTimeField(allow_null=True)
    tags = TagUse(many=True)
    outliers = Outlier(many=True)


class Stall(Plain):
    kind = serializers.CharField()
    why = serializers.CharField()
    since = serializers.DateTimeField()


class Forecast(Plain):
    run_id = serializers.IntegerField()
    made_at = serializers.DateTimeField(allow_null=True)
    earliest = serializers.DateTimeField(allow_null=True)
    latest = serializers.DateTimeField(allow_null=True)
    bound_by = serializers.CharField(allow_blank=True)
    why = serializers.ListField(child=serializers.CharField())
    stall = Stall(allow_null=True)


class FoundWorkflow(Plain):
    id = serializers.IntegerField()
    name = serializers.CharField(allow_blank=True)
    workflow_args = serializers.CharField()
    user = serializers.CharField()
    status = serializers.CharField(max_length=1)
    page = serializers.URLField()


class FoundRun(Plain):
    id = serializers.IntegerField()
    workflow_id = serializers.IntegerField()
    status = serializers.CharField(max_length=1)
    page = serializers.URLField()


class FoundJob(Plain):
    job_id = serializers.IntegerField()
    workflow_id = serializers.IntegerField()
    name = serializers.CharField()
    status = serializers.CharField(max_length=1)
    page = serializers.URLField()


class FoundInstance(Plain):
    job_instance_id = serializers.IntegerField()
    job_id = serializers.IntegerField()
    job_name = serializers.CharField()
    executor_id = serializers.CharField(allow_null=True)
    status = serializers.CharField(max_length=1)
    page = serializers.URLField()


class Hits(Plain):
    workflows = FoundWorkflow(many=True)
    runs = FoundRun(many=True)
    jobs = FoundJob(many=True)
    job_instances = FoundInstance(many=True)


class HostShape(Plain):
    name = serializers.CharField()
    executor = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    failed = serializers.IntegerField()
    share_elsewhere = serializers.FloatField()
    is_bad = serializers.BooleanField()
    is_excluded = serializers.BooleanField()
    reason = serializers.CharField(allow_blank=True)


class HostList(Plain):
    compared = serializers.IntegerField()
    results = HostShape(many=True)
