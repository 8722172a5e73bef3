"""Reads for probes and metrics: few, cheap at any size, and nothing that names a person or a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from workflows.models import ErrorGroup, ExecutorState, JobGroup, JobInstance, SystemState, WorkflowRun
from workflows.models.definition import COUNT_FIELDS
from workflows.queries.frame import LATE_AFTER

LATE_SECONDS = LATE_AFTER.total_seconds()
NEARLY_FULL = 0.95
WORKER = "worker "  # the name of a worker's row begins so


@dataclass(frozen=True, slots=True)
class ExecutorFacts:
    """`poll_age`: seconds since the last listing that succeeded; None: there was none."""

    name: str
    poll_age: float | None
    failures_in_a_row: int


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """`heard_at`: when it last heard a message; it says so every minute or so while it does."""

    name: str
    heard_at: datetime

    @property
    def is_silent(self) -> bool:
        return self.heard_at < timezone.now() - LATE_AFTER


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What the last sweep found of the server, and the workers of the last day, silent ones first."""

    facts: dict[str, Any]
    workers: list[WorkerFacts]

    @property
    def disk_used(self) -> float | None:
        """The share of the disk that is used; None where it is not known."""
        total = self.facts.get("disk_total")
        return 1 - self.facts["disk_free"] / total if total else None

    @property
    def is_disk_nearly_full(self) -> bool:
        return (self.disk_used or 0) > NEARLY_FULL


def read_server() -> ServerFacts:
    """One query."""
    rows = SystemState.objects.filter(Q(name="sweep") | Q(name__startswith=WORKER)).order_by("name")
    facts: dict[str, Any] = {}
    workers = []
    for name, at, found in rows.values_list("name", "at", "facts"):
        if name == "sweep":
            facts = found or {}
        else:
            workers.append(WorkerFacts(name.removeprefix(WORKER), at))
    return ServerFacts(facts, sorted(workers, key=lambda worker: not worker.is_silent))


def _age(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (timezone.now() - moment).total_seconds())


def sweep_age() -> float | None:
    """Seconds since the last sweep ended, which takes a beat, a Redis and a worker; None: there was none."""
    return _age(SystemState.objects.filter(name="sweep").values_list("at", flat=True).first())


def count_live_runs() -> int:
    return WorkflowRun.objects.filter(status="R").count()


def count_jobs() -> dict[str, int]:
    """Letter → jobs of all workflows, from the counts that are stored per group."""
    sums = JobGroup.objects.aggregate(**{status.value: Sum(field) for status, field in COUNT_FIELDS.items()})
    return {letter: int(total or 0) for letter, total in sums.items()}


def count_failed_attempts() -> dict[str, int]:
    """Reason → failed attempts of all workflows that are kept, from the counts that are stored per error group."""
    rows = ErrorGroup.objects.values_list("reason").annotate(total=Sum("attempts")).order_by("reason")
    return {reason: int(total or 0) for reason, total in rows}


def count_waiting_attempts() -> dict[str, int]:
    """Executor → attempts that are with it and have not started."""
    rows = JobInstance.objects.filter(status__in=["I", "B"]).values_list("executor_type")
    return dict(rows.annotate(n=Count("pk")).order_by("executor_type"))


def list_executors() -> list[ExecutorFacts]:
    return [
        ExecutorFacts(state.name, _age(state.polled_at), state.failures_in_a_row)
        for state in ExecutorState.objects.order_by("name")
    ]
