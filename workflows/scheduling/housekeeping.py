"""What the sweep does every half minute: finds the runs to look at, and tidies up."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from workflows import lifecycle
from workflows.models import Draft, IdempotencyRecord, Job, JobEdge, WorkflowRun
from workflows.scheduling.intents import remove_old_journals
from workflows.scheduling.purge import find_orphans, remove_graph
from workflows.scheduling.retention import sweep_batches
from workflows.state_machine import JobStatus, RunStatus
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
DRAFT_LIFE = timedelta(hours=24)
SESSIONS_AT_ONCE = 500
VERIFY_EVERY = 600.0
ORPHAN_BATCHES = 40  # of 500 jobs in each sweep
_verified: dict[int, float] = {}


def sweep() -> list[int]:
    """The ids of all live runs, after tidying up."""
    oldest = timezone.now() - DRAFT_LIFE
    if any(model.objects.filter(created_at__lt=oldest).exists() for model in (Draft, IdempotencyRecord)):
        remove_old_requests()
    sweep_batches()
    remove_old_journals()
    remove_expired_sessions()
    for dag_id in find_orphans()[:1]:
        remove_graph(dag_id, ORPHAN_BATCHES)
    live = WorkflowRun.objects.filter(status=RunStatus.RUNNING.value).select_related("workflow")
    runs = {run.pk: run for run in live.only("workflow__dag_id", "workflow__created_date")}
    for run in runs.values():
        if is_verification_due(run, time.monotonic()):
            _verified[run.pk] = time.monotonic()
            verify_readiness(run.pk, run.workflow.dag_id)
    for run_id in [run_id for run_id in _verified if run_id not in runs]:
        del _verified[run_id]
    return list(runs)


def is_verification_due(run: WorkflowRun, now: float) -> bool:
    """As soon as a run is there, and every ten minutes. A graph was counted as it was committed. `now`: by the monotonic
    clock."""
    age = max(0.0, (timezone.now() - run.workflow.created_date).total_seconds())
    return now - _verified.setdefault(run.pk, now - age) > VERIFY_EVERY


def remove_expired_sessions() -> None:
    """Those that nobody used in time, some in each sweep: what is kept of a person does not grow with the years."""
    expired = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
    if keys := list(expired.values_list("pk", flat=True)[:SESSIONS_AT_ONCE]):
        _remove_sessions(keys)


@write_transaction
def _remove_sessions(keys: Sequence[str]) -> None:
    """Unless they were used meanwhile."""
    Session.objects.filter(pk__in=keys, expire_date__lt=timezone.now()).delete()


def verify_readiness(run_id: int, dag_id: int) -> int:
    """Compare the counted upstreams with the edges; repair and raise the alarm where they differ, which no known
    sequence of events can bring about. Answers how many jobs were wrong."""
    suspects = find_miscounted(dag_id)
    if not suspects:
        return 0
    repaired = lifecycle.repair_readiness(run_id, suspects)
    if repaired:
        logger.error(
            "ALARM: upstreams of %d jobs in graph %d were miscounted and have been counted again", repaired, dag_id
        )
    return repaired


def verify_all_readiness() -> int:
    """The same for every live run, at once. Graphs at rest are counted anew when they are resumed."""
    live = WorkflowRun.objects.filter(status=RunStatus.RUNNING.value).order_by("pk")
    return sum(verify_readiness(run_id, dag_id) for run_id, dag_id in live.values_list("pk", "workflow__dag_id"))


def find_miscounted(dag_id: int) -> list[int]:
    """Jobs whose `upstreams_left` is not the number of their upstreams that are not done."""
    left = (
        JobEdge.objects.filter(downstream_id=OuterRef("pk"))
        .exclude(upstream__status=JobStatus.DONE.value)
        .order_by()
        .values("downstream_id")
        .annotate(n=Count("upstream_id"))
        .values("n")
    )
    jobs = Job.objects.filter(dag_id=dag_id).annotate(counted=Coalesce(Subquery(left), 0))
    return list(jobs.exclude(upstreams_left=F("counted")).values_list("pk", flat=True)[:10_000])


@write_transaction
def remove_old_requests() -> None:
    """What nobody committed, and answers that nobody asks for any more."""
    Draft.objects.filter(created_at__lt=timezone.now() - DRAFT_LIFE).delete()
    IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - DRAFT_LIFE).delete()
