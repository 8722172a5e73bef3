"""An attempt's way: intent, submitted, running, ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils import timezone

from executors import faults
from executors.base import Resources
from workflows import state_machine
from workflows.bulk import (
    KEY,
    LETTER,
    MOMENT,
    TEXT,
    RowUpdate,
    allocate_ids,
    as_stored,
    chunked,
    insert_rows,
    update_rows,
)
from workflows.lifecycle.moves import Ledger, LockedJob, jobs_of, lock_jobs, lock_live, lock_run, log_moves, move_jobs
from workflows.models import ExecutorState, JobInstance
from workflows.models.execution import LIVE_LETTERS
from workflows.state_machine import InstanceStatus, JobStatus, RunStatus
from workflows.transactions import write_transaction

MOST_NAME_BYTES = 200
STORE_SUBMITTED = RowUpdate(
    "job_instance",
    "status = 'B', executor_id = {executor_id}, status_date = {now}, absent_since = NULL",
    "job_instance_id = {instance} AND status = 'I'",
    (("executor_id", TEXT), ("now", MOMENT), ("instance", KEY)),
)
STORE_OBSERVATION = RowUpdate(
    "job_instance",
    "status = {status}, status_date = COALESCE({since}, status_date), executor_id = COALESCE({executor_id}, executor_id),"
    " nodename = COALESCE({host}, nodename), started_at = COALESCE({started}, started_at),"
    " phase = COALESCE({phase}, phase), phase_message = COALESCE({message}, phase_message), absent_since = NULL",
    "job_instance_id = {instance} AND status = {before}",
    (
        ("status", LETTER), ("since", MOMENT), ("executor_id", TEXT), ("host", TEXT), ("started", MOMENT),
        ("phase", TEXT), ("message", TEXT), ("instance", KEY), ("before", LETTER),
    ),
)  # fmt: skip
MAY_START = frozenset({JobStatus.REGISTERED, JobStatus.QUEUED, JobStatus.ERROR_RECOVERABLE})
INSTANCE_COLUMNS = (
    "job_instance_id", "job_id", "workflow_run_id", "executor_type", "nodename", "reason", "evidence", "status",
    "submitted_date", "status_date", "name", "batch", "batch_index", "attempt", "slots", "mem_free", "max_runtime",
    "stdout_path", "stderr_path", "phase", "phase_message", "kill_asked_by", "kill_then",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IntentPlan:
    """One attempt that shall be made. Members of a batch stand together and have the same `batch_key`."""

    job_id: int
    job_name: str
    executor: str
    batch_key: int
    is_single: bool
    resources: Resources
    stdout_folder: str
    stderr_folder: str


@dataclass(frozen=True, slots=True)
class Intended:
    """An attempt whose intent is committed."""

    plan: IntentPlan
    instance_id: int
    name: str
    batch: str
    index: int
    stdout_path: str
    stderr_path: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a listing or a token showed of a live attempt. None leaves the stored value as it is."""

    instance_id: int
    status: InstanceStatus
    executor_id: str | None = None
    host: str | None = None
    started_at: datetime | None = None
    phase: str | None = None
    phase_message: str = ""
    is_absent: bool = False


def _output_path(folder: str, job_name: str, letter: str, instance_id: int) -> str:
    """A file name holds 255 bytes, a job's name more; the number keeps it unique."""
    name = job_name.encode()[:MOST_NAME_BYTES].decode(errors="ignore")
    return f"{folder.rstrip('/')}/{name}.{letter}{instance_id}" if folder else ""


def _may_start(job: LockedJob) -> bool:
    """Seen under the lock: a reset may have come since the job was chosen."""
    return job.status in MAY_START and job.upstreams_left == 0


