"""Bounded reads of what ended attempts used."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Exists, OuterRef, Q

from workflows.models import JobInstance, RunUsage, WorkflowRun
from workflows.outliers import Outlier, find_outliers, pick, read_outlier
from workflows.resource_use import Attempt, TagUse, by_tag, read_use
from workflows.use_map import Cell, make_map, read_cell

# The attempts of larger graphs are summed up by the sweep.
READ_AT_ONCE_UP_TO = 2_000
DONE_READ, FAILED_READ = 4_000, 1_000
RUNS_OFFERED = 10
COLUMNS = (
    "job_id", "job__group__name", "mem_free", "maxvmem", "max_runtime", "wallclock", "reason", "slots", "cpu", "job__name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunUse:
    """What the newest ended attempts of a run used. `made_at`: when the sweep summed it up; None: just now."""

    attempts: int
    uses: Sequence[TagUse]
    cells: Sequence[Cell]
    is_cut: bool
    made_at: datetime | None = None
    outliers: Sequence[Outlier] = field(default_factory=tuple)


def runs_with_ends(workflow_id: int) -> list[WorkflowRun]:
    """The last runs in which an attempt has ended, newest first."""
    ended = JobInstance.objects.filter(workflow_run_id=OuterRef("pk"), status__in=["D", "E"])
    runs = WorkflowRun.objects.filter(workflow_id=workflow_id).filter(Exists(ended))
    return list(runs.order_by("-id")[:RUNS_OFFERED])


def find_run(workflow_id: int, run_id: int) -> WorkflowRun | None:
    """One run of this workflow, however long ago, and whether or not an attempt of it has ended."""
    return WorkflowRun.objects.filter(workflow_id=workflow_id, pk=run_id).first()


def use_of_run(run_id: int, group_ids: Collection[int], jobs: int) -> RunUse:
    """Of these groups, or of all if none is named, in a graph of so many jobs: one or two queries."""
    stored = _stored_use(run_id, group_ids) if jobs > READ_AT_ONCE_UP_TO else None
    if stored is not None:
        return stored
    attempts = ended_attempts(run_id, group_ids)
    is_cut = len(attempts) >= DONE_READ
    return RunUse(len(attempts), by_tag(attempts), make_map(attempts), is_cut, outliers=pick(find_outliers(attempts)))


def _stored_use(run_id: int, group_ids: Collection[int]) -> RunUse | None:
    """Sums are kept of each group and of all. A map of several groups is not: each has a scale of its own."""
    wanted = Q(group_id__in=group_ids) if group_ids else Q(group=None)
    rows = list(RunUsage.objects.filter(wanted, run_id=run_id))
    if not rows:
        return None
    uses = sorted((read_use(use) for row in rows for use in row.uses), key=lambda use: -use.unused_gb_hours)
    cells = [read_cell(cell) for cell in rows[0].cells] if len(rows) == 1 else []
    far = pick([read_outlier(one) for row in rows for one in row.outliers or []])
    made_at = min(row.made_at for row in rows)
    return RunUse(sum(row.attempts for row in rows), uses, cells, is_cut=True, made_at=made_at, outliers=far)


def ended_attempts(run_id: int, group_ids: Collection[int] = ()) -> list[Attempt]:
    """The newest ended attempts of a run, of these groups if any are named: two bounded reads."""
    found: list[Attempt] = []
    for status, most in (("D", DONE_READ), ("E", FAILED_READ)):
        rows = JobInstance.objects.filter(workflow_run_id=run_id, status=status).order_by("-job_instance_id")
        rows = rows.filter(job__group_id__in=group_ids) if group_ids else rows
        found += [Attempt.from_row(row) for row in rows.values_list(*COLUMNS)[:most]]
    return found
