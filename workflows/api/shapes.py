"""Rows as the API shows them. The serializers describe the same shapes for the schema (`schema.py`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from workflows import operations
from workflows.lifecycle.counts import BLOCKED
from workflows.masking import mask_secrets
from workflows.models import AuditEntry, Job, JobInstance, Operation, Workflow, WorkflowRun
from workflows.planning import Plan
from workflows.queries.counts import Counts
from workflows.secret_files import describe_files


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def page_of(request: HttpRequest, path: str) -> str:
    return request.build_absolute_uri(path)


def workflow(row: Workflow, counts: Counts, latest: WorkflowRun | None, request: HttpRequest) -> dict[str, Any]:
    return {
        "id": row.pk,
        "dag_id": row.dag_id,
        "workflow_args": row.workflow_args,
        "name": row.name,
        "description": row.description,
        "user": row.user,
        "status": row.status,
        "created_date": iso(row.created_date),
        "status_date": iso(row.status_date),
        "executor": row.executor,
        "project": row.project,
        "stdout": row.stdout,
        "stderr": row.stderr,
        "working_dir": row.working_dir,
        "max_concurrently_running": row.max_concurrently_running,
        "attributes": row.attributes,
        "note": row.note,
        "group": row.group.name if row.group else None,
        "group_may_operate": row.group_may_operate,
        "dag_hash": row.dag.dag_hash,
        "job_count": row.dag.job_count,
        "edge_count": row.dag.edge_count,
        "counts": counts,
        "change_no": row.change_no,
        "latest_run": None if latest is None else run(latest, counts, row.change_no, request),
        "page": page_of(request, f"/workflows/{row.pk}/"),
    }


def run(row: WorkflowRun, counts: Counts, change_no: int, request: HttpRequest) -> dict[str, Any]:
    return {
        "id": row.pk,
        "workflow_id": row.workflow_id,
        "user": row.user,
        "status": row.status,
        "executor": row.executor,
        "project": row.project,
        "stdout": row.stdout,
        "stderr": row.stderr,
        "working_dir": row.working_dir,
        "hostname": row.hostname,
        "pid": row.pid,
        "resume": row.resume,
        "max_concurrently_running": row.max_concurrently_running,
        "created_date": iso(row.created_date),
        "status_date": iso(row.status_date),
        "ended_at": iso(row.ended_at),
        "stopping": row.stopping,
        "hold_reason": row.hold_reason,
        "counts": by_status(row.final_counts or counts),
        "change_no": change_no,
        "page": page_of(request, f"/workflow-runs/{row.pk}/"),
    }


def by_status(counts: Counts) -> Counts:
    """What a run stored at its end, without what pages tell apart: the blocked ones are waiting."""
    return {letter: number for letter, number in counts.items() if letter != BLOCKED}


def job(row: Job, workflow_id: int) -> dict[str, Any]:
    return {
        "job_id": row.job_id,
        "dag_id": row.dag_id,
        "workflow_id": workflow_id,
        "name": row.name,
        "tag": row.tag,
        "command": mask_secrets(row.command),
        "env_variables": describe_files(row.command),
        "slots": row.slots,
        "mem_free": row.mem_free,
        "max_runtime": row.max_runtime,
        "num_attempts": row.num_attempts,
        "max_attempts": row.max_attempts,
        "status": row.status,
        "upstreams_left": row.upstreams_left,
        "executor": row.executor,
        "attributes": row.attributes,
        "submitted_date": iso(row.submitted_date),
        "status_date": iso(row.status_date),
    }


def instance(row: JobInstance, error: str | None = None) -> dict[str, Any]:
    return {
        "job_instance_id": row.job_instance_id,
        "job_id": row.job_id,
        "workflow_run_id": row.workflow_run_id,
        "attempt": row.attempt,
        "executor_type": row.executor_type,
        "executor_id": row.executor_id,
        "nodename": row.nodename,
        "process_group_id": row.process_group_id,
        "status": row.status,
        "reason": row.reason,
        "evidence": row.evidence,
        "exit_code": row.exit_code,
        "signal": row.signal,
        "wallclock": row.wallclock,
        "maxvmem": row.maxvmem,
        "cpu": row.cpu,
        "io": row.io,
        "slots": row.slots,
        "mem_free": row.mem_free,
        "max_runtime": row.max_runtime,
        "stdout_path": row.stdout_path,
        "stderr_path": row.stderr_path,
        "submitted_date": iso(row.submitted_date),
        "status_date": iso(row.status_date),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "error": error,
    }


def operation(row: Operation, request: HttpRequest, plan: Plan | None = None) -> dict[str, Any]:
    """`plan`: what was frozen, by tag; lists go without."""
    return {
        "id": str(row.uuid),
        "workflow_id": row.workflow_id,
        "user": row.user.get_username(),
        "via": row.via,
        "action": row.action,
        "said": row.said,
        "state": "expired" if operations.is_expired(row) else row.state,
        "jobs": row.jobs,
        "changed": row.changed,
        "skipped": row.skipped,
        "problem": row.problem,
        "created_at": iso(row.created_at),
        "confirmed_at": iso(row.confirmed_at),
        "ended_at": iso(row.ended_at),
        "plan": None if plan is None else plan.as_json(),
        "page": page_of(request, f"/operations/{row.uuid}/"),
    }


def audit_entry(row: AuditEntry) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": iso(row.at),
        "actor": row.actor,
        "via": row.via,
        "token_prefix": row.token_prefix,
        "request_id": row.request_id,
        "action": row.action,
        "workflow_id": row.workflow_id,
        "target": row.target,
        "before": row.before,
        "after": row.after,
        "job_count": row.job_count,
        "result": row.result,
    }


def server(user: str, request: HttpRequest) -> dict[str, Any]:
    return {
        "version": settings.VERSION,
        "user": user,
        "features": ["dry_run", "dry_run_everywhere", "operations"],
        "executors": settings.EXECUTORS,
        "default_executor": settings.DEFAULT_EXECUTOR,
        "url": page_of(request, "/").rstrip("/"),
    }
