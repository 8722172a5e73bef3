"""The shapes of requests and answers, for the schema and for checking small request bodies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

STATUSES = "one letter, see the status tables"
Plain = serializers.Serializer[Any]


class Strict(Plain):
    """The body of a request: a field that is not understood is an error, never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(map(str, data)) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class Counts(Plain):
    G = serializers.IntegerField(min_value=0)
    Q = serializers.IntegerField(min_value=0)
    I = serializers.IntegerField(min_value=0)  # noqa: E741
    R = serializers.IntegerField(min_value=0)
    E = serializers.IntegerField(min_value=0)
    F = serializers.IntegerField(min_value=0)
    D = serializers.IntegerField(min_value=0)


class Run(Plain):
    id = serializers.IntegerField()
    workflow_id = serializers.IntegerField()
    user = serializers.CharField()
    status = serializers.ChoiceField(["R", "S", "E", "D"])
    executor = serializers.CharField()
    project = serializers.CharField(allow_blank=True)
    stdout = serializers.CharField(allow_blank=True)
    stderr = serializers.CharField(allow_blank=True)
    working_dir = serializers.CharField(allow_blank=True)
    hostname = serializers.CharField(allow_blank=True)
    pid = serializers.IntegerField(allow_null=True)
    resume = serializers.ChoiceField(["cold", "hot"])
    max_concurrently_running = serializers.IntegerField(allow_null=True)
    created_date = serializers.DateTimeField()
    status_date = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    stopping = serializers.ChoiceField(["", "drain", "kill"])
    hold_reason = serializers.CharField(allow_blank=True)
    counts = Counts()
    change_no = serializers.IntegerField()
    page = serializers.URLField()


class Workflow(Plain):
    id = serializers.IntegerField()
    dag_id = serializers.IntegerField()
    workflow_args = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    user = serializers.CharField()
    status = serializers.ChoiceField(["C", "R", "S", "E", "D"])
    created_date = serializers.DateTimeField()
    status_date = serializers.DateTimeField()
    executor = serializers.CharField()
    project = serializers.CharField(allow_blank=True)
    stdout = serializers.CharField(allow_blank=True)
    stderr = serializers.CharField(allow_blank=True)
    working_dir = serializers.CharField(allow_blank=True)
    max_concurrently_running = serializers.IntegerField(allow_null=True)
    attributes = serializers.DictField(child=serializers.CharField(allow_blank=True))
    note = serializers.CharField(allow_blank=True)
    dag_hash = serializers.CharField()
    job_count = serializers.IntegerField()
    edge_count = serializers.IntegerField()
    counts = Counts()
    change_no = serializers.IntegerField()
    latest_run = Run(allow_null=True)
    page = serializers.URLField()
    created = serializers.BooleanField(required=False)


class JobInstance(Plain):
    job_instance_id = serializers.IntegerField()
    job_id = serializers.IntegerField()
    workflow_run_id = serializers.IntegerField()
    attempt = serializers.IntegerField()
    executor_type = serializers.CharField()
    executor_id = serializers.CharField(allow_null=True)
    nodename = serializers.CharField(allow_blank=True)
    process_group_id = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(["I", "B", "R", "E", "D"])
    reason = serializers.ChoiceField(["", "exit", "signal", "memory", "runtime", "lost", "killed", "refused", "void"])
    evidence = serializers.CharField(allow_blank=True)
    exit_code = serializers.IntegerField(allow_null=True)
    signal = serializers.IntegerField(allow_null=True)
    wallclock = serializers.FloatField(allow_null=True)
    maxvmem = serializers.IntegerField(allow_null=True)
    cpu = serializers.FloatField(allow_null=True)
    io = serializers.IntegerField(allow_null=True)
    slots = serializers.IntegerField()
    mem_free = serializers.FloatField()
    max_runtime = serializers.IntegerField(allow_null=True)
    stdout_path = serializers.CharField(allow_blank=True)
    stderr_path = serializers.CharField(allow_blank=True)
    submitted_date = serializers.DateTimeField()
    status_date = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_null=True, allow_blank=True)


