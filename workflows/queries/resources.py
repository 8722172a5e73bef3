"""Bounded reads of what ended attempts used."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from workflows.models import JobInstance, WorkflowRun
from workflows.resource_use import GB, Attempt

DONE_READ, FAILED_READ = 8_000, 2_000
RUNS_OFFERED = 10


def runs_with_ends(workflow_id: int) -> list[WorkflowRun]:
    """The last runs in which an attempt has ended, newest first."""
    ended = JobInstance.objects.filter(workflow_run_id=OuterRef("pk"), status__in=["D", "E"])
    runs = WorkflowRun.objects.filter(workflow_id=workflow_id).filter(Exists(ended))
    return list(runs.order_by("-id")[:RUNS_OFFERED])


def ended_attempts(run_id: int, group_id: int | None = None) -> list[Attempt]:
    """The newest ended attempts of a run, of one group if that is asked: two reads of at most 10,000 rows."""
    columns = ("job_id", "job__group__name", "mem_free", "maxvmem", "max_runtime", "wallclock", "reason")
    found: list[Attempt] = []
    for status, most in (("D", DONE_READ), ("E", FAILED_READ)):
        rows = JobInstance.objects.filter(workflow_run_id=run_id, status=status).order_by("-job_instance_id")
        rows = rows.filter(job__group_id=group_id) if group_id is not None else rows
        for job_id, tag, asked, used, longest, ran, reason in rows.values_list(*columns)[:most]:
            found.append(Attempt(job_id, tag, asked, None if used is None else used / GB, longest, ran, reason))
    return found
