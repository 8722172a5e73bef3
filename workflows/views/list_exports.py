"""What the exports of workflows, runs, operations and resources hold, a row each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.http import HttpRequest, HttpResponseBase

from workflows.models import Operation, WorkflowRun
from workflows.queries.counts import SHOWN_ORDER
from workflows.queries.runs import jobs_at_end
from workflows.queries.workflows import WorkflowRow
from workflows.resource_use import TagUse
from workflows.views.export import Values, export

WORKFLOW_FIELDS = (
    "id", "dag_id", "name", "workflow_args", "user", "status", "executor", "created_date", "status_date",
)  # fmt: skip
COUNT_NAMES = {"G": "waiting", "B": "blocked", "Q": "queued", "I": "submitted", "R": "running", "E": "retrying", "F": "failed",
               "D": "done"}  # fmt: skip
WORKFLOW_COLUMNS = (*WORKFLOW_FIELDS, "jobs", *(COUNT_NAMES[letter] for letter in SHOWN_ORDER), "runs", "latest_run_id")
RUN_COLUMNS = (
    "id", "workflow_id", "status", "stopping", "user", "hostname", "pid", "executor", "project", "resume", "created_date",
    "status_date", "ended_at", "done", "failed",
)  # fmt: skip
OPERATION_COLUMNS = (
    "id", "action", "workflow_id", "user", "created_at", "state", "jobs", "changed", "skipped", "said",
)  # fmt: skip
USE_COLUMNS = (
    "tag", "attempts", "not_measured", "memory_asked", "memory_median", "memory_high", "memory_largest",
    "memory_suggested", "time_asked", "time_median", "time_high", "time_largest", "time_suggested", "unused_gb_hours",
    "unused_slot_hours", "over_memory", "over_time",
)  # fmt: skip


def workflow_values(row: WorkflowRow) -> Values:
    """Its jobs by what pages show of them, and its latest run."""
    counts = {name: row.counts.get(letter, 0) for letter, name in COUNT_NAMES.items()}
    values = {name: getattr(row.workflow, name) for name in WORKFLOW_FIELDS}
    return {
        **values, **counts, "jobs": row.total, "runs": row.run_count, "latest_run_id": row.run.pk if row.run else None,
    }  # fmt: skip


def run_values(run: WorkflowRun, counts: Mapping[str, int]) -> Values:
    """`counts`: the jobs of the workflow, of now; those of a run that has ended are its own."""
    done, failed = jobs_at_end(run, counts)
    values = {name: getattr(run, name, None) for name in RUN_COLUMNS}
    return {**values, "done": done, "failed": failed}


def operation_values(row: Operation) -> Values:
    values = {name: getattr(row, name) for name in OPERATION_COLUMNS}
    return {**values, "id": str(row.uuid), "user": row.user.get_username()}


def use_values(use: TagUse) -> Values:
    """Memory in GB, times in seconds."""
    values = {name: getattr(use, name, None) for name in USE_COLUMNS}
    for what, spread, hint in (("memory", use.memory, use.memory_hint), ("time", use.time, use.time_hint)):
        values |= {f"{what}_{name}": getattr(spread, name) for name in ("median", "high", "largest")}
        values[f"{what}_suggested"] = hint.request
    return values


def export_workflows(request: HttpRequest, chunks: Iterable[Sequence[WorkflowRow]], kind: str) -> HttpResponseBase:
    rows = (workflow_values(row) for chunk in chunks for row in chunk)
    return export(request, rows, WORKFLOW_COLUMNS, kind, "workflows")


def export_runs(
    request: HttpRequest, chunks: Iterable[Sequence[WorkflowRun]], counts: Mapping[str, int], kind: str, name: str
) -> HttpResponseBase:
    return export(request, (run_values(row, counts) for chunk in chunks for row in chunk), RUN_COLUMNS, kind, name)


def export_operations(request: HttpRequest, chunks: Iterable[Sequence[Operation]], kind: str) -> HttpResponseBase:
    rows = (operation_values(row) for chunk in chunks for row in chunk)
    return export(request, rows, OPERATION_COLUMNS, kind, "operations")


def export_use(request: HttpRequest, uses: Sequence[TagUse], kind: str, name: str) -> HttpResponseBase:
    return export(request, map(use_values, uses), USE_COLUMNS, kind, name)