class Job(Plain):
    job_id = serializers.IntegerField()
    dag_id = serializers.IntegerField()
    workflow_id = serializers.IntegerField()
    name = serializers.CharField()
    tag = serializers.CharField(allow_blank=True)
    command = serializers.CharField()
    slots = serializers.IntegerField()
    mem_free = serializers.FloatField()
    max_runtime = serializers.IntegerField(allow_null=True)
    num_attempts = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    status = serializers.ChoiceField(["G", "Q", "I", "R", "E", "F", "D"])
    upstreams_left = serializers.IntegerField()
    executor = serializers.CharField(allow_blank=True)
    attributes = serializers.DictField(child=serializers.CharField(allow_blank=True))
    submitted_date = serializers.DateTimeField(allow_null=True)
    status_date = serializers.DateTimeField()
    instances = JobInstance(many=True, required=False)


class FailedAttempt(Plain):
    job_id = serializers.IntegerField()
    job_name = serializers.CharField()
    tag = serializers.CharField(allow_blank=True)
    job_status = serializers.CharField()
    job_instance_id = serializers.IntegerField()
    reason = serializers.CharField()
    exit_code = serializers.IntegerField(allow_null=True)
    error_time = serializers.DateTimeField(allow_null=True)
    description = serializers.CharField(allow_blank=True)
    stderr_tail = serializers.CharField(allow_blank=True)


class WorkflowList(Plain):
    results = Workflow(many=True)
    next = serializers.URLField(allow_null=True)


class JobList(Plain):
    results = Job(many=True)
    next = serializers.URLField(allow_null=True)


class RunList(Plain):
    results = Run(many=True)
    next = serializers.URLField(allow_null=True)


class FailedAttemptList(Plain):
    results = FailedAttempt(many=True)
    next = serializers.URLField(allow_null=True)


class Server(Plain):
    version = serializers.CharField()
    user = serializers.CharField()
    features = serializers.ListField(child=serializers.CharField())
    executors = serializers.ListField(child=serializers.CharField())
    default_executor = serializers.CharField()
    url = serializers.URLField()


class Link(Plain):
    url = serializers.URLField()


class JobInput(Plain):
    name = serializers.CharField()
    command = serializers.CharField()
    tag = serializers.CharField(required=False, allow_blank=True)
    slots = serializers.IntegerField(required=False, min_value=1)
    mem_free = serializers.FloatField(required=False)
    max_attempts = serializers.IntegerField(required=False, min_value=1)
    max_runtime = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    executor = serializers.CharField(required=False, allow_blank=True)
    upstreams = serializers.ListField(required=False, child=serializers.CharField())
    attributes = serializers.DictField(required=False, child=serializers.CharField(allow_blank=True))


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
    fail_fast = serializers.BooleanField(required=False)
    seconds_until_timeout = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    attributes = serializers.DictField(required=False, child=serializers.CharField(allow_blank=True))


class WorkflowInput(WorkflowHeader):
    jobs = JobInput(many=True)


class DraftInput(WorkflowHeader):
    job_count = serializers.IntegerField(required=False, min_value=0)


class DraftAnswer(Plain):
    id = serializers.UUIDField()


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
    max_concurrently_running = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    fail_fast = serializers.BooleanField(required=False)
    seconds_until_timeout = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    tags = serializers.ListField(required=False, child=serializers.CharField(max_length=255), max_length=200)
    job_ids = serializers.ListField(required=False, child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), max_length=10_000)
    error_group = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**63 - 1)
    hostname = serializers.CharField(required=False, allow_blank=True, max_length=255)
    pid = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**31 - 1)


class StopInput(Strict):
    mode = serializers.ChoiceField(["drain", "kill"])


class PlanGroup(Plain):
    tag = serializers.CharField(allow_blank=True)
    what = serializers.CharField()
    jobs = serializers.IntegerField()
    reason = serializers.CharField(allow_blank=True)
    samples = serializers.ListField(child=serializers.CharField())


