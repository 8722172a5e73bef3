"""The live attempts of one executor as the database knows them, read before a listing is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from executors.base import AttemptRef
from workflows.models import JobInstance
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling.collect import Attempt
from workflows.scheduling.judge import Asked
from workflows.state_machine import InstanceStatus

COLUMNS = (
    "job_instance_id", "workflow_run_id", "name", "executor_id", "status", "submitted_date", "absent_since", "phase",
    "phase_message", "stderr_path", "kill_asked_at", "kill_asked_by", "mem_free", "max_runtime",
    "workflow_run__lease_expires_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiveAttempt:
    """A live attempt as the database knew it before the listing was asked for.

    `is_being_submitted`: who made the intent still holds the run's lease, so that it may not have been handed over
    yet. With a slow disk or a slow batch system that takes many seconds."""

    attempt: Attempt
    ref: AttemptRef
    absent_since: datetime | None
    phase: str
    phase_message: str
    is_being_submitted: bool


def read_live(name: str) -> list[LiveAttempt]:
    now = timezone.now()
    rows = JobInstance.objects.filter(executor_type=name, status__in=LIVE_LETTERS).order_by("pk").values_list(*COLUMNS)
    found = []
    for (
        pk,
        run_id,
        attempt_name,
        executor_id,
        status,
        submitted,
        absent,
        phase,
        message,
        stderr,
        kill_at,
        kill_by,
        mem,
        runtime,
        lease,
    ) in rows:
        asked = Asked(pk, kill_at is not None, kill_by, mem, runtime)
        attempt = Attempt(pk, run_id, InstanceStatus(status), "", stderr, asked, name)
        ref = AttemptRef(pk, attempt_name, executor_id, submitted.timestamp())
        is_in_hand = attempt.status is InstanceStatus.INSTANTIATED and is_being_submitted(submitted, lease, now)
        found.append(LiveAttempt(attempt, ref, absent, phase, message, is_in_hand))
    return found


def is_being_submitted(intended: datetime, lease_expires_at: datetime | None, now: datetime) -> bool:
    """The lease is valid, and was when the intent was made: the intents of an earlier holder are nobody's."""
    if lease_expires_at is None or lease_expires_at <= now:
        return False
    return intended >= lease_expires_at - timedelta(seconds=settings.LEASE_SECONDS)
