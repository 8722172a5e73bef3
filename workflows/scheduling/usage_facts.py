"""What pages tell of the attempts of large runs: counted by status and reason, and summed up by what they used. Small
runs are read when a page is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from workflows.lifecycle.moves import lock_workflow
from workflows.models import Job, JobGroup, JobInstance, RunUsage, WorkflowRun
from workflows.outliers import Outlier, find_outliers, pick, read_outlier
from workflows.queries.attempts import count_attempts
from workflows.queries.resources import COLUMNS, READ_AT_ONCE_UP_TO
from workflows.resource_use import Attempt, by_tag
from workflows.state_machine import RunStatus
from workflows.transactions import write_transaction
from workflows.use_map import make_map

MADE_EVERY = timedelta(minutes=2)
# Accounting tells what attempts used some minutes after they ended.
AFTER_THE_END = timedelta(minutes=10)
DONE_READ, FAILED_READ, LEAST_READ = 8_000, 2_000, 40
CHUNK = 500


def refresh_usage() -> None:
    """For runs of large graphs that are live, or were until a moment ago, or ended while nobody swept."""
    now = timezone.now()
    recent = Q(status=RunStatus.RUNNING.value) | Q(ended_at__gte=now - AFTER_THE_END)
    missed = Q(usage__group=None, usage__made_at__lt=F("ended_at"))
    runs = WorkflowRun.objects.filter(recent | missed, workflow__dag__job_count__gt=READ_AT_ONCE_UP_TO).distinct()
    for run in runs.select_related("workflow"):
        made_at = RunUsage.objects.filter(run=run, group=None).values_list("made_at", flat=True).first()
        if made_at is None or made_at < now - MADE_EVERY:
            sum_up(run, now)


def sum_up(run: WorkflowRun, now: datetime) -> None:
    """Read a bounded number of the newest attempts of every group, then write at once."""
    groups = list(JobGroup.objects.filter(dag_id=run.workflow.dag_id).order_by("rank", "name"))
    found = {group: list(_newest_ended(run.pk, group, len(groups))) for group in groups}
    everything = [attempt for attempts in found.values() for attempt in attempts]
    far = find_outliers(everything, _known_outliers(run))
    rows = [_row(run, None, everything, now, pick(far))]
    rows += [
        _row(run, group, attempts, now, [one for one in far if one.tag == group.name])
        for group, attempts in found.items()
        if attempts
    ]
    tallies = [[tally.status, tally.reason, tally.attempts] for tally in count_attempts(run.pk)]
    _store(run, rows, tallies)


def _newest_ended(run_id: int, group: JobGroup, groups: int) -> Iterator[Attempt]:
    for letter, most in (("D", DONE_READ), ("F", FAILED_READ), ("E", FAILED_READ)):
        jobs = Job.objects.filter(group=group, status=letter).order_by("-job_id")
        ids = list(jobs.values_list("job_id", flat=True)[: max(most // groups, LEAST_READ)])
        for start in range(0, len(ids), CHUNK):
            attempts = JobInstance.objects.filter(job_id__in=ids[start : start + CHUNK], status__in=["D", "E"])
            for row in attempts.filter(workflow_run_id=run_id).values_list(*COLUMNS):
                yield Attempt.from_row(row)


def _known_outliers(run: WorkflowRun) -> list[Outlier]:
    """Those of the last sum, of every tag: their attempts may no longer be among the newest."""
    rows = RunUsage.objects.filter(run=run, group__isnull=False).values_list("outliers", flat=True)
    return [read_outlier(stored) for outliers in rows for stored in outliers or []]


def _row(
    run: WorkflowRun, group: JobGroup | None, attempts: Sequence[Attempt], now: datetime, far: Sequence[Outlier]
) -> RunUsage:
    return RunUsage(
        run=run,
        group=group,
        made_at=now,
        attempts=len(attempts),
        uses=[asdict(use) for use in by_tag(attempts)],
        cells=[asdict(cell) for cell in make_map(attempts)],
        outliers=[asdict(outlier) for outlier in far],
    )


@write_transaction
def _store(run: WorkflowRun, rows: Sequence[RunUsage], tallies: list[list[object]]) -> None:
    lock_workflow(run.workflow_id)  # two sweeps at once: one set of rows is left, not two
    WorkflowRun.objects.filter(pk=run.pk).update(tallies=tallies)
    RunUsage.objects.filter(run=run).delete()
    RunUsage.objects.bulk_create(rows)
