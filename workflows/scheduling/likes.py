"""Earlier workflows that did the same work: of the same owner and name, or the same graph under other arguments. Their
run times stand in for those that this workflow cannot have yet: of a tag with a single job, and of the work as a whole."""

from __future__ import annotations

from collections import defaultdict

from workflows.models import JobInstance, Workflow, WorkflowRun

SEARCHED, LIKES, ATTEMPTS_READ = 200, 5, 5_000
SIMILAR = 0.1  # by so much the numbers of jobs may differ


def find_likes(workflow: Workflow) -> dict[int, int]:
    """The newest done ones among the owner's last: id → number of jobs."""
    earlier = Workflow.objects.filter(owner_id=workflow.owner_id, pk__lt=workflow.pk).order_by("-pk")
    rows = earlier.values_list("pk", "status", "name", "dag__dag_hash", "dag__job_count")[:SEARCHED]
    alike = [
        (pk, count)
        for pk, status, name, dag_hash, count in rows
        if status == "D" and (dag_hash == workflow.dag.dag_hash or (name and name == workflow.name))
    ]
    return dict(alike[:LIKES])


def read_run_times(workflow_ids: list[int]) -> dict[str, list[float]]:
    """Seconds that their newest successful attempts ran, by tag."""
    runs = list(WorkflowRun.objects.filter(workflow_id__in=workflow_ids).values_list("pk", flat=True))
    ended = JobInstance.objects.filter(workflow_run_id__in=runs, status="D").order_by("-job_instance_id")
    times: dict[str, list[float]] = defaultdict(list)
    columns = ("job__group__name", "wallclock", "started_at", "ended_at")
    for name, wallclock, started, end in ended.values_list(*columns)[:ATTEMPTS_READ]:
        if wallclock is not None:
            times[name].append(wallclock)
        elif started and end:
            times[name].append((end - started).total_seconds())
    return times


def read_durations(run: WorkflowRun, likes: dict[int, int]) -> list[float]:
    """How long those took that did as many jobs in a single run, under the same limit on the same executor."""
    jobs = run.workflow.dag.job_count
    close = [pk for pk, count in likes.items() if abs(count - jobs) <= SIMILAR * jobs]
    runs: dict[int, list[WorkflowRun]] = defaultdict(list)
    for other in WorkflowRun.objects.filter(workflow_id__in=close):
        runs[other.workflow_id].append(other)
    return [
        (only.ended_at - only.created_date).total_seconds()
        for only, *more in runs.values()
        if not more
        and only.ended_at is not None
        and (only.status, only.executor) == ("D", run.executor)
        and only.max_concurrently_running == run.max_concurrently_running
    ]
