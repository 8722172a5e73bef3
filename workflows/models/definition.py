"""What was asked for: the graph, its jobs, and the workflow that names them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from workflows.state_machine import JobStatus, WorkflowStatus

JOB_LETTERS = tuple(status.value for status in JobStatus)
# Of a job that has a live attempt
LIVE_LETTERS = (JobStatus.INSTANTIATED.value, JobStatus.RUNNING.value)
COUNT_FIELDS: dict[JobStatus, str] = {status: f"count_{status.value.lower()}" for status in JobStatus}


class TaskDag(models.Model):
    """One graph of jobs. `dag_hash` does not depend on the order in which tasks were added."""

    dag_id = models.BigAutoField(primary_key=True)
    dag_hash = models.CharField(max_length=64, db_index=True)
    name = models.CharField(max_length=255, blank=True)
    user = models.CharField(max_length=150)
    created_date = models.DateTimeField()
    job_count = models.PositiveIntegerField(default=0)
    edge_count = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "task_dag"

    def __str__(self) -> str:
        return self.name or f"dag {self.dag_id}"


class Workflow(models.Model):
    """A graph together with its arguments: what a person resumes. The row is the mutex of all its parts."""

    dag = models.OneToOneField(TaskDag, on_delete=models.PROTECT, related_name="workflow")
    workflow_args = models.TextField()
    workflow_hash = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    user = models.CharField(max_length=150)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="workflows")
    group = models.ForeignKey(
        "auth.Group", on_delete=models.SET_NULL, null=True, blank=True, related_name="workflows", db_index=False
    )
    group_may_operate = models.BooleanField(default=False, db_default=False)
    status = models.CharField(max_length=1, default=WorkflowStatus.CREATED.value)
    created_date = models.DateTimeField()
    status_date = models.DateTimeField()

    project = models.CharField(max_length=64, blank=True)
    stdout = models.CharField(max_length=1024, blank=True)
    stderr = models.CharField(max_length=1024, blank=True)
    working_dir = models.CharField(max_length=1024, blank=True)
    executor = models.CharField(max_length=64)
    home = models.CharField(max_length=1024, blank=True)
    path = models.TextField(blank=True)
    max_concurrently_running = models.PositiveIntegerField(null=True, blank=True)
    fail_fast = models.BooleanField(default=False)
    seconds_until_timeout = models.PositiveIntegerField(null=True, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    note = models.TextField(blank=True)
    change_no = models.PositiveBigIntegerField(default=1)

    class Meta:
        db_table = "workflow"
        indexes = [
            models.Index(fields=["status", "id"], name="workflow_status_id"),
            models.Index(fields=["owner", "id"], name="workflow_owner_id"),
            models.Index(fields=["group", "id"], name="workflow_group_id"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in WorkflowStatus]), name="workflow_status_known"
            )
        ]

    def __str__(self) -> str:
        return self.name or self.workflow_args


class JobGroup(models.Model):
    """The jobs of one tag (or, without tags, of one stem of names) and how many are in each status."""

    dag = models.ForeignKey(TaskDag, on_delete=models.CASCADE, related_name="groups")
    name = models.CharField(max_length=255)
    is_from_tag = models.BooleanField(default=True)
    rank = models.PositiveIntegerField(default=0)
    jobs = models.PositiveIntegerField(default=0)
    max_concurrently_running = models.PositiveIntegerField(null=True, blank=True)
    count_g = models.IntegerField(default=0)
    count_q = models.IntegerField(default=0)
    count_i = models.IntegerField(default=0)
    count_r = models.IntegerField(default=0)
    count_e = models.IntegerField(default=0)
    count_f = models.IntegerField(default=0)
    count_d = models.IntegerField(default=0)
    count_blocked = models.IntegerField(default=0, db_default=0)  # of those in G; the sweep counts them

    class Meta:
        db_table = "job_group"
        constraints = [models.UniqueConstraint(fields=["dag", "name", "is_from_tag"], name="job_group_once")]

    def __str__(self) -> str:
        return self.name


class Job(models.Model):
    """The (potential) call of a command. `num_attempts` counts the attempts used up since the last resume;
    `upstreams_left` counts the upstreams that are not done, and is 0 for a job that may start; `ready_at` is when it
    became 0 (null: not since this is written down). `blocked_by` is the
    failed job that a waiting one cannot do without, near or far; the sweep writes it."""

    job_id = models.BigAutoField(primary_key=True)
    dag = models.ForeignKey(TaskDag, on_delete=models.CASCADE, related_name="jobs")
    group = models.ForeignKey(JobGroup, on_delete=models.CASCADE, related_name="members", db_index=False)
    job_hash = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    tag = models.CharField(max_length=255, blank=True)
    command = models.TextField()
    slots = models.PositiveIntegerField(default=1)
    mem_free = models.FloatField(default=2.0)
    max_runtime = models.PositiveIntegerField(null=True, blank=True)
    num_attempts = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    status = models.CharField(max_length=1, default=JobStatus.REGISTERED.value)
    submitted_date = models.DateTimeField(null=True, blank=True)
    status_date = models.DateTimeField()

    position = models.PositiveIntegerField(default=0)
    executor = models.CharField(max_length=64, blank=True)
    upstreams_left = models.PositiveIntegerField(default=0)
    ready_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    marked_done_by = models.CharField(max_length=150, blank=True)
    is_in_scope = models.BooleanField(default=True)
    resource_scale = models.FloatField(default=0.5)
    blocked_by = models.BigIntegerField(null=True, blank=True)
    error_group = models.ForeignKey(
        "workflows.ErrorGroup",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="jobs",
        db_index=False,
        db_constraint=False,
    )

    class Meta:
        db_table = "job"
        indexes = [
            models.Index(fields=["dag", "status", "upstreams_left", "job_id"], name="job_ready"),
            models.Index(fields=["group", "status", "upstreams_left", "job_id"], name="job_group_ready"),
            models.Index(fields=["dag", "status_date", "job_id"], name="job_recent"),
            models.Index(fields=["error_group", "status", "job_id"], name="job_error_group"),
            models.Index(fields=["dag", "status", "job_id"], name="job_by_status"),
            models.Index(fields=["group", "status", "job_id"], name="job_by_group"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["dag", "name"], name="job_name_once"),
            models.UniqueConstraint(fields=["dag", "job_hash"], name="job_command_once"),
            models.CheckConstraint(condition=models.Q(status__in=JOB_LETTERS), name="job_status_known"),
            models.CheckConstraint(condition=models.Q(slots__gte=1), name="job_slots_positive"),
            models.CheckConstraint(condition=models.Q(max_attempts__gte=1), name="job_attempts_positive"),
        ]

    def __str__(self) -> str:
        return self.name


class JobEdge(models.Model):
    """`downstream` may start only when `upstream` is done. Ids without constraints: written in bulk, after checking."""

    pk = models.CompositePrimaryKey("upstream_id", "downstream_id")
    upstream = models.ForeignKey(
        Job, on_delete=models.DO_NOTHING, related_name="downstream_edges", db_constraint=False, db_index=False
    )
    downstream = models.ForeignKey(
        Job, on_delete=models.DO_NOTHING, related_name="upstream_edges", db_constraint=False, db_index=False
    )

    class Meta:
        db_table = "job_edge"
        indexes = [models.Index(fields=["downstream", "upstream"], name="job_edge_up")]

    def __str__(self) -> str:
        return f"{self.upstream_id} -> {self.downstream_id}"


class GroupEdge(models.Model):
    """How many edges lead from the jobs of one group to those of another, or of the same. Written with the graph."""

    dag = models.ForeignKey(TaskDag, on_delete=models.CASCADE, related_name="group_edges", db_index=False)
    upstream = models.ForeignKey(JobGroup, on_delete=models.CASCADE, related_name="edges_down", db_index=False)
    downstream = models.ForeignKey(JobGroup, on_delete=models.CASCADE, related_name="edges_up", db_index=False)
    edges = models.PositiveIntegerField()

    class Meta:
        db_table = "group_edge"
        constraints = [models.UniqueConstraint(fields=["dag", "upstream", "downstream"], name="group_edge_once")]

    def __str__(self) -> str:
        return f"{self.upstream_id} -> {self.downstream_id}: {self.edges}"
