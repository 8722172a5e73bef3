"""What a person may do to jobs beyond starting and stopping a run. Each call is one transaction with its audit row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from workflows.actor import Actor
from workflows.audit import sum_up, write_audit
from workflows.bulk import chunked
from workflows.lifecycle.moves import Ledger, LockedJob, lock_jobs, lock_run, lock_workflow, move_jobs, tell_downstream
from workflows.lifecycle.runs import Refused
from workflows.models import ErrorGroup, Job, JobEdge, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.state_machine import JOB_LIVE, JobStatus, RunStatus, WorkflowStatus
from workflows.transactions import write_transaction


@dataclass(frozen=True, slots=True)
class Steered:
    """How many jobs were changed, and which were left alone and why."""

    changed: int
    skipped: dict[int, str]


def _split(jobs: Collection[LockedJob], excluded: dict[JobStatus, str]) -> tuple[list[LockedJob], dict[int, str]]:
    kept = [job for job in jobs if job.status not in excluded]
    return kept, {job.job_id: excluded[job.status] for job in jobs if job.status in excluded}


def _statuses(letters: Iterable[str]) -> dict[str, Any]:
    """For the audit: how many were in which status."""
    return {"statuses": dict(sorted(Counter(letters).items()))}


LIVE_WORDS = dict.fromkeys(JOB_LIVE, "an attempt of it is live; stop that first")


@write_transaction
def reset_jobs(workflow_id: int, job_ids: Sequence[int], actor: Actor) -> Steered:
    """Back to G with all their attempts: done jobs will run again, failed ones are tried again. The downstream of a
    done job waits for it again; what is done behind it stays done unless it is reset as well."""
    workflow = lock_workflow(workflow_id)
    jobs, skipped = _split(lock_jobs(job_ids).values(), LIVE_WORDS)
    now = timezone.now()
    ledger = Ledger(workflow)
    was_done = [job.job_id for job in jobs if job.status is JobStatus.DONE]
    moving = [job for job in jobs if job.status is not JobStatus.REGISTERED]
    move_jobs(
        ledger, moving, JobStatus.REGISTERED, now, num_attempts=0, not_before=None, is_in_scope=True, marked_done_by=""
    )
    waiting = [job.job_id for job in jobs if job.status is JobStatus.REGISTERED]
    for chunk in chunked(sorted(waiting)):
        Job.objects.filter(pk__in=chunk).update(num_attempts=0, not_before=None, is_in_scope=True)
    tell_downstream(was_done, now, step=+1)
    _reopen(workflow)
    ledger.has_changed = bool(jobs)
    ledger.close()
    before = _statuses(job.status.value for job in jobs)
    write_audit(actor, "reset", _target(job_ids), workflow_id=workflow_id, job_count=len(jobs), before=before)
    return Steered(len(jobs), skipped)


def _reopen(workflow: Workflow) -> None:
    """A done workflow with a job to run again is stopped, not done."""
    rows = Workflow.objects.filter(pk=workflow.pk, status=WorkflowStatus.DONE.value)
    rows.update(status=WorkflowStatus.STOPPED.value, status_date=timezone.now())


def _target(job_ids: Sequence[int]) -> str:
    return f"job {job_ids[0]}" if len(job_ids) == 1 else f"{len(job_ids)} jobs"


@write_transaction
def mark_done(workflow_id: int, job_ids: Sequence[int], actor: Actor, note: str = "") -> Steered:
    """A person's word that these need not run: they count as done, and are recorded as such."""
    workflow = lock_workflow(workflow_id)
    excluded = {**LIVE_WORDS, JobStatus.DONE: "it is done already"}
    jobs, skipped = _split(lock_jobs(job_ids).values(), excluded)
    now = timezone.now()
    ledger = Ledger(workflow)
    move_jobs(ledger, jobs, JobStatus.DONE, now, marked_done_by=actor.name, not_before=None)
    tell_downstream([job.job_id for job in jobs], now)
    ledger.close()
    before, after = _statuses(job.status.value for job in jobs), {"note": note} if note else {}
    target, count = _target(job_ids), len(jobs)
    write_audit(actor, "mark-done", target, workflow_id=workflow_id, job_count=count, before=before, after=after)
    return Steered(len(jobs), skipped)


@write_transaction
def ask_kill(workflow_id: int, job_ids: Sequence[int], then: str, actor: Actor) -> Steered:
    """End the live attempts of these jobs; `then` is "retry" (the job goes back to G) or "fail" (it stays failed)."""
    workflow = lock_workflow(workflow_id)
    now = timezone.now()
    asked, letters = 0, list[str]()
    for chunk in chunked(sorted(set(job_ids))):
        live = JobInstance.objects.filter(job_id__in=chunk, status__in=LIVE_LETTERS)
        letters += live.values_list("status", flat=True)
        asked += live.update(kill_asked_at=now, kill_asked_by=actor.name, kill_then=then)
    Ledger(workflow, has_changed=bool(asked)).close()
    before, after = _statuses(letters), {"then": then}
    target = _target(job_ids)
    write_audit(actor, "kill-attempts", target, workflow_id=workflow_id, job_count=asked, before=before, after=after)
    return Steered(asked, {})


