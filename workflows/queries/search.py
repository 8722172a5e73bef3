"""One box that finds things by number or by the beginning of a name: at most 10 of each kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet

from workflows.digits import read_digits
from workflows.models import Job, JobInstance, Workflow, WorkflowRun
from workflows.permissions import visible_workflows
from workflows.queries.jobs import name_starts_with, prefix_end

HITS = 10
WORKFLOWS_SEARCHED = 200


@dataclass(frozen=True, slots=True)
class Hits:
    workflows: list[Workflow] = field(default_factory=list)
    runs: list[WorkflowRun] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    attempts: list[JobInstance] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.workflows) + len(self.runs) + len(self.jobs) + len(self.attempts)

    @property
    def is_cut(self) -> bool:
        return HITS in (len(self.workflows), len(self.runs), len(self.jobs), len(self.attempts))


def search(user: User | AnonymousUser, text: str) -> Hits:
    """A number: workflow, run, job, attempt of this id, attempts with this batch id. Text: beginnings of names."""
    text = text.strip()
    if not text:
        return Hits()
    visible = visible_workflows(user)
    number = read_digits(text)
    return _by_name(visible, text) if number is None else _by_number(visible, number, text)


def _by_number(visible: QuerySet[Workflow], number: int, text: str) -> Hits:
    attempts = JobInstance.objects.select_related("job").filter(workflow_run__workflow__in=visible)
    by_id = list(attempts.filter(pk=number))
    by_batch = list(attempts.filter(executor_id=text).order_by("-job_instance_id")[:HITS])
    return Hits(
        workflows=list(visible.filter(pk=number)),
        runs=list(WorkflowRun.objects.select_related("workflow").filter(pk=number, workflow__in=visible)),
        jobs=list(Job.objects.select_related("dag__workflow").filter(pk=number, dag__workflow__in=visible)),
        attempts=by_id + [attempt for attempt in by_batch if attempt.pk != number][: HITS - len(by_id)],
    )


def _by_name(visible: QuerySet[Workflow], text: str) -> Hits:
    """Jobs are looked for in the newest workflows only: one range of an index for each of them."""
    newest = list(visible.order_by("-id").values_list("dag_id", flat=True)[:WORKFLOWS_SEARCHED])
    near = name_starts_with(Job.objects.filter(dag_id__in=newest), text).order_by("-dag_id", "-name")
    ids = list(near.values_list("pk", flat=True)[:HITS])
    jobs = Job.objects.select_related("dag__workflow").filter(pk__in=ids).order_by("-dag_id", "name")
    names = visible.filter(name__gte=text, name__lt=prefix_end(text))
    args = visible.filter(workflow_args__gte=text, workflow_args__lt=prefix_end(text))
    found = (names | args).distinct().order_by("-id")[:HITS]
    return Hits(workflows=list(found), jobs=list(jobs))
