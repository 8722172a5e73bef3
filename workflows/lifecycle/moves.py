"""What every lifecycle transaction shares: the locks, moving jobs with their counts, and telling the downstream."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Case, DateTimeField, F, Value, When

from workflows.bulk import as_stored, chunked, insert_rows
from workflows.models import Job, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.models.definition import COUNT_FIELDS
from workflows.models.execution import LIVE_LETTERS
from workflows.state_machine import InstanceStatus, JobStatus


class GuardFailed(Exception):
    """Rows that were locked a moment ago no longer match: a bug, never a race. The transaction is rolled back."""


@dataclass(frozen=True, slots=True)
class LockedJob:
    job_id: int
    group_id: int
    status: JobStatus
    num_attempts: int
    max_attempts: int
    upstreams_left: int


@dataclass(slots=True)
class Ledger:
    """What this transaction has moved: written once, at its end, as counts and a change number."""

    workflow: Workflow
    deltas: Counter[tuple[int, JobStatus]] = field(default_factory=Counter)
    has_changed: bool = False

    def note(self, job: LockedJob, new: JobStatus) -> None:
        self.deltas[job.group_id, job.status] -= 1
        self.deltas[job.group_id, new] += 1
        self.has_changed = True

    def close(self) -> None:
        by_group: dict[int, dict[str, Any]] = defaultdict(dict)
        for (group_id, status), delta in self.deltas.items():
            if delta:
                column = COUNT_FIELDS[status]
                by_group[group_id][column] = F(column) + delta
        for group_id in sorted(by_group):
            JobGroup.objects.filter(pk=group_id).update(**by_group[group_id])
        if self.has_changed:
            Workflow.objects.filter(pk=self.workflow.pk).update(change_no=F("change_no") + 1)


def lock_workflow(workflow_id: int) -> Workflow:
    return Workflow.objects.select_for_update().get(pk=workflow_id)


def lock_run(run_id: int) -> tuple[Workflow, WorkflowRun]:
    """The workflow's row is the mutex of all its parts; the run's comes next."""
    workflow_id = WorkflowRun.objects.values_list("workflow_id", flat=True).get(pk=run_id)
    workflow = lock_workflow(workflow_id)
    return workflow, WorkflowRun.objects.select_for_update().get(pk=run_id)


def lock_jobs(job_ids: Iterable[int]) -> dict[int, LockedJob]:
    jobs: dict[int, LockedJob] = {}
    columns = ("job_id", "group_id", "status", "num_attempts", "max_attempts", "upstreams_left")
    for chunk in chunked(sorted(set(job_ids))):
        rows = Job.objects.select_for_update().filter(pk__in=chunk).order_by("pk").values_list(*columns)
        for job_id, group_id, status, *numbers in rows:
            jobs[job_id] = LockedJob(job_id, group_id, JobStatus(status), *numbers)
    return jobs


@dataclass(frozen=True, slots=True)
class LockedAttempt:
    status: InstanceStatus
    phase: str
    phase_message: str
    kill_then: str


def jobs_of(instance_ids: Iterable[int]) -> dict[int, int]:
    """Instance → job, read before the jobs are locked."""
    found: dict[int, int] = {}
    for chunk in chunked(sorted(instance_ids)):
        found.update(JobInstance.objects.filter(pk__in=chunk).values_list("pk", "job_id"))
    return found


def lock_live(instance_ids: Iterable[int]) -> dict[int, LockedAttempt]:
    """Those of these attempts that are live."""
    locked: dict[int, LockedAttempt] = {}
    for chunk in chunked(sorted(instance_ids)):
        rows = JobInstance.objects.select_for_update().filter(pk__in=chunk, status__in=LIVE_LETTERS).order_by("pk")
        for instance_id, status, *facts in rows.values_list("pk", "status", "phase", "phase_message", "kill_then"):
            locked[instance_id] = LockedAttempt(InstanceStatus(status), *facts)
    return locked


def move_jobs(ledger: Ledger, jobs: Collection[LockedJob], new: JobStatus, now: datetime, **values: Any) -> None:
    """Move locked jobs to one status. The WHERE clause names the statuses that were seen under the lock."""
    ordered = sorted(jobs, key=lambda job: job.job_id)
    for chunk in chunked(ordered):
        seen = {job.status for job in chunk}
        guarded = Job.objects.filter(pk__in=[job.job_id for job in chunk], status__in=seen)
        if guarded.update(status=new.value, status_date=now, **values) != len(chunk):
            raise GuardFailed(f"jobs of workflow {ledger.workflow.pk} moved under their lock")
    for job in ordered:
        ledger.note(job, new)


def tell_downstream(job_ids: Sequence[int], now: datetime, step: int = -1) -> None:
    """One upstream less (or more, when a done job is reset) for every downstream job of these. Who has none left now is
    ready from now on."""
    changes: Counter[int] = Counter()
    with connection.cursor() as cursor:
        for chunk in chunked(sorted(job_ids)):
            places = ", ".join(["%s"] * len(chunk))
            cursor.execute(
                f"SELECT downstream_id, COUNT(*) FROM job_edge WHERE upstream_id IN ({places}) GROUP BY downstream_id",  # noqa: S608
                list(chunk),
            )
            changes.update(dict(cursor.fetchall()))
    by_count: dict[int, list[int]] = defaultdict(list)
    for job_id, count in changes.items():
        by_count[count].append(job_id)
    for count, downstream in sorted(by_count.items()):
        for chunk in chunked(sorted(downstream)):
            # The time first: MariaDB assigns from left to right, and it wants the number as it was
            is_last = When(upstreams_left=-step * count, then=Value(now))
            Job.objects.filter(pk__in=chunk).update(
                ready_at=Case(is_last, default=None, output_field=DateTimeField()),
                upstreams_left=F("upstreams_left") + step * count,
            )


def log_moves(moves: Iterable[tuple[int, InstanceStatus, datetime]]) -> None:
    rows = [(instance_id, status.value, as_stored(at)) for instance_id, status, at in moves]
    insert_rows("job_instance_status_log", ("job_instance_id", "status", "status_time"), rows)
