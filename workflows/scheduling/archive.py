"""A workflow as a file, before a purge takes it away: all its rows, one JSON object a line, compressed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from workflows.models import (
    AuditEntry,
    ErrorGroup,
    GroupEdge,
    Job,
    JobEdge,
    JobGroup,
    JobInstance,
    JobInstanceErrorLog,
    JobInstanceStatusLog,
    Operation,
    OperationItem,
    RunAccount,
    RunForecast,
    RunMinute,
    RunStall,
    RunUsage,
    TaskDag,
    Workflow,
    WorkflowRun,
)

AT_ONCE = 2000


def write_archive(workflow: Workflow, folder: Path) -> Path:
    """The file is there as a whole or not at all, and only its owner reads it: it holds commands and error texts.
    Raises OSError."""
    target = folder / f"workflow-{workflow.pk}.jsonl.gz"
    temporary = folder / f".{target.name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw, gzip.open(raw, "wt", encoding="utf-8") as file:
        for row in _rows(workflow):
            file.write(json.dumps(row, cls=DjangoJSONEncoder, separators=(",", ":")) + "\n")
    temporary.replace(target)
    return target


def _rows(workflow: Workflow) -> Iterator[dict[str, Any]]:
    for queryset in _tables(workflow):
        table = queryset.model._meta.db_table
        for row in queryset.values().iterator(chunk_size=AT_ONCE):
            yield {"table": table, **row}


def _tables(workflow: Workflow) -> Iterator[QuerySet[Model]]:
    """Parents before children."""
    dag_id, pk = workflow.dag_id, workflow.pk
    yield TaskDag.objects.filter(pk=dag_id)
    yield Workflow.objects.filter(pk=pk)
    yield JobGroup.objects.filter(dag_id=dag_id).order_by("pk")
    yield Job.objects.filter(dag_id=dag_id).order_by("pk")
    yield JobEdge.objects.filter(upstream__dag_id=dag_id).order_by("upstream_id", "downstream_id")
    yield GroupEdge.objects.filter(dag_id=dag_id).order_by("pk")
    yield WorkflowRun.objects.filter(workflow_id=pk).order_by("pk")
    for of_run in (RunMinute, RunUsage, RunForecast, RunStall, RunAccount):
        yield of_run._default_manager.filter(run__workflow_id=pk).order_by("pk")
    yield JobInstance.objects.filter(workflow_run__workflow_id=pk).order_by("pk")
    yield ErrorGroup.objects.filter(workflow_id=pk).order_by("pk")
    yield JobInstanceErrorLog.objects.filter(job_instance__workflow_run__workflow_id=pk).order_by("pk")
    yield JobInstanceStatusLog.objects.filter(job_instance__workflow_run__workflow_id=pk).order_by("pk")
    yield Operation.objects.filter(workflow_id=pk).order_by("pk")
    yield OperationItem.objects.filter(operation__workflow_id=pk).order_by("pk")
    yield AuditEntry.objects.filter(workflow_id=pk).order_by("pk")
