"""Reads of the workflow list and of one workflow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum, When, Window
from django.db.models.functions import Coalesce
from django.utils import timezone

from workflows.models import ErrorGroup, JobGroup, JobInstance, JobInstanceErrorLog, Workflow, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.permissions import visible_workflows
from workflows.queries.counts import Counts, add_shown, groups_of, shown_of_dags
from workflows.queries.keyset import Order, Page, paginate
from workflows.queries.limits import read_box
from workflows.queries.offers import most_used
from workflows.queries.pace import with_queue_facts
from workflows.state_machine import Reason

LIST_ORDER = Order("id", is_descending=True)
RUNS_SHOWN, ERRORS_SHOWN = 10, 5


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    workflow: Workflow
    counts: Counts
    run: WorkflowRun | None
    run_count: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def is_live(self) -> bool:
        return self.run is not None and self.run.status == "R"


@dataclass(frozen=True, slots=True)
class Strip:
    """The numbers on top of the list, and whose workflows they count, at most 50 of these."""

    total: int
    running: int
    needs: int
    done_today: int
    owners: list[str]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Attempts of ended runs that are not confirmed gone."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkflowView:
    workflow: Workflow
    groups: list[JobGroup]
    counts: Counts
    runs: list[WorkflowRun]
    error_groups: list[ErrorGroup] | None  # None: reading them took too long
    leftovers: Leftovers = field(default_factory=Leftovers)

    @property
    def run(self) -> WorkflowRun | None:
        return self.runs[0] if self.runs else None

    @property
    def kinds(self) -> int:
        """Groups of errors that are not marked fixed."""
        return getattr(self.error_groups[0], "kinds", 0) if self.error_groups else 0

    @property
    def live_run(self) -> WorkflowRun | None:
        return self.run if self.run is not None and self.run.status == "R" else None


def _failed_jobs() -> QuerySet[JobGroup]:
    return JobGroup.objects.filter(dag_id=OuterRef("dag_id"), count_f__gt=0)


def needs_a_person() -> Q:
    """Failed, held, or with jobs that failed for good in a live run."""
    held = WorkflowRun.objects.filter(workflow_id=OuterRef("pk"), status="R").exclude(hold_reason="")
    return Q(status="E") | Q(Exists(held)) | (Q(status="R") & Q(Exists(_failed_jobs())))


def has_failures() -> Q:
    return Q(Exists(_failed_jobs()))


def listed(user: User | AnonymousUser) -> QuerySet[Workflow]:
    """The workflows that this person may see, with their latest run's id and their number of runs."""
    runs = WorkflowRun.objects.filter(workflow_id=OuterRef("pk")).order_by("-id")
    number = runs.order_by().values("workflow_id").annotate(n=Count("id")).values("n")
    return visible_workflows(user).annotate(
        latest_run_id=Subquery(runs.values("id")[:1]), run_count=Coalesce(Subquery(number), 0)
    )


def count_and_digest(workflows: QuerySet[Workflow]) -> tuple[int, int]:
    """How many these are, and a number that differs once one of them has changed, or one has come or gone: one query."""
    found = workflows.order_by().aggregate(number=Count("pk"), changes=Sum("change_no"))
    return int(found["number"]), int(found["number"]) * 1_000_003 + int(found["changes"] or 0)


def workflow_page(
    queryset: QuerySet[Workflow], after: str, before: str, per_page: int
) -> tuple[list[WorkflowRow], Page[Workflow]]:
    """Three queries, whatever the number of rows: workflows, counts, latest runs."""
    page = paginate(queryset, LIST_ORDER, after, before, per_page)
    return rows_of(page.rows), page


