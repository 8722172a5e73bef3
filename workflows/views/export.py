"""Streams the filtered jobs as CSV or JSON lines: all rows, in chunks, no transaction open."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse

from workflows.masking import mask_secrets
from workflows.queries.jobs import JobRow

COLUMNS = (
    "job_id", "name", "tag", "group", "status", "num_attempts", "max_attempts", "slots", "mem_free", "max_runtime",
    "submitted_date", "status_date", "job_instance_id", "executor_id", "nodename", "reason", "exit_code", "wallclock",
    "maxvmem", "command",
)  # fmt: skip
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


class _Echo:
    """A file that hands back what is written."""

    def write(self, text: str) -> str:
        return text


def values_of(row: JobRow) -> dict[str, Any]:
    last_names = ("job_instance_id", "executor_id", "nodename", "reason", "exit_code", "wallclock", "maxvmem")
    values = {name: getattr(row.job, name, None) for name in COLUMNS}
    values["group"] = row.group
    values["command"] = mask_secrets(row.job.command)
    values |= {name: getattr(row.last, name) if row.last else None for name in last_names}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def csv_lines(rows: Iterable[JobRow]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        values = values_of(row)
        yield writer.writerow([safe_cell(values[name]) for name in COLUMNS])


def json_lines(rows: Iterable[JobRow]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(values_of(row), ensure_ascii=False) + "\n"


def _in_blocks(lines: Iterable[str], size: int = 500) -> Iterator[str]:
    """Many small pieces cost more than few larger ones."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) >= size:
            yield "".join(block)
            block.clear()
    yield "".join(block)


def export(rows: Iterable[JobRow], kind: str, name: str) -> HttpResponseBase:
    lines = csv_lines(rows) if kind == "csv" else json_lines(rows)
    response = StreamingHttpResponse(_in_blocks(lines), content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response
