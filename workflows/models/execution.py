"""What happened: runs, attempts, their errors and their moves."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from workflows.models.definition import Job, JobGroup, Workflow
from workflows.state_machine import ENDED, LIVE, InstanceStatus, RunStatus

LIVE_LETTERS = sorted(status.value for status in LIVE)
ENDED_LETTERS = sorted(status.value for status in ENDED)


class WorkflowRun(models.Model):
    """One run of a workflow. At most one is live (status R) per workflow, by constraint."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="runs")
    user = models.CharField(max_length=150)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="started_runs")
    hostname = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)
    stderr = models.CharField(max_length=1024, blank=True)
    stdout = models.CharField(max_length=1024, blank=True)
    project = models.CharField(max_length=64, blank=True)
    executor = models.CharField(max_length=64)
    status = models.CharField(max_length=1, default=RunStatus.RUNNING.value)
    created_date = models.DateTimeField()
    status_date = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    resume = models.CharField(max_length=4, default="cold")
    working_dir = models.CharField(max_length=1024, blank=True)
    home = models.CharField(max_length=1024, blank=True)
    path = models.TextField(blank=True)
    max_concurrently_running = models.PositiveIntegerField(null=True, blank=True)

    stopping = models.CharField(max_length=5, blank=True)
    stop_asked_at = models.DateTimeField(null=True, blank=True)
    stop_asked_by = models.CharField(max_length=150, blank=True)
    hold_reason = models.TextField(blank=True)
    held_at = models.DateTimeField(null=True, blank=True)
    submit_failures = models.PositiveIntegerField(default=0)
    backoff_until = models.DateTimeField(null=True, blank=True)

    lease_owner = models.CharField(max_length=64, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0)

    final_counts = models.JSONField(null=True, blank=True)
    tallies = models.JSONField(null=True, blank=True)  # attempts by status and reason, of a large graph; by the sweep
    scope = models.JSONField(null=True, blank=True)

    live_workflow_id = models.GeneratedField(
        expression=models.Case(
            models.When(status=RunStatus.RUNNING.value, then=models.F("workflow_id")), default=models.Value(None)
        ),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )

    class Meta:
        db_table = "workflow_run"
        indexes = [
            models.Index(fields=["status", "id"], name="workflow_run_status_id"),
            models.Index(fields=["ended_at"], name="workflow_run_ended"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["live_workflow_id"], name="one_live_run"),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in RunStatus]), name="workflow_run_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status="R", ended_at__isnull=True)
                | (~models.Q(status="R") & models.Q(ended_at__isnull=False)),
                name="workflow_run_ended_iff_over",
            ),
            models.CheckConstraint(
                condition=models.Q(stopping__in=["", "drain", "kill"]), name="workflow_run_stopping_known"
            ),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of workflow {self.workflow_id}"


