"""Rows for tests and for the screenshots: whole workflows in given statuses, written in bulk and consistent with the
counts that the engine keeps. Nothing here runs a job."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone

from tests.pairing import pair
from workflows.error_counts import add_hosts, add_to_trend
from workflows.models import (
    AuditEntry,
    ErrorGroup,
    GroupEdge,
    Job,
    JobEdge,
    JobGroup,
    JobInstance,
    JobInstanceErrorLog,
    JobInstanceStatusLog,
    TaskDag,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling.blocked import forget_others, refresh_blocked

HOSTS = ("c041", "c042", "c043", "c044")
TRACEBACK = """Traceback (most recent call last):
  File "/home/alice/pipeline/{script}", line 88, in <module>
    main(sys.argv[1:])
  File "/home/alice/pipeline/{script}", line 61, in main
    frame = read_draws(path)
  File "/home/alice/pipeline/io.py", line 23, in read_draws
    return pd.read_hdf(path, key="draws")
{message}"""


@dataclass(frozen=True)
class Tag:
    """Jobs of one tag: how many in each status, the tags that each job waits for, and why attempts of it fail."""

    name: str
    counts: dict[str, int]
    after: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ("exit",)
    message: str = "FileNotFoundError: [Errno 2] No such file or directory: 'draws.h5'"
    is_from_tag: bool = True
    mem_free: float = 4.0
    minutes: float = 12.0
    limit: int | None = None
    at_once: int | None = None  # how many began together; None: all

    @property
    def letters(self) -> list[str]:
        return [
            letter
            for letter in ("DFERIQG" if self.at_once is None else "FEDRIQG")
            for _ in range(self.counts.get(letter, 0))
        ]

    @property
    def size(self) -> int:
        return sum(self.counts.values())


@dataclass
class Made:
    """What was made."""

    workflow: Workflow
    run: WorkflowRun | None = None
    jobs: dict[str, list[Job]] = field(default_factory=dict)
    instances: list[JobInstance] = field(default_factory=list)
    upstreams: dict[int, list[int]] = field(default_factory=dict)

    @property
    def all_jobs(self) -> list[Job]:
        return [job for jobs in self.jobs.values() for job in jobs]

    def job(self, letter: str) -> Job:
        return next(job for job in self.all_jobs if job.status == letter)

    def instance(self, letter: str) -> JobInstance:
        return next(instance for instance in self.instances if instance.status == letter)


def make_user(name: str = "alice", *, is_staff: bool = False, is_admin: bool = False) -> User:
    return User.objects.create_user(username=name, password="correct horse", is_staff=is_staff, is_superuser=is_admin)


def make_workflow(
    owner: User, tags: Sequence[Tag] = (), *, args: str = "", name: str = "", status: str = "R", runs: int = 1,
    now: datetime | None = None, age: timedelta = timedelta(hours=2), **fields: object,
) -> Made:  # fmt: skip
    """A workflow with its groups, jobs, edges, runs and attempts. Status C: no run. The last run has all attempts."""
    now = now or timezone.now()
    begin = now - age
    jobs_total = sum(tag.size for tag in tags)
    dag = TaskDag.objects.create(
        dag_hash=uuid.uuid4().hex, user=owner.username, created_date=begin, job_count=jobs_total
    )
    workflow = Workflow.objects.create(
        dag=dag, workflow_args=args or uuid.uuid4().hex, workflow_hash=uuid.uuid4().hex, name=name, user=owner.username,
        owner=owner, status=status, created_date=begin, status_date=now - _last_change(status, age),
        **{"executor": "local", **fields},
    )  # fmt: skip
    made = Made(workflow)
    for rank, tag in enumerate(tags):
        made.jobs[tag.name] = _make_jobs(dag, tag, rank, now)
    edges = _make_edges(made, tags)
    TaskDag.objects.filter(pk=dag.pk).update(edge_count=edges)
    if status != "C":
        made.run = _make_runs(workflow, owner, runs, begin, now)
        _make_instances(made, tags, begin, now)
    if any(tag.counts.get("F") for tag in tags):
        forget_others([])
        refresh_blocked(workflow.pk, dag.pk)
        Workflow.objects.filter(pk=workflow.pk).update(change_no=workflow.change_no)
    return made


def _last_change(status: str, age: timedelta) -> timedelta:
    return {"R": timedelta(seconds=8), "C": age}.get(status, age / 3)


def _make_jobs(dag: TaskDag, tag: Tag, rank: int, now: datetime) -> list[Job]:
    counts = {f"count_{letter.lower()}": tag.counts.get(letter, 0) for letter in "GQIREFD"}
    group = JobGroup.objects.create(
        dag=dag, name=tag.name, is_from_tag=tag.is_from_tag, rank=rank, jobs=tag.size,
        max_concurrently_running=tag.limit, **counts,
    )  # fmt: skip
    jobs = [_job(dag, group, tag, index, letter, now) for index, letter in enumerate(tag.letters)]
    return Job.objects.bulk_create(jobs, batch_size=2000)


def _job(dag: TaskDag, group: JobGroup, tag: Tag, index: int, letter: str, now: datetime) -> Job:
    name = f"{tag.name}_{index + 1:04d}"
    command = f"python /home/alice/pipeline/{tag.name}.py --location {index + 1} --year 2019 --draws 1000"
    used = {"D": 1, "F": 3, "E": 1, "R": 0, "I": 0}.get(letter, 0)
    return Job(
        dag=dag, group=group, name=name, tag=tag.name if tag.is_from_tag else "", command=command,
        job_hash=hashlib.sha256(f"{dag.pk} {command}".encode()).hexdigest(), status=letter, num_attempts=used,
        mem_free=tag.mem_free, max_runtime=int(tag.minutes * 240), position=index,
        submitted_date=None if letter in "GQ" else now - timedelta(minutes=40),
        status_date=now - timedelta(seconds=20 + 7 * index),
    )  # fmt: skip


def _make_edges(made: Made, tags: Sequence[Tag]) -> int:
    """Of the tags before it, as `tests.pairing` says."""
    edges: dict[tuple[int, int], JobEdge] = {}
    for tag in tags:
        own = made.jobs[tag.name]
        for before in tag.after:
            ups = made.jobs[before]
            pairs = pair("".join(up.status for up in ups), "".join(job.status for job in own))
            for up, down in ((ups[up], own[down]) for up, down in pairs):
                edges[up.pk, down.pk] = JobEdge(upstream=up, downstream=down)
                made.upstreams.setdefault(down.pk, []).append(up.pk)
    JobEdge.objects.bulk_create(edges.values(), batch_size=2000)
    _count_upstreams(made, list(edges.values()))
    groups = {job.pk: job.group_id for job in made.all_jobs}
    sums = Counter((groups[up], groups[down]) for up, down in edges)
    GroupEdge.objects.bulk_create(
        [
            GroupEdge(dag_id=made.workflow.dag_id, upstream_id=up, downstream_id=down, edges=n)
            for (up, down), n in sums.items()
        ]
    )
    return len(edges)


def _count_upstreams(made: Made, edges: Sequence[JobEdge]) -> None:
    status = {job.pk: job.status for job in made.all_jobs}
    left: dict[int, int] = {}
    for edge in edges:
        if status[edge.upstream_id] != "D":
            left[edge.downstream_id] = left.get(edge.downstream_id, 0) + 1
    changed = [job for job in made.all_jobs if job.pk in left]
    for job in changed:
        job.upstreams_left = left[job.pk]
    Job.objects.bulk_update(changed, ["upstreams_left"], batch_size=500)


def _make_runs(workflow: Workflow, owner: User, runs: int, begin: datetime, now: datetime) -> WorkflowRun:
    last = None
    for number in range(runs):
        is_last = number == runs - 1
        status = workflow.status if is_last else "E"
        start = begin if is_last else begin - timedelta(hours=5 * (runs - number))
        ended = None if status == "R" else (now - (now - begin) / 3 if is_last else start + timedelta(hours=3))
        last = WorkflowRun.objects.create(
            workflow=workflow, user=owner.username, started_by=owner, hostname="login1", pid=4711,
            executor=workflow.executor,
            status=status, created_date=start, status_date=ended or now, ended_at=ended,
        )  # fmt: skip
    assert last is not None
    return last


def _make_instances(made: Made, tags: Sequence[Tag], begin: datetime, now: datetime) -> None:
    plans: list[tuple[JobInstance, str]] = []
    start = begin
    ended: dict[int, datetime] = {}
    for tag in tags:
        for index, job in enumerate(made.jobs[tag.name]):
            upstreams = (ended[up] for up in made.upstreams.get(job.pk, ()) if up in ended)
            attempts = _attempts_of(made, tag, job, index, max([start + _delay(tag, index), *upstreams]), now)
            plans += attempts
            if attempts and attempts[-1][0].ended_at:
                ended[job.pk] = attempts[-1][0].ended_at + timedelta(seconds=2)
        start = start + timedelta(minutes=tag.minutes)
    made.instances = JobInstance.objects.bulk_create([instance for instance, _ in plans], batch_size=2000)
    texts = [
        JobInstanceErrorLog(job_instance=instance, error_time=instance.ended_at, description=text)
        for instance, text in plans
        if text
    ]
    _group_errors(made, texts)
    JobInstanceErrorLog.objects.bulk_create(texts, batch_size=2000)
    JobInstanceStatusLog.objects.bulk_create(
        [move for instance in made.instances for move in _moves(instance)], batch_size=2000
    )


def _delay(tag: Tag, index: int) -> timedelta:
    """Waves of so many, or all of them one by one."""
    wave, place = divmod(index, tag.at_once or tag.size)
    return timedelta(minutes=wave * tag.minutes, seconds=3 * place)


def _group_errors(made: Made, texts: Sequence[JobInstanceErrorLog]) -> None:
    """One error group for each reason and last line, as the engine would make them."""
    alike: dict[tuple[str, str], list[JobInstanceErrorLog]] = {}
    for text in texts:
        alike.setdefault((text.job_instance.reason, text.description.splitlines()[-1]), []).append(text)
    for (reason, line), errors in alike.items():
        times = [error.error_time for error in errors]
        group = ErrorGroup.objects.create(
            workflow=made.workflow, title=line[:255],
            fingerprint=hashlib.sha256(f"{reason} {line}".encode()).hexdigest(),
            reason=reason, attempts=len(errors), first_seen_at=min(times), last_seen_at=max(times),
            trend=_trend(times), hosts=add_hosts(None, [error.job_instance.nodename for error in errors]),
        )  # fmt: skip
        for error in errors:
            error.error_group = group
        jobs = {error.job_instance.job_id for error in errors}
        Job.objects.filter(pk__in=jobs, status__in=["F", "E"]).update(error_group=group)


def _trend(times: Sequence[datetime]) -> dict[str, object]:
    trend: dict[str, object] = {}
    for moment in sorted(times):
        trend = add_to_trend(trend, moment.timestamp(), 1)
    return trend


def _attempts_of(
    made: Made, tag: Tag, job: Job, index: int, start: datetime, now: datetime
) -> list[tuple[JobInstance, str]]:
    letters = {"D": "D", "F": "EEE", "E": "E", "R": "R", "I": "B"}.get(job.status, "")
    seconds = tag.minutes * 60 * (0.7 + (index * 37 % 60) / 100)
    plans = []
    for attempt, letter in enumerate(letters, 1):
        begin = start + timedelta(seconds=(attempt - 1) * (seconds + 20))
        began = min(begin + timedelta(seconds=5 + index % 50), now)
        ended = min(began + timedelta(seconds=seconds), now)
        instance = _instance(made, tag, job, attempt, letter, index)
        instance.submitted_date = min(begin, now)
        instance.started_at = None if letter == "B" else began
        instance.ended_at = ended if letter in "DE" else None
        instance.status_date = instance.ended_at or instance.started_at or instance.submitted_date
        if instance.ended_at:
            instance.wallclock = (ended - began).total_seconds()
        plans.append((instance, _error_text(tag, instance)))
    return plans


def _instance(made: Made, tag: Tag, job: Job, attempt: int, letter: str, index: int) -> JobInstance:
    reason = tag.reasons[index % len(tag.reasons)] if letter == "E" else ""
    used = tag.mem_free * 10**9 * (1.07 if reason == "memory" else 0.55 + (index % 30) / 100)
    codes = {"exit": 1, "memory": 137, "signal": 139}
    return JobInstance(
        job=job, workflow_run=made.run, executor_type=made.workflow.executor,
        executor_id=str(8_812_000 + job.pk * 3 + attempt),
        nodename="" if letter == "B" else HOSTS[(index + attempt) % len(HOSTS)], name=f"jm1-{job.pk}-{attempt}",
        process_group_id=None if letter == "B" else 20_000 + index, maxvmem=int(used) if letter in "DE" else None,
        cpu=300.0 if letter in "DE" else None, io=10**8 if letter in "DE" else None, status=letter, reason=reason,
        exit_code=0 if letter == "D" else codes.get(reason), signal={"memory": 9, "signal": 11}.get(reason),
        attempt=attempt,
        evidence={"D": "exit file: code 0", "E": f"exit file: {reason}"}.get(letter, ""), mem_free=tag.mem_free,
        max_runtime=int(tag.minutes * 240),
    )  # fmt: skip


WORDS = {
    "memory": "Killed: the job used more memory than it asked for.",
    "signal": "Segmentation fault (core dumped)",
    "lost": "The job vanished from two listings and left no exit code.",
}


def _error_text(tag: Tag, instance: JobInstance) -> str:
    if instance.status != "E":
        return ""
    return WORDS.get(instance.reason) or TRACEBACK.format(script=f"{tag.name}.py", message=tag.message)


def _moves(instance: JobInstance) -> list[JobInstanceStatusLog]:
    times = [("I", instance.submitted_date), ("B", instance.submitted_date + timedelta(seconds=1))]
    if instance.started_at:
        times.append(("R", instance.started_at))
    if instance.ended_at:
        times.append((instance.status, instance.ended_at))
    return [JobInstanceStatusLog(job_instance=instance, status=status, status_time=at) for status, at in times]


def make_audit(workflow: Workflow, action: str = "start-run", **fields: object) -> AuditEntry:
    values = {"at": timezone.now(), "actor": "alice", "via": "page", "action": action, "target": "run 1", **fields}
    return AuditEntry.objects.create(workflow_id=workflow.pk, **values)


def acts() -> QuerySet[AuditEntry]:
    """What the audit says was done, but for coming in and going."""
    return AuditEntry.objects.exclude(action__in=("sign-in", "sign-out")).order_by("pk")
