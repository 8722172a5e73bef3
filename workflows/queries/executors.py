"""Reads about executors, from what was stored: nothing here asks a batch system."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Min, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from workflows.models import ErrorGroup, ExecutorMinute, ExecutorState, JobInstance, JobInstanceStatusLog, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.permissions import visible_workflows
from workflows.queries.frame import SILENT_AFTER
from workflows.queries.timeline import Minutes, fold

MOVES_READ = 2_000
REFUSALS_SHOWN = 20
LATELY = timedelta(minutes=10)
DAY = timedelta(hours=24)
DAY_BINS = 180
MINUTE_COLUMNS = ("minute", "waiting", "running")


@dataclass(frozen=True, slots=True)
class ExecutorView:
    """`live`: letter → our attempts; `slots`: those that running ones hold; `backing_off`: runs whose submissions failed,
    the first of which tries again at `next_try`; `given_up`: those that were held for it, the first at `given_up_at`."""

    state: ExecutorState
    live: dict[str, int] = field(default_factory=dict)
    slots: int = 0
    runs: int = 0
    backing_off: int = 0
    next_try: datetime | None = None
    given_up: int = 0
    given_up_at: datetime | None = None

    @property
    def is_silent(self) -> bool:
        polled = self.state.polled_at
        return self.runs > 0 and (polled is None or polled < timezone.now() - SILENT_AFTER)

    @property
    def is_full(self) -> bool:
        """As many of our attempts were with it at the last listing as it may hold."""
        live, limits = self.state.live, [self.state.max_live, self.state.own_max_live]
        return live is not None and any(limit is not None and live >= limit for limit in limits)

    @property
    def most_live(self) -> int | None:
        """Its own number, or less where a person said so; None: not known yet."""
        return min(
            (limit for limit in (self.state.max_live, self.state.own_max_live) if limit is not None), default=None
        )

    @property
    def is_failing(self) -> bool:
        return self.state.failures_in_a_row > 0

    @property
    def advice(self) -> str:
        """What an administrator may change, for as long as it was said within a day: it may have been changed since."""
        due = self.state.reasons_due_at
        return self.state.advice if due is not None and due > timezone.now() - DAY else ""


@dataclass(frozen=True, slots=True)
class Submission:
    """How long handing over took lately, from the intent to the batch system's answer; and how many per minute."""

    count: int
    median: float
    longest: float
    per_minute: float


def list_executors() -> list[ExecutorView]:
    """Two queries, for any number of executors."""
    runs = WorkflowRun.objects.filter(status="R", executor=OuterRef("name")).order_by().values("executor")
    number = Coalesce(Subquery(runs.annotate(n=Count("pk")).values("n")), 0)
    waiting = runs.filter(backoff_until__gt=timezone.now(), hold_reason="")
    held = runs.filter(submit_failures__gt=0).exclude(hold_reason="")  # a person's hold begins the count anew
    in_backoff = Coalesce(Subquery(waiting.annotate(n=Count("pk")).values("n")), 0)
    soonest = Subquery(waiting.annotate(first=Min("backoff_until")).values("first"))
    given_up = Coalesce(Subquery(held.annotate(n=Count("pk")).values("n")), 0)
    since = Subquery(held.annotate(first=Min("held_at")).values("first"))
    states = list(
        ExecutorState.objects.annotate(live_runs=number, in_backoff=in_backoff, soonest=soonest)
        .annotate(given_up=given_up, given_up_at=since)
        .order_by("name")
    )
    live = JobInstance.objects.filter(executor_type__in=[state.name for state in states], status__in=LIVE_LETTERS)
    counts: dict[str, dict[str, int]] = {}
    slots: dict[str, int] = {}
    for name, letter, number, held in (
        live.values_list("executor_type", "status").annotate(n=Count("pk"), held=Sum("job__slots")).order_by()
    ):
        counts.setdefault(name, {})[letter] = number
        slots[name] = slots.get(name, 0) + (held or 0 if letter == "R" else 0)
    return [
        ExecutorView(
            state,
            counts.get(state.name, {}),
            slots.get(state.name, 0),
            getattr(state, "live_runs", 0),
            getattr(state, "in_backoff", 0),
            getattr(state, "soonest", None),
            getattr(state, "given_up", 0),
            getattr(state, "given_up_at", None),
        )
        for state in states
    ]


def read_day(name: str) -> Minutes:
    """What it held in the last 24 hours, in bins that a page has room for: one query."""
    since = timezone.now() - DAY
    rows = ExecutorMinute.objects.filter(executor=name, minute__gte=since).order_by("minute")
    minutes = [(minute, (waiting, running)) for minute, waiting, running in rows.values_list(*MINUTE_COLUMNS)]
    return fold(minutes, False, most=DAY_BINS)


def find_executor(name: str) -> ExecutorState | None:
    return ExecutorState.objects.filter(pk=name).first()


def view_submissions(name: str) -> Submission | None:
    """Of the last ten minutes, as far as the newest 2,000 moves tell: one query. None: nothing was submitted."""
    # Looked up for each move: joined, MariaDB would begin with the attempts and sort all moves ever made.
    attempt = JobInstance.objects.filter(pk=OuterRef("job_instance_id"))
    moves = JobInstanceStatusLog.objects.order_by("-pk").annotate(
        asked=Subquery(attempt.values("submitted_date")), executor=Subquery(attempt.values("executor_type"))
    )
    rows = moves.values_list("status", "status_time", "asked", "executor")[:MOVES_READ]
    since = timezone.now() - LATELY
    return measure(
        [
            (asked, accepted)
            for letter, accepted, asked, executor in rows
            if letter == "B" and executor == name and accepted >= since
        ]
    )


def measure(submissions: Iterable[tuple[datetime, datetime]]) -> Submission | None:
    """From the times of intent and acceptance."""
    pairs = list(submissions)
    if not pairs:
        return None
    seconds = [max(0.0, (accepted - asked).total_seconds()) for asked, accepted in pairs]
    first, last = min(pair[1] for pair in pairs), max(pair[1] for pair in pairs)
    minutes = max(1.0, (last - first).total_seconds() / 60)
    return Submission(len(pairs), statistics.median(seconds), max(seconds), len(pairs) / minutes)


def refusals(user: User | AnonymousUser, name: str) -> list[ErrorGroup]:
    """What the batch system refused last, in its own words, of workflows that this person may see."""
    groups = ErrorGroup.objects.filter(reason="refused", workflow__in=visible_workflows(user), workflow__executor=name)
    return list(groups.select_related("workflow").order_by("-last_seen_at")[:REFUSALS_SHOWN])
