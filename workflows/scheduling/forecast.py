"""Reads what the estimate of a run's end needs, in bounded reads, and stores the answer with its age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from workflows.directions import fenced
from workflows.estimate import Estimate, Limits, TagState, estimate, estimate_whole
from workflows.lifecycle.moves import lock_run
from workflows.models import GroupEdge, JobGroup, JobInstance, RunForecast, WorkflowRun
from workflows.queries.counts import groups_of
from workflows.scheduling import back_ends
from workflows.scheduling.likes import find_likes, read_durations, read_run_times
from workflows.transactions import write_transaction

MADE_EVERY = timedelta(seconds=55)
ATTEMPTS_READ, EARLIER_RUNS = 5_000, 3
LOCAL = ("local", "sequential")
Times = dict[int, list[float]]


def refresh_forecast(run: WorkflowRun) -> None:
    """Work out anew when this run can end, unless that was done a moment ago."""
    now = timezone.now()
    stored = RunForecast.objects.filter(pk=run.pk).first()
    if stored is None or stored.made_at < now - MADE_EVERY:
        _store(run.pk, forecast(run, now), now)


@write_transaction
def _store(run_id: int, found: Estimate, now: datetime) -> None:
    values = {
        "made_at": now,
        "earliest": found.earliest,
        "latest": found.latest,
        "bound_by": (found.unknown or found.bound_by)[:200],
    }
    lock_run(run_id)  # another sweep may store one now as well
    if RunForecast.objects.filter(pk=run_id).update(**values) == 0:
        RunForecast.objects.create(run_id=run_id, **values)


def forecast(run: WorkflowRun, now: datetime) -> Estimate:
    """The range for what can run: blocked jobs are left out. Where this workflow has not seen enough, earlier ones that
    did the same work help: first tag by tag, then as a whole."""
    if unknown := _find_unknown(run):
        return Estimate(None, None, "", unknown)
    groups = groups_of(run.workflow.dag_id)
    edges = list(GroupEdge.objects.filter(dag_id=run.workflow.dag_id).values_list("upstream_id", "downstream_id"))
    tags, limits = _tags(run, groups, edges, now), _limits(run)
    ring = _find_ring(groups, edges)
    found = estimate(tags, limits, now)
    if not found.wants_samples and not ring:
        return found
    likes = find_likes(run.workflow)
    if likes and not ring:
        times = read_run_times(list(likes))
        tags = [replace(tag, earlier=[*tag.earlier, *times.get(tag.name, ())]) for tag in tags]
        found = estimate(tags, limits, now)
    if ring:
        found = Estimate(None, None, "", ring, wants_samples=not run.hold_reason)
    return _as_a_whole(run, likes, groups, now, found) if found.wants_samples else found


def _as_a_whole(
    run: WorkflowRun, likes: dict[int, int], groups: Sequence[JobGroup], now: datetime, found: Estimate
) -> Estimate:
    """Only a first run in which nothing has failed does what a whole earlier one did."""
    is_first = not WorkflowRun.objects.filter(workflow_id=run.workflow_id, pk__lt=run.pk).exists()
    if not likes or not is_first or any(group.count_f for group in groups):
        return found
    whole = estimate_whole(read_durations(run, likes), (now - run.created_date).total_seconds(), now)
    return found if whole.unknown else whole


def _limits(run: WorkflowRun) -> Limits:
    executors = {
        run.executor: float(back_ends.local_slots() if run.executor in LOCAL else back_ends.max_live(run.executor))
    }
    limit = min(run.max_concurrently_running or settings.MAX_CONCURRENTLY_RUNNING, settings.MAX_CONCURRENTLY_RUNNING)
    return Limits(limit, executors, run.hold_reason)


def _find_unknown(run: WorkflowRun) -> str:
    if run.stopping:
        return "Not known while the run is being stopped."
    if run.scope is not None:
        return "Not known for a run of a part of the jobs."
    return ""


def _find_ring(groups: Sequence[JobGroup], edges: Sequence[tuple[int, int]]) -> str:
    inner = {up for up, down in edges if up == down}
    for group in groups:
        if group.pk in inner and group.count_g - group.count_blocked > 0:
            return f"Not known: jobs of {fenced(group.name)} wait for each other."
    return ""


def _tags(
    run: WorkflowRun, groups: Sequence[JobGroup], edges: Sequence[tuple[int, int]], now: datetime
) -> list[TagState]:
    names = {group.pk: group.name for group in groups}
    upstreams: dict[int, list[str]] = defaultdict(list)
    for up, down in edges:
        if up != down:
            upstreams[down].append(names[up])
    running = _running(run, now)
    samples, slots = _ended([run.pk])
    earlier_runs = WorkflowRun.objects.filter(workflow_id=run.workflow_id, pk__lt=run.pk).order_by("-id")
    earlier, _ = _ended(list(earlier_runs.values_list("pk", flat=True)[:EARLIER_RUNS]))
    is_local = run.executor in LOCAL
    return [
        TagState(
            name=group.name, ready=group.count_q + group.count_e, running=running.get(group.pk, []),
            waiting=max(0, group.count_g - group.count_blocked) + max(0, group.count_i + group.count_r - len(running.get(group.pk, []))),
            samples=samples.get(group.pk, []), earlier=earlier.get(group.pk, []),
            slots=slots.get(group.pk, 1.0) if is_local else 1.0, limit=group.max_concurrently_running,
            executor=run.executor, upstreams=upstreams.get(group.pk, []), jobs=group.jobs,
        )
        for group in groups
    ]  # fmt: skip


def _running(run: WorkflowRun, now: datetime) -> Times:
    """How long each running job has run so far, by group."""
    found: Times = defaultdict(list)
    live = JobInstance.objects.filter(workflow_run=run, status="R", started_at__isnull=False)
    for group, started in live.values_list("job__group_id", "started_at")[:ATTEMPTS_READ]:
        if started is None:
            continue
        found[group].append(max(0.0, (now - started).total_seconds()))
    return found


def _ended(run_ids: Sequence[int]) -> tuple[Times, dict[int, float]]:
    """Run times of the newest attempts that ended well, and their slots on average, by group."""
    times: Times = defaultdict(list)
    slots: Times = defaultdict(list)
    ended = JobInstance.objects.filter(workflow_run_id__in=run_ids, status="D").order_by("-job_instance_id")
    columns = ("job__group_id", "wallclock", "started_at", "ended_at", "slots")
    for group, wallclock, started, end, used in ended.values_list(*columns)[:ATTEMPTS_READ]:
        seconds = wallclock if wallclock is not None else (end - started).total_seconds() if started and end else None
        if seconds is not None:
            times[group].append(seconds)
            slots[group].append(used)
    return times, {group: sum(values) / len(values) for group, values in slots.items()}
