"""Reads of one attempt (job instance), of one run, and of lists of failed attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from workflows.models import AuditEntry, JobInstance, JobInstanceErrorLog, JobInstanceStatusLog, WorkflowRun
from workflows.models.execution import ENDED_LETTERS, LIVE_LETTERS
from workflows.permissions import visible_workflows
from workflows.queries.counts import Counts, add_shown, counts_at_end, groups_of
from workflows.state_machine import Reason

MOVES_SHOWN = 50
RUNNING_READ = 10_000
LEFT_ALONE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Move:
    """A status of an attempt, when it was reached, and the seconds until the next one (None: it is the last)."""

    status: str
    at: datetime
    seconds: float | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    attempt: JobInstance
    moves: list[Move]
    errors: list[JobInstanceErrorLog]


@dataclass(frozen=True, slots=True)
class StopView:
    """What a stop would meet: jobs running (and for how long), and jobs in the batch queue."""

    running: int
    queued: int
    longest: float | None
    hours: float

    @property
    def minutes(self) -> float:
        return self.hours * 60


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts of one status and reason, and when the first of them was submitted (None: not asked for)."""

    status: str
    reason: str
    attempts: int
    first: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    run: WorkflowRun
    counts: Counts
    reasons: dict[str, int]
    statuses: dict[str, int]
    newer: int | None
    older: int | None
    events: list[AuditEntry]
    oldest_live: datetime | None
    older_counts: Counts | None = None

    @property
    def done(self) -> int:
        """Jobs that this run has done: one attempt of each succeeds."""
        return self.statuses.get("D", 0)

    @property
    def killed(self) -> int:
        return self.reasons.get(Reason.KILLED, 0)

    @property
    def failed(self) -> int:
        """Attempts that ended with an error and were not killed."""
        return self.statuses.get("E", 0) - self.killed

    @property
    def is_left_alone(self) -> bool:
        """Whoever began a turn at this run has not ended it in time, and nobody came since."""
        until = self.run.lease_expires_at
        return until is not None and until < timezone.now() - LEFT_ALONE

    @property
    def were_live(self) -> int | None:
        """The attempts that the stop of this run was to end; None: nobody has counted them."""
        return next((event.job_count for event in self.events if event.action == "stop-kill"), None)

    @property
    def over(self) -> int:
        """How many of these are over, killed or not."""
        return max(0, (self.were_live or 0) - self.live)

    @property
    def change(self) -> str:
        """`120 more done, 12 fewer failed`, against the end of the run before; '' where that is not known. What a live
        run was to try again has not failed less often for that."""
        before = self.older_counts or self.counts
        compared = (("D", "done"), ("F", "failed")) if self.run.ended_at else (("D", "done"),)
        changes = ((self.counts.get(letter, 0) - before.get(letter, 0), word) for letter, word in compared)
        return ", ".join(f"{abs(by):,} {'more' if by > 0 else 'fewer'} {word}" for by, word in changes if by)

    @property
    def live(self) -> int:
        return sum(self.statuses.get(letter, 0) for letter in "IBR")

    @property
    def attempts(self) -> int:
        return sum(self.statuses.values())


def find_attempt(user: User | AnonymousUser, instance_id: int) -> JobInstance | None:
    """With the attempts of the same job before and after it (`attempt_before`, `attempt_after`)."""
    beside = JobInstance.objects.filter(job_id=OuterRef("job_id")).values("pk")
    before = beside.filter(pk__lt=OuterRef("pk")).order_by("-pk")[:1]
    after = beside.filter(pk__gt=OuterRef("pk")).order_by("pk")[:1]
    attempts = JobInstance.objects.select_related("workflow_run__workflow__group", "job__dag").filter(pk=instance_id)
    attempts = attempts.annotate(attempt_before=Subquery(before), attempt_after=Subquery(after))
    return attempts.filter(workflow_run__workflow__in=visible_workflows(user)).first()


def view_attempt(attempt: JobInstance) -> AttemptView:
    logged = JobInstanceStatusLog.objects.filter(job_instance_id=attempt.pk).order_by("status_time", "id")
    moves = list(logged.values_list("status", "status_time")[:MOVES_SHOWN])
    ends: list[datetime | None] = [*(at for _, at in moves[1:]), *([None] if moves else [])]
    timed = [
        Move(status, at, (end - at).total_seconds() if end else None)
        for (status, at), end in zip(moves, ends, strict=True)
    ]
    errors = list(JobInstanceErrorLog.objects.filter(job_instance_id=attempt.pk).order_by("-id")[:10])
    return AttemptView(attempt, timed, errors)


