"""What must hold in the database at every moment, as queries that change nothing. `manage.py fsck` shows the result.

Each check answers (what it found, about which object); none of them loads a whole table into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
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

MOST_LISTED = 100
# A person may have what is done run again; the audit log then says so, and a job may have succeeded more than once.
RUN_AGAIN = Q(action__contains="reset") | Q(action__contains="rerun") | Q(action__contains="retry")
MARKED_DONE = Q(action__contains="mark-done")
REQUESTS_CHANGED = Q(action__contains="change")

Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Violation:
    """`subject` names the object, `found` says what is wrong with it."""

    subject: str
    found: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule: its name, what it says, what a person does when it is broken, and the queries that look."""

    name: str
    says: str
    remedy: str
    checks: tuple[Callable[[], Found], ...]

    def violations(self) -> Iterator[Violation]:
        for check in self.checks:
            for subject, found in check():
                yield Violation(subject, found)


@dataclass(slots=True)
class Finding:
    """One broken invariant: how often, and the first hundred cases."""

    invariant: Invariant
    count: int = 0
    violations: list[Violation] = field(default_factory=list)


def check_all(names: Iterable[str] | None = None) -> list[Finding]:
    """Every invariant that is broken (of these, if names are given)."""
    chosen = INVARIANTS if names is None else [INVARIANTS_BY_NAME[name] for name in names]
    return [finding for invariant in chosen if (finding := _check(invariant)).count]


def _check(invariant: Invariant) -> Finding:
    finding = Finding(invariant)
    for violation in invariant.violations():
        finding.count += 1
        if finding.count <= MOST_LISTED:
            finding.violations.append(violation)
    return finding


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


def _done_without_success() -> Found:
    success = Exists(_instances_of().filter(status=InstanceStatus.DONE))
    for job in _stream(_jobs().filter(~success, status=JobStatus.DONE, marked_done_by="")):
        yield _name_job(job), "is D, but no attempt of it is D and nobody marked it done"


def _success_without_done() -> Found:
    success = Exists(_instances_of().filter(status=InstanceStatus.DONE))
    jobs = _jobs().filter(success, ~_audit_of("dag__workflow", RUN_AGAIN)).exclude(status=JobStatus.DONE)
    for job in _stream(jobs):
        yield _name_job(job), f"is {job.status}, but an attempt of it is D"


def _several_successes() -> Found:
    rows = JobInstance.objects.filter(~_audit_of("job__dag__workflow", RUN_AGAIN), status=InstanceStatus.DONE)
    for job_id, count in rows.values_list("job_id").annotate(n=Count("pk")).filter(n__gt=1).order_by("job_id"):
        yield f"job {job_id}", f"succeeded {count} times"


# one-live


def _several_live() -> Found:
    rows = JobInstance.objects.filter(status__in=LIVE_LETTERS).values_list("job_id")
    for job_id, count in rows.annotate(n=Count("pk")).filter(n__gt=1).order_by("job_id"):
        yield f"job {job_id}", f"has {count} live attempts"


def _several_live_runs() -> Found:
    rows = WorkflowRun.objects.filter(status=RunStatus.RUNNING).values_list("workflow_id")
    for workflow_id, count in rows.annotate(n=Count("pk")).filter(n__gt=1).order_by("workflow_id"):
        yield f"workflow {workflow_id}", f"has {count} live runs"


# job-follows-instance


def _job_against_instance() -> Found:
    submitted = Q(status__in=[InstanceStatus.INSTANTIATED, InstanceStatus.SUBMITTED])
    agrees = (submitted & Q(job__status=JobStatus.INSTANTIATED)) | (
        Q(status=InstanceStatus.RUNNING) & Q(job__status=JobStatus.RUNNING)
    )
    rows = JobInstance.objects.filter(status__in=LIVE_LETTERS).exclude(agrees).order_by("pk")
    for job_id, job_status, pk, status in rows.values_list("job_id", "job__status", "pk", "status"):
        yield f"job {job_id}", f"is {job_status}, but its attempt {pk} is {status}"


def _job_without_instance() -> Found:
    live = (JobStatus.INSTANTIATED, JobStatus.RUNNING)
    for job in _stream(_jobs().filter(~Exists(_live_of()), status__in=live)):
        yield _name_job(job), f"is {job.status}, but has no live attempt"


# order


def _done_before_upstream() -> Found:
    """A person may have a done job run again, or may mark done what waits: only what never was done counts."""
    was_done = Exists(_instances_of("upstream_id").filter(status=InstanceStatus.DONE))
    edges = JobEdge.objects.filter(~was_done, downstream__status=JobStatus.DONE, downstream__marked_done_by="")
    edges = edges.filter(~_audit_of("upstream__dag__workflow", MARKED_DONE), upstream__marked_done_by="")
    rows = edges.exclude(upstream__status=JobStatus.DONE).order_by("downstream_id", "upstream_id")
    for down, up, status in rows.values_list("downstream_id", "upstream_id", "upstream__status"):
        yield f"job {down}", f"is D, but its upstream {up} is {status} and never was done"