def rows_of(workflows: list[Workflow]) -> list[WorkflowRow]:
    if not workflows:
        return []
    counts = shown_of_dags(workflow.dag_id for workflow in workflows)
    latest: list[Any] = [getattr(workflow, "latest_run_id", None) for workflow in workflows]
    runs = WorkflowRun.objects.select_related("forecast").in_bulk([run_id for run_id in latest if run_id is not None])
    return [
        WorkflowRow(
            workflow, counts.get(workflow.dag_id) or add_shown([]), runs.get(run_id), getattr(workflow, "run_count", 0)
        )
        for workflow, run_id in zip(workflows, latest, strict=True)
    ]


def strip(user: User | AnonymousUser, mine: bool) -> Strip:
    """One query, which reads each workflow that this person may see."""
    workflows = visible_workflows(user)
    if mine:
        workflows = workflows.filter(owner_id=user.pk)
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    is_of_today = Q(status_date__gte=today, status_date__lt=today + timedelta(days=1))
    by_owner = workflows.order_by().values("user").annotate(
        total=Count("id"),
        running=Count("id", filter=Q(status="R")),
        needs=Count("id", filter=needs_a_person()),
        done_today=Count("id", filter=Q(status="D") & is_of_today),
    )  # fmt: skip
    rows = list(by_owner)
    sums = {name: sum(row[name] for row in rows) for name in ("total", "running", "needs", "done_today")}
    return Strip(**sums, owners=most_used({row["user"]: row["total"] for row in rows}))


def find_workflow(user: User | AnonymousUser, workflow_id: int) -> Workflow | None:
    return visible_workflows(user).select_related("dag", "owner", "group").filter(pk=workflow_id).first()


def change_number(user: User | AnonymousUser, workflow_id: int) -> int | None:
    """The number that rises with every change; None for what this person may not see."""
    return visible_workflows(user).filter(pk=workflow_id).values_list("change_no", flat=True).first()


def with_error_text(instances: QuerySet[JobInstance]) -> QuerySet[JobInstance]:
    newest = JobInstanceErrorLog.objects.filter(job_instance_id=OuterRef("pk")).order_by("-id")
    return instances.annotate(error_text=Subquery(newest.values("description")[:1]))


def biggest_error_groups(workflow_id: int) -> list[ErrorGroup]:
    """What fails most and is not mended, by the jobs that it blocks, then by its attempts, what people killed last; each
    with its newest text and the attempt that wrote it, and `kinds`, how many such groups there are: one query, of stored
    numbers."""
    newest = JobInstanceErrorLog.objects.filter(error_group_id=OuterRef("pk")).order_by("-id")
    groups = ErrorGroup.objects.filter(workflow_id=workflow_id).exclude(state="fixed")
    groups = groups.annotate(
        sample_text=Subquery(newest.values("description")[:1]),
        sample_attempt=Subquery(newest.values("job_instance_id")[:1]),
        kinds=Window(Count("pk")),
    )
    killed_last = Case(When(reason=Reason.KILLED.value, then=1), default=0)
    return list(groups.order_by("-count_blocked", killed_last, "-attempts", "-id")[:ERRORS_SHOWN])


def view_workflow(workflow: Workflow) -> WorkflowView:
    """Four queries at most; no read of the job table."""
    groups = groups_of(workflow.dag_id)
    runs = list(
        with_queue_facts(WorkflowRun.objects.filter(workflow=workflow).select_related("forecast", "stall")).order_by(
            "-id"
        )[:RUNS_SHOWN]
    )
    error_groups = read_box(lambda: biggest_error_groups(workflow.pk)) if runs else []
    return WorkflowView(workflow, groups, add_shown(groups), runs, error_groups, leftovers(workflow, runs))


def leftovers(workflow: Workflow, runs: list[WorkflowRun]) -> Leftovers:
    """Live attempts of a workflow without a live run."""
    if not runs or runs[0].status not in ("S", "E"):
        return Leftovers()
    ids = [run.pk for run in runs]
    rows = JobInstance.objects.filter(workflow_run_id__in=ids, status__in=LIVE_LETTERS).values_list("submitted_date")
    dates = [row[0] for row in rows.order_by("job_instance_id")[:10_001]]
    return Leftovers(len(dates), dates[0] if dates else None)
