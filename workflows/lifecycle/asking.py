"""What a new run asks for beyond the last one: more attempts, and more memory or run time for what ended for want of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F, FloatField, IntegerField, QuerySet, Value
from django.db.models.functions import Cast, Ceil, Least

from workflows.models import ErrorGroup, Job, Workflow
from workflows.state_machine import JobStatus, Reason

GROWTH = 1.5
MOST_GB, MOST_SECONDS = 100_000.0, 10**8


@dataclass(frozen=True, slots=True)
class MoreAsked:
    """`max_attempts`: for every job that will be tried; the others are for jobs whose last attempt ended so."""

    max_attempts: int | None = None
    memory: bool = False
    runtime: bool = False

    def as_json(self) -> dict[str, Any]:
        said = {"max_attempts": self.max_attempts, "memory": self.memory, "runtime": self.runtime}
        return {name: GROWTH if value is True else value for name, value in said.items() if value}


def ask_for_more(workflow: Workflow, more: MoreAsked) -> None:
    """Before the failed jobs of the scope go back to waiting. Inside the transaction of the start."""
    jobs = Job.objects.filter(dag_id=workflow.dag_id, is_in_scope=True).exclude(status=JobStatus.DONE.value)
    if more.max_attempts is not None:
        jobs.update(max_attempts=more.max_attempts)
    failed = jobs.filter(status__in=[JobStatus.ERROR_FATAL.value, JobStatus.ERROR_RECOVERABLE.value])
    if more.memory:
        grown = Least(F("mem_free") * GROWTH, Value(MOST_GB), output_field=FloatField())
        failed.filter(error_group_id__in=_ended_for(workflow, Reason.MEMORY)).update(mem_free=grown)
    if more.runtime:
        longer = Least(Ceil(Cast(F("max_runtime"), FloatField()) * GROWTH), Value(float(MOST_SECONDS)))
        short = failed.filter(error_group_id__in=_ended_for(workflow, Reason.RUNTIME), max_runtime__isnull=False)
        short.update(max_runtime=Cast(longer, IntegerField()))


def _ended_for(workflow: Workflow, reason: Reason) -> QuerySet[Any]:
    return ErrorGroup.objects.filter(workflow=workflow, reason=reason.value).values("id")
