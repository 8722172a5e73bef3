"""Reads that say what holds a live run back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db.models import Case, CharField, OuterRef, QuerySet, Subquery, Value, When

from workflows.bottlenecks import Facts, held_back
from workflows.models import AuditEntry, Job, JobGroup, JobInstance, WorkflowRun
from workflows.queries.frame import Frame

READY_READ = 10_000


def with_queue_facts(runs: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
    """Each with `oldest_queued`, since when its executor, `queued_with`, has had what waits longest, and `held_by`, who
    holds it: three index entries."""
    holds = AuditEntry.objects.filter(workflow_id=OuterRef("workflow_id"), action="hold", at__gte=OuterRef("held_at"))
    holder = Subquery(holds.order_by("-id").values("actor")[:1])
    nobody = Value("", output_field=CharField())
    return runs.annotate(
        oldest_queued=_of_oldest_queued("submitted_date"),
        queued_with=_of_oldest_queued("executor_type"),
        held_by=Case(When(hold_reason="", then=nobody), default=holder, output_field=CharField()),
    )


def _of_oldest_queued(column: str) -> Subquery:
    """Its number first, which the index by run and status has: asked for another column at once, MariaDB may read all
    attempts of the run in their order instead."""
    queued = JobInstance.objects.filter(workflow_run_id=OuterRef(OuterRef("pk")), status="B")
    oldest = queued.order_by("job_instance_id").values("job_instance_id")[:1]
    return Subquery(JobInstance.objects.filter(job_instance_id=Subquery(oldest)).values(column))


def read_facts(run: WorkflowRun, groups: Sequence[JobGroup], frame: Frame) -> Facts:
    """Of a live run that was read with `with_queue_facts`. One query more where a limit is reached, of a bounded number
    of index entries."""
    limited = held_back(run, groups, frame.full)
    rows = _read_ready([group.pk for group in limited]) if limited else []
    return Facts(
        frame.holds, frame.full, Counter(group_id for group_id, _ in rows), sum(letter == "G" for _, letter in rows),
        len(rows) > READY_READ, getattr(run, "oldest_queued", None), getattr(run, "held_by", "") or "",
        getattr(run, "queued_with", "") or "",
    )  # fmt: skip


def count_ready(groups: Sequence[JobGroup]) -> Counter[int] | None:
    """Waiting jobs that could start, by group; None where there are more than are counted. At most one query, of a
    bounded number of index entries."""
    waiting = [group.pk for group in groups if group.count_g > group.count_blocked]
    ready = Job.objects.filter(group_id__in=waiting, status="G", upstreams_left=0).order_by()
    rows = list(ready.values_list("group_id", flat=True)[: READY_READ + 1]) if waiting else []
    return Counter(rows) if len(rows) <= READY_READ else None


def _read_ready(group_ids: Sequence[int]) -> list[tuple[int, str]]:
    """Group and status of jobs of these groups that could start if they might, at most READY_READ and one."""
    ready = Job.objects.filter(group_id__in=group_ids, status__in=["G", "Q"], upstreams_left=0).order_by()
    return list(ready.values_list("group_id", "status")[: READY_READ + 1])