def kept_text(attempt: JobInstance) -> str:
    """What was stored of an attempt's stderr at its end; '' where nothing was: one query."""
    kept = JobInstanceErrorLog.objects.filter(job_instance_id=attempt.pk).order_by("-id")
    return kept.values_list("description", flat=True).first() or ""


def find_run(user: User | AnonymousUser, run_id: int) -> WorkflowRun | None:
    runs = WorkflowRun.objects.select_related("workflow__dag", "workflow__group", "stall").filter(pk=run_id)
    return runs.filter(workflow__in=visible_workflows(user)).first()


def view_run(run: WorkflowRun) -> RunView:
    """Attempts of this run by status and reason, its neighbours, its events: four queries."""
    rows = _tallies_of(run)
    statuses: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for row in rows:
        statuses[row.status] = statuses.get(row.status, 0) + row.attempts
        if row.reason:
            reasons[row.reason] = reasons.get(row.reason, 0) + row.attempts
    live = [row.first for row in rows if row.status in LIVE_LETTERS and row.first]
    beside = _beside(run)
    counts = counts_at_end(run.final_counts) if run.final_counts else add_shown(groups_of(run.workflow.dag_id))
    return RunView(
        run,
        counts,
        dict(sorted(reasons.items(), key=lambda item: -item[1])),
        {letter: statuses[letter] for letter in "IBRDE" if letter in statuses},
        newer=max((pk for pk in beside if pk > run.pk), default=None),
        older=(older := min((pk for pk in beside if pk < run.pk), default=None)),
        events=events_of_run(run),
        oldest_live=min(live) if live else None,
        older_counts=beside[older] if older is not None else None,
    )


def _beside(run: WorkflowRun) -> dict[int, Counts | None]:
    """The runs of the workflow before and after this one, with the counts at their ends: one query."""
    runs = WorkflowRun.objects.filter(workflow_id=run.workflow_id)
    older = runs.filter(pk__lt=run.pk).order_by("-pk").values("pk")[:1]
    newer = runs.filter(pk__gt=run.pk).order_by("pk").values("pk")[:1]
    return dict(runs.filter(Q(pk=Subquery(older)) | Q(pk=Subquery(newer))).values_list("pk", "final_counts"))


def _tallies_of(run: WorkflowRun) -> list[Tally]:
    """One query. Of a large run the sweep has counted the ended attempts; live ones are few, and always counted."""
    if run.tallies is None:
        return count_attempts(run.pk)
    ended = [Tally(*row) for row in run.tallies if row[0] not in LIVE_LETTERS]
    return ended + count_attempts(run.pk, LIVE_LETTERS)


def count_attempts(run_id: int, letters: Sequence[str] = "IBRDE") -> list[Tally]:
    """By status and reason. Reads an index entry for each attempt."""
    attempts = JobInstance.objects.filter(workflow_run_id=run_id, status__in=list(letters)).order_by()
    counted = attempts.values_list("status", "reason").annotate(n=Count("pk"), first=Min("submitted_date"))
    return [Tally(*row) for row in counted]


def events_of_run(run: WorkflowRun) -> list[AuditEntry]:
    entries = AuditEntry.objects.filter(workflow_id=run.workflow_id, at__gte=run.created_date)
    if run.ended_at:
        entries = entries.filter(at__lte=run.ended_at)
    return list(entries.order_by("-id")[:20])


def view_stop(run: WorkflowRun) -> StopView:
    """One query over the live attempts; the times of at most 10,000 running ones are read."""
    live = JobInstance.objects.filter(workflow_run=run, status__in=["I", "B", "R"])
    rows = list(live.values_list("status", "started_at")[: RUNNING_READ * 2])
    now = timezone.now()
    ran = [(now - started).total_seconds() for status, started in rows if status == "R" and started]
    running = sum(1 for status, _ in rows if status == "R")
    return StopView(running, len(rows) - running, max(ran, default=None), sum(ran) / 3600)


def failed_attempts(dag_id: int, workflow_id: int) -> QuerySet[JobInstance]:
    """All attempts of a workflow that ended with an error of its own, whatever the run."""
    return attempts_of_workflow(workflow_id).filter(status="E").select_related("job")


def ended_attempts(workflow_id: int) -> QuerySet[JobInstance]:
    return attempts_of_workflow(workflow_id).filter(status__in=ENDED_LETTERS)


def attempts_of_workflow(workflow_id: int) -> QuerySet[JobInstance]:
    """All attempts of a workflow, whatever the run."""
    runs = WorkflowRun.objects.filter(workflow_id=workflow_id).values("id")
    return JobInstance.objects.filter(workflow_run_id__in=runs)
