"""How attempts end, and what their jobs, the error groups and the downstream learn of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, FloatField, IntegerField, Value
from django.db.models.functions import Cast, Ceil, Least
from django.utils import timezone

from executors import faults
from executors.base import Usage
from workflows.bulk import (
    KEY,
    LETTER,
    MOMENT,
    NUMBER,
    REAL,
    TEXT,
    RowUpdate,
    as_stored,
    chunked,
    insert_rows,
    update_rows,
)
from workflows.error_counts import add_hosts, add_to_trend
from workflows.lifecycle.moves import (
    Ledger,
    LockedAttempt,
    LockedJob,
    jobs_of,
    lock_jobs,
    lock_live,
    lock_run,
    log_moves,
    move_jobs,
    tell_downstream,
)
from workflows.models import ErrorGroup, Job, JobInstance, Workflow
from workflows.state_machine import (
    JOB_LIVE,
    InstanceStatus,
    JobStatus,
    Reason,
    WorkflowStatus,
    job_after_attempt,
    uses_attempt,
)
from workflows.transactions import write_transaction

FAILED_LETTERS = (JobStatus.ERROR_RECOVERABLE, JobStatus.ERROR_FATAL)
END_INSTANCE = RowUpdate(
    "job_instance",
    "status = {status}, status_date = {now}, ended_at = {ended}, reason = {reason}, evidence = {evidence},"
    " exit_code = {code}, exit_signal = {signal}, started_at = COALESCE(started_at, {started}), wallclock = {wallclock},"
    " cpu = {cpu}, maxvmem = {maxvmem}, io = {io}, nodename = CASE WHEN {host} <> '' THEN {host} ELSE nodename END,"
    " process_group_id = COALESCE({process_group}, process_group_id),"
    " executor_id = COALESCE({executor_id}, executor_id), phase = '', phase_message = '', absent_since = NULL",
    "job_instance_id = {instance} AND status = {before}",
    (
        ("status", LETTER), ("now", MOMENT), ("ended", MOMENT), ("reason", TEXT), ("evidence", TEXT), ("code", NUMBER),
        ("signal", NUMBER), ("started", MOMENT), ("wallclock", REAL), ("cpu", REAL), ("maxvmem", NUMBER), ("io", NUMBER),
        ("host", TEXT), ("process_group", NUMBER), ("executor_id", TEXT), ("instance", KEY), ("before", LETTER),
    ),
)  # fmt: skip
ADD_USAGE = RowUpdate(
    "job_instance",
    "wallclock = COALESCE(wallclock, {wallclock}), cpu = COALESCE(cpu, {cpu}),"
    " maxvmem = COALESCE(maxvmem, {maxvmem}), io = COALESCE(io, {io})",
    "job_instance_id = {instance} AND status IN ('D', 'E')",
    (("wallclock", REAL), ("cpu", REAL), ("maxvmem", NUMBER), ("io", NUMBER), ("instance", KEY)),
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended; `reason` None is success. `description` goes to the error log, under `fingerprint` and
    `title`; `known_at` is when the server learned of it, if not now. A retry after `memory` or `runtime` asks for more, up to the caps (GB, seconds)."""

    instance_id: int
    reason: Reason | None
    evidence: str
    exit_code: int | None = None
    signal: int | None = None
    host: str = ""
    process_group_id: int | None = None
    executor_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    description: str = ""
    fingerprint: str = ""
    title: str = ""
    next_try_after: timedelta | None = None
    known_at: datetime | None = None
    memory_cap: float | None = None
    runtime_cap: int | None = None


@write_transaction
def record_ended(run_id: int, endings: Sequence[Ending]) -> list[int]:
    """Apply outcomes: instances end, jobs become what the state machine says, the downstream learns of it, all or
    nothing. Overtaken outcomes are left out; answers the ids of those applied."""
    faults.point("after_exit_read")
    workflow, _run = lock_run(run_id)
    now = timezone.now()
    by_id = {ending.instance_id: ending for ending in endings}
    job_of = jobs_of(by_id)
    jobs = lock_jobs(job_of.values())
    live = lock_live(by_id)
    applied = [by_id[instance_id] for instance_id in sorted(live)]
    ledger = Ledger(workflow)
    _end_instances(applied, {instance_id: found.status for instance_id, found in live.items()}, now)
    groups = _count_errors(workflow, run_id, applied, now)
    _log_errors(applied, groups, now)
    _end_jobs(ledger, applied, jobs, job_of, live, now)
    _assign_groups(applied, groups, job_of)
    _ask_for_more(applied, job_of)
    ledger.close()
    return [ending.instance_id for ending in applied]


