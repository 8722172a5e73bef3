"""The shapes of answers, for the schema."""

from __future__ import annotations

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from workflows.api.schema.base import Plain


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
    group = serializers.CharField(allow_null=True)
    group_may_operate = serializers.BooleanField()
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


class FileReference(Plain):
    file = serializers.CharField()


class Job(Plain):
    job_id = serializers.IntegerField()
    dag_id = serializers.IntegerField()
    workflow_id = serializers.IntegerField()
    name = serializers.CharField()
    tag = serializers.CharField(allow_blank=True)
    command = serializers.CharField()
    env_variables = serializers.DictField(child=FileReference())
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


class DraftAnswer(Plain):
    id = serializers.UUIDField()


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


class SubmissionPlan(Plan):
    """What submitting a graph would do (`dry_run`)."""

    outcome = serializers.ChoiceField(["new", "resumed", "complete"])
    workflow_id = serializers.IntegerField(allow_null=True)


SubmittedOrPlanned = PolymorphicProxySerializer(
    component_name="SubmittedOrPlanned", serializers=[Workflow, SubmissionPlan], resource_type_field_name=None
)


class SteeredJobs(Plain):
    changed = serializers.IntegerField()
    skipped = serializers.DictField(child=serializers.CharField())


SteeredOrPlanned = PolymorphicProxySerializer(
    component_name="SteeredOrPlanned", serializers=[SteeredJobs, Plan], resource_type_field_name=None
)


class Limits(Plain):
    """What holds now; of the tags only those that the request named."""

    max_concurrently_running = serializers.IntegerField(allow_null=True)
    tag_limits = serializers.DictField(child=serializers.IntegerField(allow_null=True))


LimitsOrPlanned = PolymorphicProxySerializer(
    component_name="LimitsOrPlanned", serializers=[Limits, Plan], resource_type_field_name=None
)


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
    jobs_blocked = serializers.IntegerField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    state = serializers.CharField()
    note = serializers.CharField(allow_blank=True)


class ExecutorShape(Plain):
    name = serializers.CharField()
    kind = serializers.CharField()
    polled_at = serializers.DateTimeField(allow_null=True)
    poll_seconds = serializers.FloatField(allow_null=True)
    failure = serializers.CharField(allow_blank=True)
    failures_in_a_row = serializers.IntegerField()
    counts = serializers.DictField(child=serializers.IntegerField())
    max_live = serializers.IntegerField(allow_null=True)
    hold_reason = serializers.CharField(allow_blank=True)


class HostState(Plain):
    """What was decided about a host of an executor."""

    executor = serializers.CharField()
    name = serializers.CharField()
    is_excluded = serializers.BooleanField()


class ExecutorList(Plain):
    results = ExecutorShape(many=True)


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


class JobInstanceList(Plain):
    results = JobInstance(many=True)
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
    errors = ProblemItem(many=True, required=False)  # type: ignore[assignment]
    error_count = serializers.IntegerField(required=False)
    kinds = serializers.ListField(required=False, child=serializers.CharField())
    run_id = serializers.IntegerField(required=False)
    left = serializers.IntegerField(required=False)
