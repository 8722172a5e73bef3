"""The queries behind the invariants: each answers (about which object, what is wrong). None changes anything, and none
loads a whole table into memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

from django.db.models import Count, Exists, F, Min, Model, OuterRef, Q, QuerySet, Subquery

from workflows.models import (
    AuditEntry,
    Job,
    JobEdge,
    JobGroup,
    JobInstance,
    JobInstanceStatusLog,
    TaskDag,
    Workflow,
    WorkflowRun,
)
from workflows.models.definition import COUNT_FIELDS
from workflows.models.execution import ENDED_LETTERS, LIVE_LETTERS
from workflows.state_machine import USES_ATTEMPT, InstanceStatus, JobStatus, RunStatus, WorkflowStatus, rises

# A person may have what is done run again; the audit log then says so, and a job may have succeeded more than once.
RUN_AGAIN = Q(action__contains="reset") | Q(action__contains="rerun") | Q(action__contains="retry")
MARKED_DONE = Q(action__contains="mark-done")
REQUESTS_CHANGED = Q(action__contains="change")

Found = Iterator[tuple[str, str]]


def _name_job(job: Job) -> str:
    return f"job {job.pk} ({job.name})"


def _jobs() -> QuerySet[Job]:
    return Job.objects.order_by("pk").only("job_id", "name", "status", "upstreams_left", "num_attempts", "max_attempts")


def _instances_of(outer: str = "pk") -> QuerySet[JobInstance]:
    return JobInstance.objects.filter(job_id=OuterRef(outer))


def _live_of(outer: str = "pk") -> QuerySet[JobInstance]:
    """By the unique index of live attempts."""
    return JobInstance.objects.filter(live_job_id=OuterRef(outer))


def _audit_of(outer: str, action: Q) -> Exists:
    return Exists(AuditEntry.objects.filter(action, workflow_id=OuterRef(outer)))


def _stream(queryset: QuerySet[Job]) -> Iterator[Job]:
    return queryset.iterator(chunk_size=2000)


# done-once


def done_without_success() -> Found:
    success = Exists(_instances_of().filter(status=InstanceStatus.DONE))
    for job in _stream(_jobs().filter(~success, status=JobStatus.DONE, marked_done_by="")):
        yield _name_job(job), "is D, but no attempt of it is D and nobody marked it done"


def success_without_done() -> Found:
    success = Exists(_instances_of().filter(status=InstanceStatus.DONE))
    jobs = _jobs().filter(success, ~_audit_of("dag__workflow", RUN_AGAIN)).exclude(status=JobStatus.DONE)
    for job in _stream(jobs):
        yield _name_job(job), f"is {job.status}, but an attempt of it is D"


def several_successes() -> Found:
    rows = JobInstance.objects.filter(~_audit_of("job__dag__workflow", RUN_AGAIN), status=InstanceStatus.DONE)
    for job_id, count in rows.values_list("job_id").annotate(n=Count("pk")).filter(n__gt=1).order_by("job_id"):
        yield f"job {job_id}", f"succeeded {count} times"


# one-live


def several_live() -> Found:
    rows = JobInstance.objects.filter(status__in=LIVE_LETTERS).values_list("job_id")
    for job_id, count in rows.annotate(n=Count("pk")).filter(n__gt=1).order_by("job_id"):
        yield f"job {job_id}", f"has {count} live attempts"


def several_live_runs() -> Found:
    rows = WorkflowRun.objects.filter(status=RunStatus.RUNNING).values_list("workflow_id")
    for workflow_id, count in rows.annotate(n=Count("pk")).filter(n__gt=1).order_by("workflow_id"):
        yield f"workflow {workflow_id}", f"has {count} live runs"


# job-follows-instance


def job_against_instance() -> Found:
    submitted = Q(status__in=[InstanceStatus.INSTANTIATED, InstanceStatus.SUBMITTED])
    agrees = (submitted & Q(job__status=JobStatus.INSTANTIATED)) | (
        Q(status=InstanceStatus.RUNNING) & Q(job__status=JobStatus.RUNNING)
    )
    rows = JobInstance.objects.filter(status__in=LIVE_LETTERS).exclude(agrees).order_by("pk")
    for job_id, job_status, pk, status in rows.values_list("job_id", "job__status", "pk", "status"):
        yield f"job {job_id}", f"is {job_status}, but its attempt {pk} is {status}"


def job_without_instance() -> Found:
    live = (JobStatus.INSTANTIATED, JobStatus.RUNNING)
    for job in _stream(_jobs().filter(~Exists(_live_of()), status__in=live)):
        yield _name_job(job), f"is {job.status}, but has no live attempt"


# order


def done_before_upstream() -> Found:
    """A person may have a done job run again, or may mark done what waits: only what never was done counts."""
    was_done = Exists(_instances_of("upstream_id").filter(status=InstanceStatus.DONE))
    edges = JobEdge.objects.filter(~was_done, downstream__status=JobStatus.DONE, downstream__marked_done_by="")
    edges = edges.filter(~_audit_of("upstream__dag__workflow", MARKED_DONE), upstream__marked_done_by="")
    rows = edges.exclude(upstream__status=JobStatus.DONE).order_by("downstream_id", "upstream_id")
    for down, up, status in rows.values_list("downstream_id", "upstream_id", "upstream__status"):
        yield f"job {down}", f"is D, but its upstream {up} is {status} and never was done"


def started_before_upstream() -> Found:
    """By the numbers of the log's rows, which are written under the workflow's lock: a clock that was set means nothing."""
    marked = _audit_of("upstream__dag__workflow", MARKED_DONE)
    edges = JobEdge.objects.filter(~marked, upstream__marked_done_by="").annotate(
        intended=Min("downstream__instances__moves__pk", filter=Q(downstream__instances__moves__status="I")),
        done=Min("upstream__instances__moves__pk", filter=Q(upstream__instances__moves__status="D")),
    )
    early = edges.filter(intended__isnull=False).filter(Q(done=None) | Q(intended__lt=F("done")))
    for down, up in early.order_by("downstream_id", "upstream_id").values_list("downstream_id", "upstream_id"):
        yield f"job {down}", f"was started before its upstream {up} was done"


# readiness


def upstreams_left() -> Found:
    left = Count("upstream_edges", filter=~Q(upstream_edges__upstream__status=JobStatus.DONE))
    for job in _stream(_jobs().annotate(found=left).exclude(found=F("upstreams_left"))):
        found: int = getattr(job, "found")  # noqa: B009 - an annotation
        yield _name_job(job), f"counts {job.upstreams_left} upstreams that are not done; there are {found}"


def group_counts() -> Found:
    """In one statement: a run that goes on meanwhile makes no difference. A graph without a workflow is being stored."""
    real = {f"found_{status}": Count("members", filter=Q(members__status=status)) for status in JobStatus}
    agree = Q(jobs=F("found"), **{column: F(f"found_{status}") for status, column in COUNT_FIELDS.items()})
    whole = JobGroup.objects.filter(dag__workflow__isnull=False)
    groups = whole.annotate(found=Count("members"), **real).exclude(agree).order_by("pk")
    for group in groups.iterator(chunk_size=2000):
        pairs = [
            (status.value, getattr(group, column), getattr(group, f"found_{status}"))
            for status, column in COUNT_FIELDS.items()
        ]
        pairs.append(("all", group.jobs, getattr(group, "found")))  # noqa: B009 - an annotation
        wrong = [f"{letter} {stored} (there are {found})" for letter, stored, found in pairs if stored != found]
        yield f"group {group.pk} ({group.name})", f"counts {', '.join(wrong)}"


def dag_sizes() -> Found:
    whole = TaskDag.objects.filter(workflow__isnull=False).order_by("pk")
    jobs = whole.annotate(found=Count("jobs")).exclude(found=F("job_count"))
    for dag_id, stored, found in jobs.values_list("pk", "job_count", "found"):
        yield f"dag {dag_id}", f"says {stored} jobs; there are {found}"
    edges = whole.annotate(found=Count("jobs__upstream_edges")).exclude(found=F("edge_count"))
    for dag_id, stored, found in edges.values_list("pk", "edge_count", "found"):
        yield f"dag {dag_id}", f"says {stored} edges; there are {found}"


# attempts


def too_many_attempts() -> Found:
    jobs = _jobs().filter(~_audit_of("dag__workflow", REQUESTS_CHANGED), num_attempts__gt=F("max_attempts"))
    for job in _stream(jobs):
        yield _name_job(job), f"used {job.num_attempts} attempts of {job.max_attempts}"


def unproven_attempts() -> Found:
    counting = Q(instances__status=InstanceStatus.DONE) | Q(
        instances__reason__in=[reason.value for reason in USES_ATTEMPT]
    )
    jobs = _jobs().filter(num_attempts__gt=0).annotate(found=Count("instances", filter=counting))
    for job in _stream(jobs.filter(found__lt=F("num_attempts"))):
        found: int = getattr(job, "found")  # noqa: B009 - an annotation
        yield _name_job(job), f"is said to have used {job.num_attempts} attempts; {found} of its attempts count"


# closed


def left_behind() -> Found:
    rows = JobInstance.objects.filter(status__in=LIVE_LETTERS).exclude(workflow_run__status=RunStatus.RUNNING)
    for run_id, pk in rows.order_by("pk").values_list("workflow_run_id", "pk"):
        yield f"run {run_id}", f"is over, but its attempt {pk} is live"


def ended_iff_over() -> Found:
    runs = WorkflowRun.objects.filter(
        Q(status=RunStatus.RUNNING, ended_at__isnull=False) | (~Q(status=RunStatus.RUNNING) & Q(ended_at=None))
    )
    yield from _rows(runs, "run", "has an end time exactly when it should not")
    ended = Q(status__in=LIVE_LETTERS, ended_at__isnull=False) | Q(status__in=ENDED_LETTERS, ended_at=None)
    yield from _rows(JobInstance.objects.filter(ended), "attempt", "has an end time exactly when it should not")
    reasons = Q(status=InstanceStatus.ERROR, reason="") | (~Q(status=InstanceStatus.ERROR) & ~Q(reason=""))
    yield from _rows(
        JobInstance.objects.filter(reasons), "attempt", "is E without a reason, or has one without being E"
    )


def workflow_against_run() -> Found:
    live = Exists(WorkflowRun.objects.filter(workflow_id=OuterRef("pk"), status=RunStatus.RUNNING))
    yield from _rows(
        Workflow.objects.filter(~live, status=WorkflowStatus.RUNNING), "workflow", "is R, but no run of it is"
    )
    resting = Workflow.objects.filter(live).exclude(status=WorkflowStatus.RUNNING)
    yield from _rows(resting, "workflow", "is not R, but a run of it is")


def done_against_jobs() -> Found:
    undone = Exists(Job.objects.filter(dag_id=OuterRef("dag_id")).exclude(status=JobStatus.DONE))
    rows = Workflow.objects.filter(undone, ~_audit_of("pk", RUN_AGAIN), status=WorkflowStatus.DONE)
    yield from _rows(rows, "workflow", "is D, but a job of it is not")


def _rows(queryset: QuerySet[Model], kind: str, found: str) -> Found:
    for pk in queryset.order_by("pk").values_list("pk", flat=True):
        yield f"{kind} {pk}", found


# chain


def status_log() -> Found:
    """The moves of each attempt in the order in which they were written, against its status."""
    rows = JobInstanceStatusLog.objects.order_by("job_instance_id", "pk").values_list("job_instance_id", "status")
    for instance_id, moves in groupby(rows.iterator(chunk_size=5000), lambda row: row[0]):
        problem = _find_break([status for _, status in moves])
        if problem:
            yield f"attempt {instance_id}", problem


def _find_break(letters: list[str]) -> str:
    """What is wrong with the moves of one attempt, or ''."""
    if letters[0] != InstanceStatus.INSTANTIATED:
        return f"its status log begins with {letters[0]}"
    known = {status.value for status in InstanceStatus}
    for old, new in pairwise(letters):
        if new not in known or not rises(InstanceStatus(old), InstanceStatus(new)):
            return f"moved from {old} to {new} by its status log"
    return ""


def log_against_status() -> Found:
    newest = JobInstanceStatusLog.objects.filter(job_instance_id=OuterRef("pk")).order_by("-pk")
    rows = JobInstance.objects.annotate(last=Subquery(newest.values("status")[:1])).order_by("pk")
    for pk, status, last in rows.exclude(last__isnull=False, last=F("status")).values_list("pk", "status", "last"):
        yield f"attempt {pk}", f"is {status}, but its status log ends with {last}" if last else "has no status log"


# names


def equal_names() -> Found:
    rows = JobInstance.objects.values_list("name").annotate(n=Count("pk")).filter(n__gt=1).order_by("name")
    for name, count in rows:
        yield f"attempt {name}", f"{count} attempts have this name"


def equal_executor_ids() -> Found:
    live = JobInstance.objects.filter(status__in=LIVE_LETTERS, executor_id__isnull=False)
    rows = live.values_list("executor_type", "executor_id").annotate(n=Count("pk")).filter(n__gt=1)
    for executor, executor_id, count in rows.order_by("executor_type", "executor_id"):
        yield f"{executor} id {executor_id}", f"{count} live attempts have it"