def _end_instances(endings: Sequence[Ending], old: Mapping[int, InstanceStatus], now: datetime) -> None:
    rows, moves = [], []
    for ending in endings:
        status = InstanceStatus.DONE if ending.reason is None else InstanceStatus.ERROR
        before = old[ending.instance_id]
        rows.append(_ending_row(ending, status, before, now))
        if before is not InstanceStatus.RUNNING and ending.started_at is not None:
            moves.append((ending.instance_id, InstanceStatus.RUNNING, ending.started_at))
        moves.append((ending.instance_id, status, ending.known_at or now))
    update_rows(END_INSTANCE, rows)
    log_moves(moves)


def _ending_row(ending: Ending, status: InstanceStatus, before: InstanceStatus, now: datetime) -> tuple[Any, ...]:
    usage = ending.usage
    return (
        status.value, as_stored(now), as_stored(ending.ended_at or now), ending.reason.value if ending.reason else "",
        ending.evidence, ending.exit_code, ending.signal, as_stored(ending.started_at), usage.wallclock, usage.cpu,
        usage.maxvmem, usage.io, ending.host, ending.process_group_id, ending.executor_id,
        ending.instance_id, before.value,
    )  # fmt: skip


def _count_errors(workflow: Workflow, run_id: int, endings: Collection[Ending], now: datetime) -> dict[str, int]:
    """Fingerprint → id of its group, which has counted these attempts. A group marked fixed is open again."""
    counts = Counter(ending.fingerprint for ending in endings if ending.fingerprint)
    if not counts:
        return {}
    first = {ending.fingerprint: ending for ending in reversed(list(endings)) if ending.fingerprint}
    groups = ErrorGroup.objects.filter(workflow=workflow, fingerprint__in=list(counts))
    known = set(groups.values_list("fingerprint", flat=True))
    for fingerprint in sorted(counts.keys() - known):
        ErrorGroup.objects.create(
            workflow=workflow,
            fingerprint=fingerprint,
            title=first[fingerprint].title[:255],
            reason=first[fingerprint].reason or "",
            first_seen_at=now,
            last_seen_at=now,
            first_run_id=run_id,
        )
    tallies = {row[0]: row[1:] for row in groups.values_list("fingerprint", "trend", "hosts")}
    for fingerprint, count in sorted(counts.items()):
        trend, hosts = tallies.get(fingerprint, (None, None))
        failed_on = [ending.host for ending in endings if ending.fingerprint == fingerprint]
        rows = ErrorGroup.objects.filter(workflow=workflow, fingerprint=fingerprint)
        rows.update(
            attempts=F("attempts") + count, last_seen_at=now,
            trend=add_to_trend(trend, now.timestamp(), count), hosts=add_hosts(hosts, failed_on),
        )  # fmt: skip
        rows.filter(state="fixed").update(state="open")
    return dict(
        ErrorGroup.objects.filter(workflow=workflow, fingerprint__in=list(counts)).values_list("fingerprint", "pk")
    )


def _log_errors(endings: Sequence[Ending], groups: Mapping[str, int], now: datetime) -> None:
    rows = [
        (ending.instance_id, as_stored(now), ending.description, groups.get(ending.fingerprint))
        for ending in endings
        if ending.description
    ]
    insert_rows("job_instance_error_log", ("job_instance_id", "error_time", "description", "error_group_id"), rows)


def _end_jobs(
    ledger: Ledger,
    endings: Sequence[Ending],
    jobs: Mapping[int, LockedJob],
    job_of: Mapping[int, int],
    live: Mapping[int, LockedAttempt],
    now: datetime,
) -> None:
    """Jobs with the same outcome move in one statement."""
    outcomes: dict[tuple[JobStatus, int, timedelta | None], list[LockedJob]] = defaultdict(list)
    for ending in endings:
        job = jobs[job_of[ending.instance_id]]
        if job.status not in JOB_LIVE:
            continue
        used = job.num_attempts + uses_attempt(ending.reason)
        new = job_after_attempt(ending.reason, used, job.max_attempts)
        if ending.reason is Reason.KILLED and live[ending.instance_id].kill_then == "fail":
            new = JobStatus.ERROR_FATAL
        outcomes[new, used, ending.next_try_after].append(job)
    done: list[int] = []
    for (new, used, pause), moved in outcomes.items():
        waits = pause is not None and new in (JobStatus.QUEUED, JobStatus.ERROR_RECOVERABLE)
        move_jobs(ledger, moved, new, now, num_attempts=used, not_before=now + pause if waits and pause else None)
        if new is JobStatus.DONE:
            done.extend(job.job_id for job in moved)
    if done:
        faults.point("before_downstream")
        tell_downstream(done, now)


