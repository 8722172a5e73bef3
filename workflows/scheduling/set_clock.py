"""A clock that was set back leaves moments behind that are too far ahead to be meant: a poll that began in an hour, a
lease until then. Nothing would move until the clock is there again, so they are taken back. And a schedule that waits
for the clock is not relied upon: a worker that sees no sweep for long rings for one itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, ExpressionWrapper, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from workflows import bell
from workflows.lifecycle.runs import LONGEST_BACKOFF
from workflows.models import ExecutorState, Job, JobInstance, SystemState, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import back_ends
from workflows.scheduling.reconcile import DISBELIEF
from workflows.state_machine import JobStatus, RunStatus
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
SLACK = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=15)  # between two attempts of a job
SWEEPS_MISSED = 3


def take_back_future() -> int:
    """How many rows had such a moment. Looks without a lock; nearly always there is nothing to write."""
    found = sum(_clear(rows, **values) for rows, values in _find_future())
    if found:
        logger.warning("the clock was set back: %d moments that lay too far ahead were taken back", found)
    return found


def _find_future() -> Iterator[tuple[QuerySet[Any], dict[str, Any]]]:
    """Graphs and executors are named by themselves: the indexes begin with them, and a sweep reads what is live only."""
    now = timezone.now()
    soon = now + SLACK
    runs = WorkflowRun.objects.filter(status=RunStatus.RUNNING.value)
    longest_lease = (
        Now() + SLACK + timedelta(seconds=settings.LEASE_SECONDS)
    )  # the database's clock, as when it was taken
    held = runs.filter(lease_expires_at__gt=ExpressionWrapper(longest_lease, output_field=DateTimeField()))
    waiting = Job.objects.filter(
        status__in=[JobStatus.QUEUED.value, JobStatus.ERROR_RECOVERABLE.value],
        dag_id__in=list(runs.values_list("workflow__dag_id", flat=True)),
        not_before__gt=soon + LONGEST_PAUSE,
    )
    live = JobInstance.objects.filter(status__in=LIVE_LETTERS, executor_type__in=back_ends.executor_names())
    yield runs.filter(backoff_until__gt=soon + LONGEST_BACKOFF), {"backoff_until": None}
    yield held, {"lease_owner": "", "lease_expires_at": None}
    yield ExecutorState.objects.filter(poll_started_at__gt=soon), {"poll_started_at": None}
    yield ExecutorState.objects.filter(disbelief_until__gt=soon + DISBELIEF), {"disbelief_until": None}
    yield live.filter(absent_since__gt=soon), {"absent_since": None}
    yield waiting, {"not_before": None}


def _clear(rows: QuerySet[Any], **values: Any) -> int:
    """One row at a time: a transaction that holds a single row never waits in a ring."""
    # Not in their order: a database may then read all rows there are.
    keys = rows.order_by().values_list("pk", flat=True)[:10_000]
    return sum(_clear_one(rows.model, key, values) for key in sorted(keys))


@write_transaction
def _clear_one(model: type[Any], key: object, values: dict[str, Any]) -> int:
    return int(model.objects.filter(pk=key).update(**values))


class SweepWatch:
    """Of one worker. Counts on a clock that nobody sets."""

    def __init__(self) -> None:
        self._last: object = None
        self._changed_at: float | None = None

    def look(self, now: float) -> bool:
        """Whether it rang: no sweep has ended for so long that beat is dead or waits for the clock."""
        last = SystemState.objects.filter(name="sweep").values_list("at", flat=True).first()
        if last != self._last or self._changed_at is None:
            self._last, self._changed_at = last, now
            return False
        schedule: dict[str, Any] = settings.CELERY_BEAT_SCHEDULE["sweep"]
        if now - self._changed_at < SWEEPS_MISSED * float(schedule["schedule"]):
            return False
        self._changed_at = now
        bell.send("workflows.tasks.sweep")
        return True
