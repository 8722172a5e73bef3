"""Reads of one job, its attempts and its neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, OuterRef, Subquery, Sum

from workflows.looks import shown_letter
from workflows.models import Job, JobEdge, JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.permissions import visible_workflows
from workflows.queries.counting import Total, count_expression, read_count
from workflows.queries.limits import read_box
from workflows.queries.workflows import with_error_text
from workflows.state_machine import Reason

NEIGHBOURS_SHOWN = 25
ATTEMPTS_SHOWN = 50
EDGES_READ = 5_000
URGENCY = {"F": 0, "E": 1, "R": 2, "I": 3, "Q": 4, "B": 5, "G": 6, "D": 9}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """`status` as pages show it: "B" for one that is blocked."""

    job_id: int
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The jobs on one side: how many by status as shown (of the first EDGES_READ), and some, failed ones first, done last."""

    counts: dict[str, int]
    total: int
    is_exact: bool
    jobs: list[Neighbour]
    is_late: bool = False  # reading them took too long; nothing of the above is known


@dataclass(frozen=True, slots=True)
class JobView:
    job: Job
    workflow: Workflow
    run: WorkflowRun | None
    attempts: list[JobInstance]
    upstreams: Neighbours
    downstreams: Neighbours
    alike: Total | None = None  # jobs with the same kind of failure, this one among them

    @property
    def last(self) -> JobInstance | None:
        return self.attempts[0] if self.attempts else None

    @property
    def lost_before(self) -> JobInstance | None:
        """An attempt that vanished after its start, while a newer one is live: both may run, if its host was cut off."""
        if self.last is None or self.last.status not in ("I", "B", "R"):
            return None
        return next((attempt for attempt in self.attempts[1:] if attempt.reason == Reason.LOST), None)

    @property
    def live_attempts(self) -> list[JobInstance]:
        return [attempt for attempt in self.attempts if attempt.status in ("I", "B", "R")]


def find_job(user: User | AnonymousUser, job_id: int) -> Job | None:
    """The job with its group, graph and workflow, the name of the failed job that blocks it (`blocked_by_name`), the
    number of jobs of the graph that are live (`live_in_graph`) and the jobs beside it in the order of the script
    (`job_before`, `job_after`), if this person may see it."""
    cause = Job.objects.filter(pk=OuterRef("blocked_by"), status="F").values("name")
    groups = JobGroup.objects.filter(dag_id=OuterRef("dag_id")).order_by().values("dag_id")
    live = groups.annotate(n=Sum(F("count_i") + F("count_r"))).values("n")
    beside = Job.objects.filter(dag_id=OuterRef("dag_id")).values("job_id")
    before = beside.filter(job_id__lt=OuterRef("job_id")).order_by("-job_id")[:1]
    after = beside.filter(job_id__gt=OuterRef("job_id")).order_by("job_id")[:1]
    jobs = (
        Job.objects.select_related("group", "error_group", "dag__workflow__group")
        .filter(pk=job_id)
        .annotate(blocked_by_name=Subquery(cause), live_in_graph=Subquery(live))
        .annotate(job_before=Subquery(before), job_after=Subquery(after))
    )
    return jobs.filter(dag__workflow__in=visible_workflows(user)).first()


def attempts_of(job_id: int) -> list[JobInstance]:
    """Newest first, with their error texts."""
    attempts = JobInstance.objects.select_related("workflow_run").filter(job_id=job_id)
    return list(with_error_text(attempts).order_by("-job_instance_id")[:ATTEMPTS_SHOWN])


def find_live_attempt(job_id: int) -> JobInstance | None:
    return JobInstance.objects.filter(live_job_id=job_id).first()


def neighbours(job_id: int, side: str) -> Neighbours:
    """`side`: upstream or downstream. One query of at most EDGES_READ rows."""
    other = "downstream" if side == "upstream" else "upstream"
    edges = JobEdge.objects.filter(**{f"{other}_id": job_id}).order_by(f"{side}_id")
    columns = (f"{side}_id", f"{side}__name", f"{side}__status", f"{side}__blocked_by")
    rows = list(edges.values_list(*columns)[: EDGES_READ + 1])
    found = [Neighbour(pk, name, shown_letter(status, cause)) for pk, name, status, cause in rows[:EDGES_READ]]
    first = sorted(found, key=lambda one: (URGENCY.get(one.status, 6), one.job_id))[:NEIGHBOURS_SHOWN]
    return Neighbours(dict(Counter(one.status for one in found)), len(found), len(rows) <= EDGES_READ, first)


def neighbours_in_box(job_id: int, side: str) -> Neighbours:
    """The same for a page, which goes without them where they take too long."""
    return read_box(lambda: neighbours(job_id, side)) or Neighbours({}, 0, False, [], is_late=True)


def view_job(job: Job, read_side: Callable[[int, str], Neighbours] = neighbours) -> JobView:
    """Run, attempts and both sides: four queries."""
    workflow = job.dag.workflow
    runs = WorkflowRun.objects.filter(workflow=workflow).order_by("-id")
    same = Job.objects.filter(error_group_id=job.error_group_id) if job.error_group_id else Job.objects.none()
    run = runs.annotate(jobs_alike=count_expression(same)).first()
    return JobView(
        job,
        workflow,
        run,
        attempts_of(job.job_id),
        read_side(job.job_id, "upstream"),
        read_side(job.job_id, "downstream"),
        read_count(getattr(run, "jobs_alike", 0)) if job.error_group_id else None,
    )