def _assign_groups(endings: Sequence[Ending], groups: Mapping[str, int], job_of: Mapping[int, int]) -> None:
    """A failed job names the group of its latest failure."""
    members: dict[int, list[int]] = defaultdict(list)
    for ending in endings:
        if ending.fingerprint in groups:
            members[groups[ending.fingerprint]].append(job_of[ending.instance_id])
    for group_id, job_ids in sorted(members.items()):
        for chunk in chunked(sorted(job_ids)):
            Job.objects.filter(pk__in=chunk).update(error_group_id=group_id)


def _ask_for_more(endings: Sequence[Ending], job_of: Mapping[int, int]) -> None:
    """The next attempt of a job that ended for memory or run time asks for more of it."""
    short: dict[tuple[Reason, float | None], list[int]] = defaultdict(list)
    for ending in endings:
        if ending.reason is Reason.MEMORY:
            short[Reason.MEMORY, ending.memory_cap].append(job_of[ending.instance_id])
        elif ending.reason is Reason.RUNTIME:
            short[Reason.RUNTIME, ending.runtime_cap].append(job_of[ending.instance_id])
    for (reason, cap), job_ids in short.items():
        column = "mem_free" if reason is Reason.MEMORY else "max_runtime"
        grown: Any = Cast(F(column), FloatField()) * (1 + F("resource_scale"))
        if cap is not None:
            grown = Least(grown, Value(float(cap), output_field=FloatField()))
        if reason is Reason.RUNTIME:
            grown = Cast(Ceil(grown), IntegerField())
        for chunk in chunked(sorted(job_ids)):
            retried = Job.objects.filter(
                pk__in=chunk, status=JobStatus.ERROR_RECOVERABLE, **{f"{column}__isnull": False}
            )
            retried.update(**{column: grown})


@write_transaction
def record_usage(run_id: int, usages: Mapping[int, Usage]) -> int:
    """Fill up what ended attempts (instance id → usage) have used; what was measured before stands."""
    workflow, _run = lock_run(run_id)
    rows = [(usage.wallclock, usage.cpu, usage.maxvmem, usage.io, pk) for pk, usage in sorted(usages.items())]
    filled = update_rows(ADD_USAGE, rows)
    Ledger(workflow, has_changed=filled > 0).close()
    return filled


@write_transaction
def record_late_success(run_id: int, ending: Ending) -> bool:
    """An attempt judged E turns out to have succeeded: it becomes D and its job with it, unless a newer attempt is
    live (void that one first). False: nothing was changed."""
    workflow, _run = lock_run(run_id)
    now = timezone.now()
    job_id = JobInstance.objects.values_list("job_id", flat=True).get(pk=ending.instance_id)
    job = lock_jobs([job_id])[job_id]
    attempt = JobInstance.objects.select_for_update().get(pk=ending.instance_id)
    if attempt.status != InstanceStatus.ERROR or job.status is JobStatus.DONE or job.status in JOB_LIVE:
        return False
    update_rows(END_INSTANCE, [_ending_row(ending, InstanceStatus.DONE, InstanceStatus.ERROR, now)])
    log_moves([(ending.instance_id, InstanceStatus.DONE, now)])
    ledger = Ledger(workflow)
    move_jobs(ledger, [job], JobStatus.DONE, now, not_before=None)
    tell_downstream([job_id], now)
    ledger.close()
    _complete_resting(workflow, now)
    return True


def _complete_resting(workflow: Workflow, now: datetime) -> None:
    """A workflow whose last run has ended is done when the last of its jobs is."""
    resting = (WorkflowStatus.STOPPED.value, WorkflowStatus.ERROR.value)
    if not Job.objects.filter(dag_id=workflow.dag_id).exclude(status=JobStatus.DONE.value).exists():
        rows = Workflow.objects.filter(pk=workflow.pk, status__in=resting)
        rows.update(status=WorkflowStatus.DONE.value, status_date=now)