def _started_before_upstream() -> Found:
    """Both times are the server's own: when the intent and when the success was written."""
    marked = _audit_of("upstream__dag__workflow", MARKED_DONE)
    edges = JobEdge.objects.filter(~marked, upstream__marked_done_by="").annotate(
        intended=Min("downstream__instances__submitted_date"),
        done=Min("upstream__instances__moves__status_time", filter=Q(upstream__instances__moves__status="D")),
    )
    early = edges.filter(intended__isnull=False).filter(Q(done=None) | Q(intended__lt=F("done")))
    for down, up in early.order_by("downstream_id", "upstream_id").values_list("downstream_id", "upstream_id"):
        yield f"job {down}", f"was started before its upstream {up} was done"


# readiness


def _upstreams_left() -> Found:
    left = Count("upstream_edges", filter=~Q(upstream_edges__upstream__status=JobStatus.DONE))
    for job in _stream(_jobs().annotate(found=left).exclude(found=F("upstreams_left"))):
        found: int = getattr(job, "found")  # noqa: B009 - an annotation
        yield _name_job(job), f"counts {job.upstreams_left} upstreams that are not done; there are {found}"


def _group_counts() -> Found:
    """In one statement: a run that goes on meanwhile makes no difference."""
    real = {f"found_{status}": Count("members", filter=Q(members__status=status)) for status in JobStatus}
    agree = Q(jobs=F("found"), **{column: F(f"found_{status}") for status, column in COUNT_FIELDS.items()})
    groups = JobGroup.objects.annotate(found=Count("members"), **real).exclude(agree).order_by("pk")
    for group in groups.iterator(chunk_size=2000):
        pairs = [(status.value, getattr(group, column), getattr(group, f"found_{status}")) for status, column in COUNT_FIELDS.items()]
        pairs.append(("all", group.jobs, getattr(group, "found")))  # noqa: B009 - an annotation
        wrong = [f"{letter} {stored} (there are {found})" for letter, stored, found in pairs if stored != found]
        yield f"group {group.pk} ({group.name})", f"counts {', '.join(wrong)}"


def _dag_sizes() -> Found:
    jobs = TaskDag.objects.annotate(found=Count("jobs")).exclude(found=F("job_count")).order_by("pk")
    for dag_id, stored, found in jobs.values_list("pk", "job_count", "found"):
        yield f"dag {dag_id}", f"says {stored} jobs; there are {found}"
    edges = TaskDag.objects.annotate(found=Count("jobs__upstream_edges")).exclude(found=F("edge_count")).order_by("pk")
    for dag_id, stored, found in edges.values_list("pk", "edge_count", "found"):
        yield f"dag {dag_id}", f"says {stored} edges; there are {found}"


# attempts


def _too_many_attempts() -> Found:
    jobs = _jobs().filter(~_audit_of("dag__workflow", REQUESTS_CHANGED), num_attempts__gt=F("max_attempts"))
    for job in _stream(jobs):
        yield _name_job(job), f"used {job.num_attempts} attempts of {job.max_attempts}"


def _unproven_attempts() -> Found:
    counting = Q(instances__status=InstanceStatus.DONE) | Q(instances__reason__in=[reason.value for reason in USES_ATTEMPT])
    jobs = _jobs().filter(num_attempts__gt=0).annotate(found=Count("instances", filter=counting))
    for job in _stream(jobs.filter(found__lt=F("num_attempts"))):
        found: int = getattr(job, "found")  # noqa: B009 - an annotation
        yield _name_job(job), f"is said to have used {job.num_attempts} attempts; {found} of its attempts count"


# closed


def _left_behind() -> Found:
    rows = JobInstance.objects.filter(status__in=LIVE_LETTERS).exclude(workflow_run__status=RunStatus.RUNNING)
    for run_id, pk in rows.order_by("pk").values_list("workflow_run_id", "pk"):
        yield f"run {run_id}", f"is over, but its attempt {pk} is live"


def _ended_iff_over() -> Found:
    runs = WorkflowRun.objects.filter(
        Q(status=RunStatus.RUNNING, ended_at__isnull=False) | (~Q(status=RunStatus.RUNNING) & Q(ended_at=None))
    )
    yield from _rows(runs, "run", "has an end time exactly when it should not")
    ended = Q(status__in=LIVE_LETTERS, ended_at__isnull=False) | Q(status__in=ENDED_LETTERS, ended_at=None)
    yield from _rows(JobInstance.objects.filter(ended), "attempt", "has an end time exactly when it should not")
    reasons = Q(status=InstanceStatus.ERROR, reason="") | (~Q(status=InstanceStatus.ERROR) & ~Q(reason=""))
    yield from _rows(JobInstance.objects.filter(reasons), "attempt", "is E without a reason, or has one without being E")