def refuse_unknown_tags(workflow_id: int, known: Collection[str], asked: Collection[str]) -> None:
    """Raises Refused."""
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise Refused("unknown-tag", f"Workflow {workflow_id} has no tag {', '.join(map(repr, unknown))}.")


@write_transaction
def set_limits(workflow_id: int, actor: Actor, run_limit: int | None, tag_limits: dict[str, int | None]) -> None:
    """Change how many may run at once: in the whole workflow (None: no limit), and per tag. Holds for the live run."""
    workflow = lock_workflow(workflow_id)
    known = {group.name: group for group in JobGroup.objects.filter(dag_id=workflow.dag_id, is_from_tag=True)}
    refuse_unknown_tags(workflow_id, known, tag_limits)
    before = {
        "run": workflow.max_concurrently_running,
        **{tag: known[tag].max_concurrently_running for tag in tag_limits},
    }
    Workflow.objects.filter(pk=workflow_id).update(max_concurrently_running=run_limit)
    live = WorkflowRun.objects.filter(workflow_id=workflow_id, status=RunStatus.RUNNING.value)
    live.update(max_concurrently_running=run_limit)
    for tag, limit in tag_limits.items():
        JobGroup.objects.filter(pk=known[tag].pk).update(max_concurrently_running=limit)
    Ledger(workflow, has_changed=True).close()
    after = {"run": run_limit, **tag_limits}
    write_audit(actor, "set-limits", f"workflow {workflow_id}", workflow_id=workflow_id, before=before, after=after)


@write_transaction
def change_requests(workflow_id: int, job_ids: Sequence[int], actor: Actor, **values: Any) -> Steered:
    """Change what unfinished jobs ask for: slots, mem_free, max_runtime, max_attempts. Live attempts keep theirs."""
    workflow = lock_workflow(workflow_id)
    jobs, skipped = _split(lock_jobs(job_ids).values(), {JobStatus.DONE: "it is done"})
    found: list[dict[str, Any]] = []
    for chunk in chunked(sorted(job.job_id for job in jobs)):
        rows = Job.objects.filter(pk__in=chunk)
        found += rows.order_by().values(*values).distinct() if values else []
        rows.update(**values)
    Ledger(workflow, has_changed=bool(jobs)).close()
    target, count, before = _target(job_ids), len(jobs), sum_up(found)
    write_audit(actor, "change-requests", target, workflow_id=workflow_id, job_count=count, before=before, after=values)
    return Steered(len(jobs), skipped)


@write_transaction
def set_note(workflow_id: int, note: str, actor: Actor) -> None:
    workflow = lock_workflow(workflow_id)
    Workflow.objects.filter(pk=workflow_id).update(note=note)
    Ledger(workflow, has_changed=True).close()
    before, after = {"note": workflow.note}, {"note": note}
    write_audit(actor, "set-note", f"workflow {workflow_id}", workflow_id=workflow_id, before=before, after=after)


@write_transaction
def repair_readiness(run_id: int, job_ids: Sequence[int]) -> int:
    """Count the upstreams of these jobs again, under the workflow's lock; how many were wrong."""
    workflow, _run = lock_run(run_id)
    repaired = 0
    for chunk in chunked(sorted(job_ids)):
        edges = JobEdge.objects.filter(downstream_id__in=chunk).exclude(upstream__status=JobStatus.DONE.value)
        left = Counter(edges.values_list("downstream_id", flat=True))
        for job_id in chunk:
            wrong = Job.objects.filter(pk=job_id).exclude(upstreams_left=left[job_id])
            repaired += wrong.update(upstreams_left=left[job_id], ready_at=None)
    Ledger(workflow, has_changed=bool(repaired)).close()
    return repaired


@write_transaction
def change_error_group(group_id: int, actor: Actor, **values: str) -> None:
    """State ("open", "acknowledged", "fixed") and note of an error group."""
    group = ErrorGroup.objects.select_related("workflow").get(pk=group_id)
    workflow = lock_workflow(group.workflow_id)
    ErrorGroup.objects.filter(pk=group_id).update(**values, changed_by=actor.name, changed_at=timezone.now())
    Ledger(workflow, has_changed=True).close()
    before = {key: getattr(group, key) for key in values}
    write_audit(
        actor, "change-error-group", f"error group {group_id}", workflow_id=workflow.pk, before=before, after=values
    )
