"""Takes old workflows away, with all that hangs on them: attempts' files and rows, the workflow, its jobs; in batches.

A workflow is old when it is over (done, stopped or in error), has no live run and no live attempt, and its status has
not changed for so long. Files go first: rows without files are found again by the next purge, files without rows never.
Every step may be repeated, so that a purge that was interrupted is finished by the next one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Exists, Model, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from executors.spool import attempt_folder, local_prefix
from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.bulk import chunked
from workflows.models import (
    Job,
    JobEdge,
    JobGroup,
    JobInstance,
    JobInstanceErrorLog,
    JobInstanceStatusLog,
    OperationItem,
    RunMinute,
    TaskDag,
    Workflow,
    WorkflowRun,
)
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling.owned_files import batches_of, remove_owned_files
from workflows.state_machine import RunStatus, WorkflowStatus
from workflows.transactions import write_transaction

AT_ONCE, ROWS_AT_ONCE = 500, 5_000
OVER = (WorkflowStatus.DONE.value, WorkflowStatus.STOPPED.value, WorkflowStatus.ERROR.value)
LONGEST_STORING = timedelta(hours=1)
LOCAL_ENDINGS = ("command", "token", "over", "out", "err")


@dataclass(frozen=True, slots=True)
class Purged:
    """What one workflow had."""

    workflow_id: int
    jobs: int
    attempts: int


def find_old(before: datetime) -> QuerySet[Workflow]:
    """Workflows that are over and were not touched since `before`, oldest first."""
    live_run = WorkflowRun.objects.filter(workflow_id=OuterRef("pk"), status=RunStatus.RUNNING.value)
    live_attempt = JobInstance.objects.filter(workflow_run__workflow_id=OuterRef("pk"), status__in=LIVE_LETTERS)
    old = Workflow.objects.filter(status__in=OVER, status_date__lt=before)
    return old.filter(~Exists(live_run), ~Exists(live_attempt)).order_by("pk")


def count_stored_jobs() -> int:
    return JobGroup.objects.aggregate(total=Sum("jobs"))["total"] or 0


def measure(workflow: Workflow) -> Purged:
    jobs = Job.objects.filter(dag_id=workflow.dag_id).count()
    return Purged(workflow.pk, jobs, JobInstance.objects.filter(job__dag_id=workflow.dag_id).count())


def purge(workflow: Workflow, before: datetime, user: User, *, is_leaving_owners_files: bool = False) -> Purged | None:
    """Remove the workflow. None: somebody has resumed it meanwhile; then nothing is lost that a new run needs. Raises
    FilesStay where files of its owner cannot be removed; then its rows stay too."""
    purged = measure(workflow)
    while attempts := _next_attempts(workflow):
        if not find_old(before).filter(pk=workflow.pk).exists():
            return None
        remove_owned_files(attempts, is_leaving_owners_files)
        for attempt_id in attempts:
            remove_files(attempt_id)
        for batch in batches_of(attempts):
            shutil.rmtree(Path(settings.SPOOL) / "batches" / batch, ignore_errors=True)
        if not _remove_attempts(workflow.pk, before, attempts):
            return None
    if not _thin_out(workflow, before) or not _remove_workflow(workflow, before, purged, user):
        return None
    remove_graph(workflow.dag_id)
    return purged


def find_orphans() -> list[int]:
    """Graphs without a workflow: a purge was interrupted, or the storing of a large graph, whose workflow comes last.
    One that is being stored right now is young."""
    old = TaskDag.objects.filter(workflow=None, created_date__lt=timezone.now() - LONGEST_STORING)
    return list(old.order_by("pk").values_list("pk", flat=True))


def remove_graph(dag_id: int, most_batches: int | None = None) -> None:
    """Of a workflow that is gone: nobody can see or start these jobs any more."""
    batches = 0
    while jobs := _next_jobs(dag_id):
        if batches == most_batches:
            return
        _remove_jobs(jobs)
        batches += 1
    _remove_dag(dag_id)


def _next_attempts(workflow: Workflow) -> list[int]:
    """Newest first, so that what is left of an interrupted purge still has its beginning."""
    rows = JobInstance.objects.filter(workflow_run__workflow_id=workflow.pk).order_by("-pk")
    return list(rows.values_list("pk", flat=True)[:AT_ONCE])


def _next_jobs(dag_id: int) -> list[int]:
    return list(Job.objects.filter(dag_id=dag_id).order_by("-pk").values_list("pk", flat=True)[:AT_ONCE])


def remove_files(attempt_id: int) -> None:
    """The attempt's own files in the spool, in both layouts; output in folders that users named is theirs."""
    root = Path(settings.SPOOL)
    shutil.rmtree(attempt_folder(root, attempt_id), ignore_errors=True)
    for ending in LOCAL_ENDINGS:
        Path(f"{local_prefix(root, attempt_id)}.{ending}").unlink(missing_ok=True)


