"""Reads of the runs of one workflow."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import QuerySet

from workflows.models import WorkflowRun

Counts = Mapping[str, int]


def runs_of(workflow_id: int) -> QuerySet[WorkflowRun]:
    return WorkflowRun.objects.filter(workflow_id=workflow_id)


def jobs_at_end(run: WorkflowRun, now: Counts) -> tuple[int | None, int | None]:
    """Jobs of the workflow done and failed: as they were when the run ended, or are `now` while it is live; None where it
    is not known."""
    stored: Counts | None = run.final_counts
    counts = now if stored is None and run.status == "R" else stored or {}
    return counts.get("D"), counts.get("F")
