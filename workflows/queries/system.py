"""Reads about the server itself: executors, and what is written in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from workflows.models import AuditEntry, ExecutorState, JobInstance, WorkflowRun
from workflows.models.execution import LIVE_LETTERS

SILENT_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ExecutorView:
    state: ExecutorState
    live: dict[str, int]
    runs: int

    @property
    def is_silent(self) -> bool:
        return self.runs > 0 and is_silent(self.state)

    @property
    def is_failing(self) -> bool:
        return self.state.failures_in_a_row > 0


def is_silent(state: ExecutorState) -> bool:
    return state.polled_at is None or state.polled_at < timezone.now() - SILENT_AFTER


def silent_executors() -> list[ExecutorState]:
    """Executors with live runs that were not heard of for five minutes: one query."""
    limit = timezone.now() - SILENT_AFTER
    in_use = WorkflowRun.objects.filter(status="R", created_date__lt=limit).values("executor")
    quiet = Q(polled_at__lt=limit) | Q(polled_at=None, poll_started_at__lt=limit)
    return list(ExecutorState.objects.filter(quiet, name__in=in_use))


def executors() -> list[ExecutorView]:
    """Snapshots only: nothing here asks a batch system. Three queries."""
    states = list(ExecutorState.objects.order_by("name"))
    live = JobInstance.objects.filter(executor_type__in=[state.name for state in states], status__in=LIVE_LETTERS)
    counts: dict[str, dict[str, int]] = {}
    for row in live.values("executor_type", "status").annotate(n=Count("pk")).order_by():
        counts.setdefault(row["executor_type"], {})[row["status"]] = row["n"]
    runs = WorkflowRun.objects.filter(status="R").values_list("executor").annotate(n=Count("pk")).order_by()
    runs_of = dict(runs)
    return [ExecutorView(state, counts.get(state.name, {}), runs_of.get(state.name, 0)) for state in states]


def audit_entries(workflow_id: int | None = None) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.all()
    return entries if workflow_id is None else entries.filter(workflow_id=workflow_id)
