"""Streams a filtered list as CSV or JSON lines: all rows, in chunks, no transaction open."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from workflows import explain
from workflows.exports import TooManyExports, hold
from workflows.masking import mask_secrets
from workflows.models import AuditEntry, JobInstance
from workflows.queries.jobs import JobRow
from workflows.queries.limits import EXPORT_SECONDS, limit_each
from workflows.views.base import user_of
from workflows.views.errors import too_many

Values = dict[str, Any]
JOB_COLUMNS = (
    "job_id", "name", "tag", "group", "status", "num_attempts", "max_attempts", "slots", "mem_free", "max_runtime",
    "submitted_date", "status_date", "job_instance_id", "executor_id", "nodename", "reason", "exit_code", "wallclock",
    "maxvmem", "error_group_id", "command",
)  # fmt: skip
ERROR_COLUMNS = (
    "job_instance_id", "job_id", "name", "tag", "status", "attempt", "workflow_run_id", "reason", "why", "executor_type",
    "executor_id", "nodename", "exit_code", "signal", "mem_free", "maxvmem", "max_runtime", "wallclock", "submitted_date",
    "started_at", "ended_at", "error",
)  # fmt: skip
AUDIT_COLUMNS = (
    "id", "at", "actor", "via", "token_prefix", "address", "action", "target", "workflow_id", "before", "after", "job_count",
    "result", "request_id",
)  # fmt: skip
ACTIVITY_COLUMNS = tuple(name for name in AUDIT_COLUMNS if name != "address")  # from where is the administrators'
# Also the wide forms, which spreadsheets of some languages take for the same
FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
LEFT_OUT = "".join(map(chr, range(33))) + '\xa0\u200b\u200e\u200f\u2060\ufeff\u3000"'
BREAKS = ("\t", "\r", "\n")
TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


class _Echo:
    """A file that hands back what is written."""

    def write(self, text: str) -> str:
        return text


def job_values(row: JobRow) -> Values:
    last_names = ("job_instance_id", "executor_id", "nodename", "reason", "exit_code", "wallclock", "maxvmem")
    values = {name: getattr(row.job, name, None) for name in JOB_COLUMNS}
    values["group"] = row.group
    values["command"] = mask_secrets(row.job.command)
    return values | {name: getattr(row.last, name) if row.last else None for name in last_names}


def error_values(attempt: JobInstance) -> Values:
    """`name`, `tag` and `status` are those of its job now; `error` is what it said last."""
    values = {name: getattr(attempt, name, None) for name in ERROR_COLUMNS}
    values |= {name: getattr(attempt.job, name) for name in ("name", "tag", "status")}
    return {**values, "why": explain.ended_because(attempt), "error": getattr(attempt, "error_text", None) or ""}


def audit_values(entry: AuditEntry, columns: Sequence[str]) -> Values:
    return {name: getattr(entry, name) for name in columns}


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula, whatever it leaves out at the beginning of one."""
    if not isinstance(value, str):
        return value
    is_formula = value.startswith(BREAKS) or value.lstrip(LEFT_OUT).startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def _as_text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: object) -> object:
    return safe_cell(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else _as_text(value))


def csv_lines(rows: Iterable[Values], columns: Sequence[str]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_cell(row[name]) for name in columns])


def json_lines(rows: Iterable[Values], columns: Sequence[str]) -> Iterator[str]:
    for row in rows:
        yield json.dumps({name: _as_text(row[name]) for name in columns}, ensure_ascii=False) + "\n"


def _in_blocks(lines: Iterable[str], size: int = 500) -> Iterator[str]:
    """Many small pieces cost more than few larger ones."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) >= size:
            yield "".join(block)
            block.clear()
    yield "".join(block)


def export(
    request: HttpRequest, rows: Iterable[Values], columns: Sequence[str], kind: str, name: str
) -> HttpResponseBase:
    lines = csv_lines(rows, columns) if kind == "csv" else json_lines(rows, columns)
    try:
        held = hold(user_of(request), limit_each(_in_blocks(lines), EXPORT_SECONDS))
    except TooManyExports as refusal:
        return too_many(request, str(refusal))
    response = StreamingHttpResponse(held, content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response


def export_jobs(request: HttpRequest, rows: Iterable[JobRow], kind: str, name: str) -> HttpResponseBase:
    return export(request, map(job_values, rows), JOB_COLUMNS, kind, name)


def export_errors(
    request: HttpRequest, chunks: Iterable[Sequence[JobInstance]], kind: str, name: str
) -> HttpResponseBase:
    return export(request, (error_values(row) for chunk in chunks for row in chunk), ERROR_COLUMNS, kind, name)


def export_audit(
    request: HttpRequest, chunks: Iterable[Sequence[AuditEntry]], kind: str, name: str, columns: Sequence[str]
) -> HttpResponseBase:
    rows = (audit_values(row, columns) for chunk in chunks for row in chunk)
    return export(request, rows, columns, kind, name)