def _leave_out_crowded(plans: Sequence[IntentPlan], most_live: Mapping[str, int]) -> list[IntentPlan]:
    """Those that find room in their executor. Runs that start jobs in it at the same time wait here for each other: each
    of them saw the room that the others take."""
    names = {plan.executor for plan in plans}.intersection(most_live)
    states = ExecutorState.objects.select_for_update().filter(name__in=names).order_by("pk")
    list(states.values_list("pk"))
    live = JobInstance.objects.filter(status__in=LIVE_LETTERS, executor_type__in=names).order_by()
    counted = dict(live.values_list("executor_type").annotate(n=Count("pk")))
    room = {name: most_live[name] - counted.get(name, 0) for name in names}
    kept: list[IntentPlan] = []
    for plan in plans:
        room[plan.executor] = room.get(plan.executor, len(plans)) - 1
        if room[plan.executor] >= 0:
            kept.append(plan)
    return kept


def _name_attempts(plans: Sequence[IntentPlan], first_id: int, deployment: str) -> list[Intended]:
    intended: list[Intended] = []
    batch, index, key = "", 0, -1
    for instance_id, plan in enumerate(plans, first_id):
        if plan.is_single:
            batch, index = f"jm{deployment}-{instance_id}", 0
        elif plan.batch_key != key:
            batch, index = f"jm{deployment}-b{instance_id}", 1
        else:
            index += 1
        key = plan.batch_key
        intended.append(
            Intended(
                plan=plan,
                instance_id=instance_id,
                name=batch if index == 0 else f"{batch}.{index}",
                batch=batch,
                index=index,
                stdout_path=_output_path(plan.stdout_folder, plan.job_name, "o", instance_id),
                stderr_path=_output_path(plan.stderr_folder, plan.job_name, "e", instance_id),
            )
        )
    return intended


@write_transaction
def record_intents(
    run_id: int,
    plans: Sequence[IntentPlan],
    deployment: str,
    fence: int | None = None,
    most_live: Mapping[str, int] | None = None,
) -> list[Intended]:
    """Commit the intent to start these jobs; jobs that cannot start any more are left out. Nothing outside the
    database has been touched yet.

    `fence`: of the lease under which the jobs were chosen. Whoever has taken the run since has counted anew, and only
    what they choose keeps to its limits. `most_live`: executor → attempts it may hold, of all runs together."""
    workflow, run = lock_run(run_id)
    if run.status != RunStatus.RUNNING or run.stopping or run.hold_reason or fence not in (None, run.fence):
        return []
    now = timezone.now()
    jobs = lock_jobs(plan.job_id for plan in plans)
    startable = [plan for plan in plans if (job := jobs.get(plan.job_id)) is not None and _may_start(job)]
    startable = _leave_out_crowded(startable, most_live or {})
    if not startable:
        return []
    intended = _name_attempts(startable, allocate_ids("job_instance", len(startable)), deployment)
    ledger = Ledger(workflow)
    moved = [jobs[item.plan.job_id] for item in intended]
    move_jobs(ledger, moved, JobStatus.INSTANTIATED, now, submitted_date=now, not_before=None)
    insert_rows(
        "job_instance", INSTANCE_COLUMNS, [_instance_row(item, run_id, jobs, as_stored(now)) for item in intended]
    )
    log_moves((item.instance_id, InstanceStatus.INSTANTIATED, now) for item in intended)
    ledger.close()
    faults.point("before_intent_commit")
    return intended


def _instance_row(item: Intended, run_id: int, jobs: dict[int, LockedJob], now: Any) -> tuple[Any, ...]:
    plan = item.plan
    return (
        item.instance_id, plan.job_id, run_id, plan.executor, "", "", "", InstanceStatus.INSTANTIATED.value,
        now, now, item.name, item.batch, item.index, jobs[plan.job_id].num_attempts + 1, plan.resources.slots,
        plan.resources.mem_free, plan.resources.max_runtime, item.stdout_path, item.stderr_path, "", "", "", "",
    )  # fmt: skip