class JobInstance(models.Model):
    """One attempt of a job. `reason` says why it ended with anything but success; `evidence` which witness decided."""

    job_instance_id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="instances")
    workflow_run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="instances")
    executor_type = models.CharField(max_length=64)
    executor_id = models.CharField(max_length=64, null=True, blank=True)
    nodename = models.CharField(max_length=255, blank=True)
    process_group_id = models.PositiveIntegerField(null=True, blank=True)
    wallclock = models.FloatField(null=True, blank=True)
    maxvmem = models.PositiveBigIntegerField(null=True, blank=True)
    cpu = models.FloatField(null=True, blank=True)
    io = models.PositiveBigIntegerField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    signal = models.PositiveIntegerField(null=True, blank=True, db_column="exit_signal")  # "signal" is reserved in SQL
    reason = models.CharField(max_length=8, blank=True)
    evidence = models.TextField(blank=True)
    status = models.CharField(max_length=1, default=InstanceStatus.INSTANTIATED.value)
    submitted_date = models.DateTimeField()
    status_date = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    name = models.CharField(max_length=64, unique=True)
    batch = models.CharField(max_length=64, blank=True)
    batch_index = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    slots = models.PositiveIntegerField(default=1)
    mem_free = models.FloatField(default=2.0)
    max_runtime = models.PositiveIntegerField(null=True, blank=True)
    stdout_path = models.CharField(max_length=1400, blank=True)
    stderr_path = models.CharField(max_length=1400, blank=True)

    phase = models.CharField(max_length=8, blank=True)
    phase_message = models.TextField(blank=True)
    absent_since = models.DateTimeField(null=True, blank=True)
    kill_asked_at = models.DateTimeField(null=True, blank=True)
    kill_asked_by = models.CharField(max_length=150, blank=True)
    kill_then = models.CharField(max_length=5, blank=True)

    live_job_id = models.GeneratedField(
        expression=models.Case(
            models.When(status__in=LIVE_LETTERS, then=models.F("job_id")), default=models.Value(None)
        ),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )

    class Meta:
        db_table = "job_instance"
        indexes = [
            models.Index(fields=["workflow_run", "status", "job_instance_id"], name="job_instance_run_status"),
            models.Index(fields=["executor_type", "status", "job_instance_id"], name="job_instance_exec_status"),
            models.Index(fields=["executor_id"], name="job_instance_batch_id"),
            models.Index(fields=["workflow_run", "job", "maxvmem", "wallclock"], name="job_instance_run_use"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["live_job_id"], name="one_live_instance"),
            models.CheckConstraint(
                condition=models.Q(status__in=LIVE_LETTERS + ENDED_LETTERS), name="job_instance_status_known"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=LIVE_LETTERS, ended_at__isnull=True)
                | models.Q(status__in=ENDED_LETTERS, ended_at__isnull=False),
                name="job_instance_ended_iff_over",
            ),
            models.CheckConstraint(
                condition=(models.Q(status="E") & ~models.Q(reason="")) | (~models.Q(status="E") & models.Q(reason="")),
                name="job_instance_error_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class JobInstanceErrorLog(models.Model):
    """Any errors produced by a job instance."""

    job_instance = models.ForeignKey(JobInstance, on_delete=models.CASCADE, related_name="errors")
    error_time = models.DateTimeField()
    description = models.TextField()
    error_group = models.ForeignKey(
        "workflows.ErrorGroup",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="errors",
        db_constraint=False,
    )

    class Meta:
        db_table = "job_instance_error_log"

    def __str__(self) -> str:
        return self.description[:80]


class JobInstanceStatusLog(models.Model):
    """One row per move of an attempt: the source of every timeline."""

    job_instance = models.ForeignKey(JobInstance, on_delete=models.CASCADE, related_name="moves", db_constraint=False)
    status = models.CharField(max_length=1)
    status_time = models.DateTimeField()

    class Meta:
        db_table = "job_instance_status_log"

    def __str__(self) -> str:
        return f"{self.job_instance_id} {self.status}"


class RunMinute(models.Model):
    """What the sweep saw in one minute of a run, per group: `queued` and `running` jobs then, and `ended`, the jobs
    over (done or failed for good) until then. A group without a row had none live; a minute without any row was not
    looked at."""

    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="minutes", db_index=False)
    group = models.ForeignKey(JobGroup, on_delete=models.CASCADE, related_name="minutes", db_index=False)
    minute = models.DateTimeField()
    queued = models.PositiveIntegerField(default=0)
    running = models.PositiveIntegerField(default=0)
    ended = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "run_minute"
        constraints = [models.UniqueConstraint(fields=["run", "minute", "group"], name="run_minute_once")]

    def __str__(self) -> str:
        return f"run {self.run_id} {self.minute:%H:%M}"


class RunUsage(models.Model):
    """What the newest ended attempts of a large run asked for and used, as the sweep last summed it up: of one group,
    or of all (`group` null). `uses` and `cells` are those of `workflows.resource_use`, `attempts` how many were read. `outliers` are
    those of `workflows.outliers`, over all that was ever read of the run; null: by an older version."""

    run = models.ForeignKey(WorkflowRun, on_delete=models.CASCADE, related_name="usage")
    group = models.ForeignKey(
        JobGroup, on_delete=models.CASCADE, related_name="usage", null=True, blank=True, db_index=False
    )
    made_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    uses = models.JSONField(default=list, blank=True)
    cells = models.JSONField(default=list, blank=True)
    outliers = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "run_usage"

    def __str__(self) -> str:
        return f"usage of run {self.run_id}"


class RunForecast(models.Model):
    """When a live run is expected to end, as last worked out: a range and what binds it, or why it is not known."""

    run = models.OneToOneField(WorkflowRun, on_delete=models.CASCADE, related_name="forecast", primary_key=True)
    made_at = models.DateTimeField()
    earliest = models.DateTimeField(null=True, blank=True)
    latest = models.DateTimeField(null=True, blank=True)
    bound_by = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "run_forecast"

    def __str__(self) -> str:
        return f"forecast of run {self.run_id}"
