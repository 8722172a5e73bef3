"""How many jobs of a graph are in which status, from the stored counts of its groups."""

from __future__ import annotations

from django.db.models import Sum
from django.db.models.functions import Least

from workflows.models import JobGroup, WorkflowRun
from workflows.models.definition import COUNT_FIELDS

BLOCKED = "B"


def sum_counts(dag_id: int) -> dict[str, int]:
    """Letter → number of jobs."""
    sums = JobGroup.objects.filter(dag_id=dag_id).aggregate(
        **{status.value: Sum(column) for status, column in COUNT_FIELDS.items()}
    )
    return {letter: value or 0 for letter, value in sums.items()}


def sum_counts_at_end(dag_id: int) -> dict[str, int]:
    """The same, and under BLOCKED those of the waiting ones that wait for a failed one, as the last sweep saw it."""
    found = JobGroup.objects.filter(dag_id=dag_id).aggregate(blocked=Sum(Least("count_blocked", "count_g")))
    return {**sum_counts(dag_id), BLOCKED: found["blocked"] or 0}


def tell_ended_run(workflow_id: int) -> None:
    """The last failures of a run block jobs as well: found after its end, and so put to what it stored, unless somebody
    has changed jobs since. In the transaction of whoever found them."""
    run = WorkflowRun.objects.select_related("workflow").filter(workflow_id=workflow_id).order_by("-pk").first()
    if run is None or not run.final_counts:
        return
    now = sum_counts_at_end(run.workflow.dag_id)
    if {**run.final_counts, BLOCKED: now[BLOCKED]} == now:
        WorkflowRun.objects.filter(pk=run.pk).update(final_counts=now)