@write_transaction
def record_recovered(run_id: int, found: Sequence[Intended], intended_at: Mapping[int, datetime]) -> list[int]:
    """Attempts that were made by this server and that a restored database does not know: they become intents again,
    with their own ids and names, and their jobs wait for what became of them. Answers the ids of those taken up; a job
    that is done or has a live attempt keeps what it has."""
    workflow, run = lock_run(run_id)
    if run.status != RunStatus.RUNNING:
        return []
    now = timezone.now()
    ids = [item.instance_id for item in found]
    jobs = lock_jobs(item.plan.job_id for item in found)
    known = set(JobInstance.objects.filter(pk__in=ids).values_list("pk", flat=True))
    new = [item for item in found if item.instance_id not in known and _may_be_taken_up(jobs.get(item.plan.job_id))]
    ledger = Ledger(workflow)
    move_jobs(
        ledger,
        [jobs[item.plan.job_id] for item in new],
        JobStatus.INSTANTIATED,
        now,
        submitted_date=now,
        not_before=None,
    )
    rows = [_instance_row(item, run_id, jobs, as_stored(intended_at[item.instance_id])) for item in new]
    insert_rows("job_instance", INSTANCE_COLUMNS, rows)
    log_moves((item.instance_id, InstanceStatus.INSTANTIATED, intended_at[item.instance_id]) for item in new)
    ledger.close()
    return [item.instance_id for item in new]


def _may_be_taken_up(job: LockedJob | None) -> bool:
    return job is not None and (job.status in MAY_START or job.status is JobStatus.ERROR_FATAL)


@write_transaction
def record_submitted(run_id: int, executor_ids: dict[int, str]) -> int:
    """I → B for accepted attempts: instance id → executor id. Those that have moved on stay as they are."""
    workflow, _run = lock_run(run_id)
    now = timezone.now()
    ids = sorted(executor_ids)
    still: list[int] = []
    for chunk in chunked(ids):
        rows = JobInstance.objects.select_for_update().filter(pk__in=chunk, status=InstanceStatus.INSTANTIATED.value)
        still.extend(rows.order_by("pk").values_list("pk", flat=True))
    update_rows(STORE_SUBMITTED, [(executor_ids[instance_id], as_stored(now), instance_id) for instance_id in still])
    log_moves((instance_id, InstanceStatus.SUBMITTED, now) for instance_id in still)
    ledger = Ledger(workflow, has_changed=bool(still))
    ledger.close()
    return len(still)


@write_transaction
def record_observed(run_id: int, observations: Sequence[Observation]) -> int:
    """What a listing showed: attempts rise to B or R, their phase, host and absence are noted."""
    workflow, _run = lock_run(run_id)
    now = timezone.now()
    seen = {observation.instance_id: observation for observation in observations}
    job_of = jobs_of(list(seen))
    jobs = lock_jobs(job_of.values())
    current = lock_live(list(seen))
    ledger = Ledger(workflow)
    moves, running, absent, rows = [], [], [], []
    for instance_id, found in sorted(current.items()):
        observation, old = seen[instance_id], found.status
        rises = state_machine.rises(old, observation.status)
        if rises:
            moves.append((instance_id, observation.status, observation.started_at or now))
            if observation.status is InstanceStatus.RUNNING:
                running.append(jobs[job_of[instance_id]])
        told = (observation.phase, observation.phase_message)
        if rises or (observation.phase is not None and told != (found.phase, found.phase_message)):
            ledger.has_changed = True
        if observation.is_absent:
            absent.append(instance_id)
        else:
            rows.append(_observed_row(observation, old, rises, now))
    update_rows(STORE_OBSERVATION, rows)
    _note_absent(absent, now)
    move_jobs(ledger, [job for job in running if job.status is JobStatus.INSTANTIATED], JobStatus.RUNNING, now)
    log_moves(moves)
    ledger.close()
    return len(moves)


def _observed_row(seen: Observation, old: InstanceStatus, rises: bool, now: datetime) -> tuple[Any, ...]:
    return (
        seen.status.value if rises else old.value, as_stored(now) if rises else None, seen.executor_id or None,
        seen.host or None, as_stored(seen.started_at) if rises else None, seen.phase,
        None if seen.phase is None else seen.phase_message, seen.instance_id, old.value,
    )  # fmt: skip


def _note_absent(instance_ids: Sequence[int], now: datetime) -> None:
    """Since when they are missing: from the first listing that lacked them."""
    for chunk in chunked(instance_ids):
        JobInstance.objects.filter(pk__in=chunk, absent_since=None).update(absent_since=now)
