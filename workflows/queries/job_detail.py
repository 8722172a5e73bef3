"""Reads of one job, its attempts and its neighbours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, OuterRef, Subquery, Sum

from workflows.models import Job, JobEdge, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.permissions import visible_workflows
from workflows.queries.workflows import with_error_text

NEIGHBOURS_SHOWN = 25
ATTEMPTS_SHOWN = 50
EDGES_READ = 5_000
URGENCY = {"F": 0, "E": 1, "R": 2, "I": 3, "Q": 4, "G": 5, "D": 9}


@dataclass(frozen=True, slots=True)
class Neighbour:
    job_id: int
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The jobs on one side: how many by status (of the first EDGES_READ), and some, failed ones first, done last."""

    counts: dict[str, int]
    total: int
    is_exact: bool
    jobs: list[Neighbour]


@dataclass(frozen=True, slots=True)
class JobView:
    job: Job
    workflow: Workflow
    run: WorkflowRun | None
    attempts: list[JobInstance]
    upstreams: Neighbours
    downstreams: Neighbours

    @property
    def last(self) -> JobInstance | None:
        return self.attempts[0] if self.attempts else None

    @property
    def live_attempts(self) -> list[JobInstance]:
        return [attempt for attempt in self.attempts if attempt.status in ("I", "B", "R")]


def find_job(user: User | AnonymousUser, job_id: int) -> Job | None:
    """The job with its group, graph and workflow, the name of the failed job that blocks it (`blocked_by_name`) and the
    number of jobs of the graph that are live (`live_in_graph`), if this person may see it."""
    cause = Job.objects.filter(pk=OuterRef("blocked_by"), status="F").values("name")
    groups = JobGroup.objects.filter(dag_id=OuterRef("dag_id")).order_by().values("dag_id")
    live = groups.annotate(n=Sum(F("count_i") + F("count_r"))).values("n")
    jobs = (
        Job.objects.select_related("group", "dag__workflow__group")
        .filter(pk=job_id)
        .annotate(blocked_by_name=Subquery(cause), live_in_graph=Subquery(live))
    )
    return jobs.filter(dag__workflow__in=visible_workflows(user)).first()


def attempts_of(job_id: int) -> list[JobInstance]:
    """Newest first, with their error texts."""
    attempts = JobInstance.objects.select_related("workflow_run").filter(job_id=job_id)
    return list(with_error_text(attempts).order_by("-job_instance_id")[:ATTEMPTS_SHOWN])


def neighbours(job_id: int, side: str) -> Neighbours:
    """`side`: upstream or downstream. One query of at most EDGES_READ rows."""
    other = "downstream" if side == "upstream" else "upstream"
    edges = JobEdge.objects.filter(**{f"{other}_id": job_id}).order_by(f"{side}_id")
    rows = list(edges.values_list(f"{side}_id", f"{side}__name", f"{side}__status")[: EDGES_READ + 1])
    is_exact, rows = len(rows) <= EDGES_READ, rows[:EDGES_READ]
    first = sorted(rows, key=lambda row: (URGENCY.get(row[2], 5), row[0]))[:NEIGHBOURS_SHOWN]
    jobs = [Neighbour(*row) for row in first]
    return Neighbours(dict(Counter(row[2] for row in rows)), len(rows), is_exact, jobs)


def view_job(job: Job) -> JobView:
    """Run, attempts and both sides: four queries."""
    workflow = job.dag.workflow
    run = WorkflowRun.objects.filter(workflow=workflow).order_by("-id").first()
    return JobView(
        job,
        workflow,
        run,
        attempts_of(job.job_id),
        neighbours(job.job_id, "upstream"),
        neighbours(job.job_id, "downstream"),
    )