def _workflow_against_run() -> Found:
    live = Exists(WorkflowRun.objects.filter(workflow_id=OuterRef("pk"), status=RunStatus.RUNNING))
    yield from _rows(Workflow.objects.filter(~live, status=WorkflowStatus.RUNNING), "workflow", "is R, but no run of it is")
    resting = Workflow.objects.filter(live).exclude(status=WorkflowStatus.RUNNING)
    yield from _rows(resting, "workflow", "is not R, but a run of it is")


def _done_against_jobs() -> Found:
    undone = Exists(Job.objects.filter(dag_id=OuterRef("dag_id")).exclude(status=JobStatus.DONE))
    rows = Workflow.objects.filter(undone, ~_audit_of("pk", RUN_AGAIN), status=WorkflowStatus.DONE)
    yield from _rows(rows, "workflow", "is D, but a job of it is not")


def _rows(queryset: QuerySet[Model], kind: str, found: str) -> Found:
    for pk in queryset.order_by("pk").values_list("pk", flat=True):
        yield f"{kind} {pk}", found


# chain


def _status_log() -> Found:
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


def _log_against_status() -> Found:
    newest = JobInstanceStatusLog.objects.filter(job_instance_id=OuterRef("pk")).order_by("-pk")
    rows = JobInstance.objects.annotate(last=Subquery(newest.values("status")[:1])).order_by("pk")
    for pk, status, last in rows.exclude(last__isnull=False, last=F("status")).values_list("pk", "status", "last"):
        yield f"attempt {pk}", f"is {status}, but its status log ends with {last}" if last else "has no status log"


# names


def _equal_names() -> Found:
    rows = JobInstance.objects.values_list("name").annotate(n=Count("pk")).filter(n__gt=1).order_by("name")
    for name, count in rows:
        yield f"attempt {name}", f"{count} attempts have this name"


def _equal_executor_ids() -> Found:
    live = JobInstance.objects.filter(status__in=LIVE_LETTERS, executor_id__isnull=False)
    rows = live.values_list("executor_type", "executor_id").annotate(n=Count("pk")).filter(n__gt=1)
    for executor, executor_id, count in rows.order_by("executor_type", "executor_id"):
        yield f"{executor} id {executor_id}", f"{count} live attempts have it"


INVARIANTS = [
    Invariant(
        "done-once",
        "A job is D if and only if exactly one attempt of it is D, or a person marked it done.",
        "Look at the attempts on the job's page; if its output is there, mark the job done, else run it again.",
        (_done_without_success, _success_without_done, _several_successes),
    ),
    Invariant(
        "one-live",
        "A job has at most one live attempt, a workflow at most one live run.",
        "Stop the workflow with kill and wait until it is over; check that the unique indexes of the schema exist.",
        (_several_live, _several_live_runs),
    ),
    Invariant(
        "job-follows-instance",
        "A job is I or R if and only if it has a live attempt, and then follows it.",
        "Stop the workflow with kill, wait until it is over and resume it; report the job if it stays.",
        (_job_against_instance, _job_without_instance),
    ),
    Invariant(
        "order",
        "No job starts or is done before all its upstreams are done.",
        "Check the job's output; if it was made from incomplete input, run the job again.",
        (_done_before_upstream, _started_before_upstream),
    ),
    Invariant(
        "readiness",
        "Stored counts agree with the rows that they count.",
        "Drain the workflow, since these counts decide what may start, and report it with the server's log; if you cannot"
        " wait, submit the graph again with other workflow_args.",
        (_upstreams_left, _group_counts, _dag_sizes),
    ),
    Invariant(
        "attempts",
        "No job uses more attempts than it may, and each that it used is on record.",
        "Look at the attempts on the job's page; resuming the workflow gives every job its attempts back.",
        (_too_many_attempts, _unproven_attempts),
    ),
    Invariant(
        "closed",
        "What is over has an end time and nothing live in it; a failed attempt says why.",
        "Resume the workflow hot, so that a run takes care of what is left, and let it end.",
        (_left_behind, _ended_iff_over, _workflow_against_run, _done_against_jobs),
    ),
    Invariant(
        "chain",
        "The status log of an attempt begins with I, only rises and ends with the attempt's status.",
        "The timeline of this attempt is not to be trusted; its status is. Report what the server's log says of it.",
        (_status_log, _log_against_status),
    ),
    Invariant(
        "names",
        "Names of attempts are unique, and so are the executor's ids among the living.",
        "Stop the workflow with kill; no job may be cancelled by its id by hand until this is gone.",
        (_equal_names, _equal_executor_ids),
    ),
]
INVARIANTS_BY_NAME = {invariant.name: invariant for invariant in INVARIANTS}
# Promises that the database alone cannot prove: why not.
NOT_CHECKED = {
    "no-zombie": "needs a listing of each executor",
    "no-orphan": "needs a listing of each executor",
    "spool": "needs the files of the attempts",
}
