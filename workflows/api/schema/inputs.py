"""The shapes of requests: for the schema, and to check small bodies."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from workflows.api.schema.base import Plain, Strict
from workflows.operations import ACTIONS


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"file": {"type": "string", "pattern": "^/", "maxLength": 4096}},
                "required": ["file"],
                "additionalProperties": False,
            },
        ]
    }
)
class VariableValue(serializers.JSONField):
    """A variable's value, or the file on the node that holds it."""


class JobInput(Plain):
    name = serializers.CharField()
    command = serializers.CharField()
    tag = serializers.CharField(required=False, allow_blank=True)
    slots = serializers.IntegerField(required=False, min_value=1)
    mem_free = serializers.FloatField(required=False)
    max_attempts = serializers.IntegerField(required=False, min_value=1)
    max_runtime = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    executor = serializers.CharField(required=False, allow_blank=True)
    resource_scale = serializers.FloatField(required=False, min_value=0)
    upstreams = serializers.ListField(required=False, child=serializers.CharField())
    attributes = serializers.DictField(required=False, child=serializers.CharField(allow_blank=True))
    env_variables = serializers.DictField(required=False, allow_null=True, child=VariableValue())


class WorkflowHeader(Plain):
    workflow_args = serializers.CharField()
    name = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    project = serializers.CharField(required=False, allow_blank=True)
    stdout = serializers.CharField(required=False, allow_blank=True)
    stderr = serializers.CharField(required=False, allow_blank=True)
    working_dir = serializers.CharField(required=False, allow_blank=True)
    executor = serializers.CharField(required=False, allow_blank=True)
    home = serializers.CharField(required=False, allow_blank=True)
    path = serializers.CharField(required=False, allow_blank=True)
    max_concurrently_running = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    tag_limits = serializers.DictField(required=False, child=serializers.IntegerField(min_value=1))
    tag_executors = serializers.DictField(required=False, child=serializers.CharField())
    fail_fast = serializers.BooleanField(required=False)
    seconds_until_timeout = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    attributes = serializers.DictField(required=False, child=serializers.CharField(allow_blank=True))
    group = serializers.CharField(required=False, allow_blank=True, max_length=150)
    group_may_operate = serializers.BooleanField(required=False)


class WorkflowInput(WorkflowHeader):
    jobs = JobInput(many=True)


class DraftInput(WorkflowHeader):
    job_count = serializers.IntegerField(required=False, min_value=0)


class ChunkInput(Plain):
    jobs = JobInput(many=True)


class RunInput(Strict):
    """How to run; what is left out is taken from the workflow."""

    resume = serializers.ChoiceField(["cold", "hot"], required=False, default="cold")
    executor = serializers.CharField(required=False, max_length=64)
    project = serializers.CharField(required=False, allow_blank=True, max_length=64)
    stdout = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    stderr = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    working_dir = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    home = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    path = serializers.CharField(required=False, allow_blank=True, max_length=32000)
    max_concurrently_running = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**31 - 1
    )
    fail_fast = serializers.BooleanField(required=False)
    seconds_until_timeout = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    tags = serializers.ListField(required=False, child=serializers.CharField(max_length=255), max_length=200)
    job_ids = serializers.ListField(
        required=False, child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), max_length=10_000
    )
    error_group = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**63 - 1)
    hostname = serializers.CharField(required=False, allow_blank=True, max_length=255)
    pid = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**31 - 1)


class StopInput(Strict):
    mode = serializers.ChoiceField(["drain", "kill"])


class RerunInput(Strict):
    downstream = serializers.BooleanField(required=False, default=False)


class DoneInput(Strict):
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class LimitsInput(Strict):
    max_concurrently_running = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**31 - 1
    )
    tag_limits = serializers.DictField(
        required=False, child=serializers.IntegerField(min_value=1, max_value=2**31 - 1, allow_null=True)
    )


class RequestsInput(Strict):
    """New requests for unfinished jobs."""

    job_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=10_000
    )
    slots = serializers.IntegerField(required=False, min_value=1, max_value=100_000)
    mem_free = serializers.FloatField(required=False, min_value=0.001, max_value=1_000_000)
    max_runtime = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=316_224_000)
    max_attempts = serializers.IntegerField(required=False, min_value=1, max_value=1000)


class JobIdsInput(Strict):
    job_ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=10_000
    )


class HoldInput(Strict):
    reason = serializers.CharField(max_length=1000)


class NoteInput(Strict):
    note = serializers.CharField(allow_blank=True, max_length=10_000)


class SharingInput(Strict):
    """With whom a workflow is shared; null: with nobody."""

    group = serializers.CharField(allow_null=True, max_length=150)
    group_may_operate = serializers.BooleanField(required=False, default=False)


class ErrorGroupChange(Strict):
    state = serializers.ChoiceField(["open", "acknowledged", "fixed"], required=False)
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class TokenInput(Strict):
    name = serializers.CharField(max_length=100)
    scope = serializers.ChoiceField(["read", "submit", "operate"], required=False, default="operate")
    days = serializers.IntegerField(required=False, min_value=1, max_value=90, default=30)
    password = serializers.CharField(required=False, max_length=4096, trim_whitespace=False)


class OperationInput(Strict):
    """Which jobs, by the filters of the job list (`{"status": ["F"], "tag": ["fit"]}`) or by their ids."""

    action = serializers.ChoiceField(list(ACTIONS))
    filters = serializers.DictField(
        required=False, child=serializers.ListField(child=serializers.CharField(max_length=1000), max_length=50)
    )
    job_ids = serializers.ListField(
        required=False,
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=1,
        max_length=10_000,
    )


class OperationConfirmation(Strict):
    """`then` for kill, `note` for done, the others for requests."""

    then = serializers.ChoiceField(["retry", "fail"], required=False)
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)
    slots = serializers.IntegerField(required=False, min_value=1, max_value=100_000)
    mem_free = serializers.FloatField(required=False, min_value=0.001, max_value=1_000_000)
    max_runtime = serializers.IntegerField(required=False, min_value=1, max_value=316_224_000)
    max_attempts = serializers.IntegerField(required=False, min_value=1, max_value=1000)


class HoldChange(Strict):
    """Why it is held; empty: it is released."""

    reason = serializers.CharField(allow_blank=True, max_length=500)


class ExecutorLimit(Strict):
    max_live = serializers.IntegerField(allow_null=True, min_value=1, max_value=1_000_000)


class HostChange(Strict):
    is_excluded = serializers.BooleanField()
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")
