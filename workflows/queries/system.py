"""Reads about the server itself: executors, and what is written in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, TextField, Value
from django.utils import timezone

from workflows.models import AuditEntry, ExecutorState, JobInstance, SystemState, WorkflowRun
from workflows.models.execution import LIVE_LETTERS

SILENT_AFTER = timedelta(minutes=5)
LATE_AFTER = timedelta(minutes=2)


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


def _silent() -> QuerySet[ExecutorState]:
    """Executors with live runs that were not heard of for five minutes."""
    limit = timezone.now() - SILENT_AFTER
    in_use = WorkflowRun.objects.filter(status="R", created_date__lt=limit).values("executor")
    quiet = Q(polled_at__lt=limit) | Q(polled_at=None, poll_started_at__lt=limit)
    return ExecutorState.objects.filter(quiet, name__in=in_use)


@dataclass(frozen=True, slots=True)
class Banner:
    """What everybody should know: an executor (with its last failure) or the sweep was not heard of since then."""

    what: str
    name: str
    since: datetime | None
    failure: str


def banners() -> list[Banner]:
    """Silent executors, and a late sweep: one query."""
    columns = ("what", "name", "since", "words")
    sweep = SystemState.objects.filter(name="sweep", at__lt=timezone.now() - LATE_AFTER)
    late = sweep.annotate(what=Value("sweep"), since=F("at"), words=Value("", output_field=TextField()))
    silent = _silent().annotate(what=Value("executor"), since=F("polled_at"), words=F("failure"))
    return [Banner(*row) for row in late.values_list(*columns).union(silent.values_list(*columns), all=True)]


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