class Plan(Plain):
    """What an action would do (`dry_run`), or what it has done."""

    sentence = serializers.CharField()
    groups = PlanGroup(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    digest = serializers.CharField()
    dry_run = serializers.BooleanField()
    run_id = serializers.IntegerField(allow_null=True, required=False)


class RerunInput(Strict):
    downstream = serializers.BooleanField(required=False, default=False)


class DoneInput(Strict):
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class LimitsInput(Strict):
    max_concurrently_running = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    tag_limits = serializers.DictField(
        required=False, child=serializers.IntegerField(min_value=1, max_value=2**31 - 1, allow_null=True)
    )


class RequestsInput(Strict):
    """New requests for unfinished jobs."""

    job_ids = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=10_000)
    slots = serializers.IntegerField(required=False, min_value=1, max_value=100_000)
    mem_free = serializers.FloatField(required=False, min_value=0.001, max_value=1_000_000)
    max_runtime = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=316_224_000)
    max_attempts = serializers.IntegerField(required=False, min_value=1, max_value=1000)


class SteeredJobs(Plain):
    changed = serializers.IntegerField()
    skipped = serializers.DictField(child=serializers.CharField())


class JobIdsInput(Strict):
    job_ids = serializers.ListField(child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), min_length=1, max_length=10_000)


class HoldInput(Strict):
    reason = serializers.CharField(max_length=1000)


class NoteInput(Strict):
    note = serializers.CharField(allow_blank=True, max_length=10_000)


class Why(Plain):
    job_id = serializers.IntegerField()
    why = serializers.CharField(allow_blank=True)


class TreeNode(Plain):
    job_id = serializers.IntegerField()
    name = serializers.CharField()
    tag = serializers.CharField(allow_blank=True)
    status = serializers.CharField()
    distance = serializers.IntegerField()


class Tree(Plain):
    nodes = TreeNode(many=True)
    edges = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))
    truncated = serializers.BooleanField()


class GraphNode(Plain):
    name = serializers.CharField()
    job_count = serializers.IntegerField()
    counts = Counts()


class GraphEdge(Plain):
    upstream = serializers.CharField()
    downstream = serializers.CharField()
    job_count = serializers.IntegerField()


class TagGraph(Plain):
    nodes = GraphNode(many=True)
    edges = GraphEdge(many=True)


class ErrorGroup(Plain):
    id = serializers.IntegerField()
    workflow_id = serializers.IntegerField()
    title = serializers.CharField()
    reason = serializers.CharField()
    attempts = serializers.IntegerField()
    jobs_failed = serializers.IntegerField()
    jobs_retrying = serializers.IntegerField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    state = serializers.CharField()
    note = serializers.CharField(allow_blank=True)


class ErrorGroupChange(Strict):
    state = serializers.ChoiceField(["open", "acknowledged", "fixed"], required=False)
    note = serializers.CharField(required=False, allow_blank=True, max_length=10_000)


class ExecutorShape(Plain):
    name = serializers.CharField()
    kind = serializers.CharField()
    polled_at = serializers.DateTimeField(allow_null=True)
    poll_seconds = serializers.FloatField(allow_null=True)
    failure = serializers.CharField(allow_blank=True)
    failures_in_a_row = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())


class ExecutorList(Plain):
    results = ExecutorShape(many=True)


class TokenInput(Strict):
    name = serializers.CharField(max_length=100)
    scope = serializers.ChoiceField(["read", "submit", "operate"], required=False, default="operate")
    days = serializers.IntegerField(required=False, min_value=1, max_value=90, default=30)


class Token(Plain):
    prefix = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_used_from = serializers.CharField(allow_blank=True)


class NewToken(Token):
    token = serializers.CharField()


class TokenList(Plain):
    results = Token(many=True)


class ErrorGroupList(Plain):
    results = ErrorGroup(many=True)
    next = serializers.URLField(allow_null=True)


class ProblemItem(Plain):
    code = serializers.CharField()
    path = serializers.CharField(allow_blank=True)
    job = serializers.CharField(required=False, allow_blank=True)
    detail = serializers.CharField()


class ProblemShape(Plain):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = ProblemItem(many=True, required=False)
    error_count = serializers.IntegerField(required=False)
    kinds = serializers.ListField(required=False, child=serializers.CharField())
    run_id = serializers.IntegerField(required=False)
    left = serializers.IntegerField(required=False)
