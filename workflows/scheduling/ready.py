"""Which jobs may start now: all upstreams done, and within the limits of run, tag and executor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from workflows.executor_control import Decided, read_decided
from workflows.models import Job, JobGroup, JobInstance, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import back_ends
from workflows.state_machine import JobStatus

BATCH = 500


@dataclass(frozen=True, slots=True)
class ReadyJob:
    job_id: int
    name: str
    command: str
    executor: str
    slots: int
    mem_free: float
    max_runtime: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How many are live in the run; how many more may start there and per executor (those in `full` take no more), and
    how many an executor may hold of all runs together."""

    live: int
    run: int
    full: frozenset[str]
    executors: dict[str, int]
    most_live: dict[str, int]


def find_limits(run: WorkflowRun) -> Limits:
    live = JobInstance.objects.filter(status__in=LIVE_LETTERS, executor_type__in=back_ends.executor_names())
    per_executor: Counter[str] = Counter()
    own = 0
    for run_id, name, count in live.values_list("workflow_run_id", "executor_type").annotate(n=Count("pk")).order_by():
        per_executor[name] += count
        own += count if run_id == run.pk else 0
    limit = min(run.max_concurrently_running or settings.MAX_CONCURRENTLY_RUNNING, settings.MAX_CONCURRENTLY_RUNNING)
    decided = read_decided()
    most = {name: _most_live(name, decided.get(name, Decided())) for name in back_ends.executor_names()}
    room = {name: number - per_executor[name] for name, number in most.items()}
    return Limits(own, max(0, limit - own), frozenset(name for name, left in room.items() if left <= 0), room, most)


def _most_live(name: str, decided: Decided) -> int:
    """How many attempts this executor may hold now: its own number, or less where a person said so."""
    if decided.hold_reason:
        return 0
    own = back_ends.max_live(name)
    return own if decided.max_live is None else min(own, decided.max_live)


def select_ready(run: WorkflowRun, limits: Limits) -> list[ReadyJob]:
    """The next jobs to start, in the order of the graph."""
    wanted = min(limits.run, BATCH)
    if wanted <= 0:
        return []
    candidates = _may_start(run, limits.full)
    limited = list(_limited_groups(run))
    chosen = (
        list(_take(candidates.exclude(group_id__in=[group for group, _ in limited]), wanted))
        if limited
        else list(_take(candidates, wanted))
    )
    for group, room in limited:
        if room > 0:
            chosen.extend(_take(candidates.filter(group_id=group), min(room, wanted)))
    return _within_executors(run, sorted(chosen, key=lambda job: job.job_id)[:wanted], dict(limits.executors))


def _may_start(run: WorkflowRun, full: frozenset[str]) -> QuerySet[Job]:
    now = timezone.now()
    has_waited = Q(not_before=None) | Q(not_before__lte=now)
    jobs = Job.objects.filter(dag_id=run.workflow.dag_id, upstreams_left=0, is_in_scope=True).filter(has_waited)
    jobs = jobs.filter(
        status__in=[JobStatus.REGISTERED.value, JobStatus.QUEUED.value, JobStatus.ERROR_RECOVERABLE.value]
    )
    if full:
        jobs = jobs.exclude(executor__in=full)
        if run.executor in full:
            jobs = jobs.exclude(executor="")
    return jobs


def _limited_groups(run: WorkflowRun) -> Iterable[tuple[int, int]]:
    """Groups with a limit and how many more of each may start."""
    rows = JobGroup.objects.filter(dag_id=run.workflow.dag_id, max_concurrently_running__isnull=False)
    for group in rows:
        limit = group.max_concurrently_running or 0
        yield group.pk, limit - group.count_i - group.count_r


def _take(jobs: QuerySet[Job], count: int) -> Iterable[ReadyJob]:
    """By status first: the index then gives the rows in order, however large the graph."""
    columns = ("job_id", "name", "command", "executor", "slots", "mem_free", "max_runtime")
    for status in (JobStatus.QUEUED, JobStatus.ERROR_RECOVERABLE, JobStatus.REGISTERED):
        rows = jobs.filter(status=status.value).order_by("job_id").values_list(*columns)[:count]
        for row in rows:
            yield ReadyJob(*row)


def _within_executors(run: WorkflowRun, jobs: list[ReadyJob], room: dict[str, int]) -> list[ReadyJob]:
    chosen = []
    for job in jobs:
        name = job.executor or run.executor
        if room.get(name, 1) > 0:
            room[name] = room.get(name, 1) - 1
            chosen.append(job)
    return chosen