def _is_still_old(workflow_id: int, before: datetime) -> bool:
    """Locks the workflow, as a resume does: from here to the end of the transaction it stays old."""
    locked = Workflow.objects.select_for_update().filter(pk=workflow_id).first()
    return locked is not None and find_old(before).filter(pk=workflow_id).exists()


def _delete(rows: QuerySet[Model]) -> None:
    """Without looking for what hangs on them: the caller has removed that."""
    rows._raw_delete(rows.db)


@write_transaction
def _remove_attempts(workflow_id: int, before: datetime, ids: list[int]) -> bool:
    if not _is_still_old(workflow_id, before):
        return False
    _delete(JobInstanceStatusLog.objects.filter(job_instance_id__in=ids))
    _delete(JobInstanceErrorLog.objects.filter(job_instance_id__in=ids))
    _delete(JobInstance.objects.filter(pk__in=ids))
    return True


def _thin_out(workflow: Workflow, before: datetime) -> bool:
    """What there may be as much of as jobs and goes with the workflow goes before it, in batches, so that nobody waits
    long for his turn. False: somebody has resumed it."""
    jobs = Job.objects.filter(dag_id=workflow.dag_id, error_group__isnull=False)
    for rows in (
        OperationItem.objects.filter(operation__workflow_id=workflow.pk),
        RunMinute.objects.filter(run__workflow_id=workflow.pk),
        jobs,
    ):
        while ids := list(rows.order_by().values_list("pk", flat=True)[:ROWS_AT_ONCE]):
            if not _thin_batch(workflow.pk, before, rows.model, ids):
                return False
    return True


@write_transaction
def _thin_batch(workflow_id: int, before: datetime, model: type[Model], ids: list[int]) -> bool:
    if not _is_still_old(workflow_id, before):
        return False
    for chunk in chunked(ids):
        rows = model._default_manager.filter(pk__in=chunk)
        if model is Job:  # they go later; the deletion of their error groups would touch them all at once
            rows.update(error_group=None)
        else:
            _delete(rows)
    return True


@write_transaction
def _remove_jobs(ids: list[int]) -> None:
    _delete(JobEdge.objects.filter(Q(upstream_id__in=ids) | Q(downstream_id__in=ids)))
    _delete(Job.objects.filter(pk__in=ids))


@write_transaction
def _remove_dag(dag_id: int) -> None:
    TaskDag.objects.filter(pk=dag_id, workflow=None).delete()


@write_transaction
def _remove_workflow(workflow: Workflow, before: datetime, purged: Purged, user: User) -> bool:
    """With its runs, error groups and operations; the audit log keeps what was done. It is gone for everybody
    before its first job goes: a workflow with a part of its jobs could be resumed."""
    if not _is_still_old(workflow.pk, before):
        return False
    told = {"name": workflow.name, "workflow_args": workflow.workflow_args[:500], "owner": workflow.user}
    told |= {"status": workflow.status, "jobs": str(purged.jobs), "attempts": str(purged.attempts)}
    Workflow.objects.filter(pk=workflow.pk).delete()
    write_audit(Actor(user, "system"), "purge", f"workflow {workflow.pk}", workflow_id=workflow.pk, before=told)
    return True
