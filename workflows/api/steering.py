"""Jobs again, jobs done by word, limits, requests and notes."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import explain, lifecycle, operations, planning
from workflows.api import schema
from workflows.api.authentication import actor_of
from workflows.api.base import DRY_RUN, ApiView, demand, get_workflow, is_dry_run, preview, read_body
from workflows.api.problems import Problem
from workflows.models import Job, Workflow
from workflows.permissions import find_group, is_owner, may_operate, may_write_notes
from workflows.queries.frame import read_frame
from workflows.queries.job_detail import find_job, view_job
from workflows.queries.jobs import jobs_of
from workflows.restarting import restart, ring_live_run
from workflows.sharing import share
from workflows.state_machine import JobStatus

PROBLEMS = {400: schema.ProblemShape, 403: schema.ProblemShape, 404: schema.ProblemShape, 409: schema.ProblemShape}


def get_job(request: Request, job_id: int) -> Job:
    job = find_job(request.user, job_id)
    if job is None:
        raise Http404
    return job


def own_jobs(workflow: Workflow, job_ids: Sequence[int]) -> list[int]:
    """These ids, if all of them are jobs of the workflow."""
    found = set(Job.objects.filter(dag_id=workflow.dag_id, pk__in=job_ids).values_list("pk", flat=True))
    missing = sorted(set(job_ids) - found)
    if missing:
        raise Problem(400, "unknown-job", f"Not jobs of workflow {workflow.pk}: {', '.join(map(str, missing[:20]))}.")
    return sorted(found)


class RerunView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.RerunInput,
        parameters=[DRY_RUN],
        responses={200: schema.Plan, 202: schema.Plan, **PROBLEMS},
        operation_id="rerun_job",
    )
    def post(self, request: Request, job_id: int) -> Response:
        """Run a job again, done or not, with or without all that is behind it. Without a live run a new one is
        started for just these jobs."""
        job = get_job(request, job_id)
        workflow = job.dag.workflow
        demand(may_operate, request, workflow)
        downstream = read_body(schema.RerunInput, request)["downstream"]
        plan = planning.plan_rerun(job, downstream)
        if is_dry_run(request):
            return preview(plan)
        run_id = restart(workflow, planning.rerun_ids(job, downstream), actor_of(request))
        return Response({**plan.as_json(), "dry_run": False, "run_id": run_id}, status=202)


class DoneView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.DoneInput,
        parameters=[DRY_RUN],
        responses={200: schema.Plan, 202: schema.Plan, **PROBLEMS},
        operation_id="mark_job_done",
    )
    def post(self, request: Request, job_id: int) -> Response:
        """Your word that this job need not run: it counts as done, and is recorded as such."""
        job = get_job(request, job_id)
        workflow = job.dag.workflow
        demand(is_owner, request, workflow)
        note = read_body(schema.DoneInput, request).get("note", "")
        plan = planning.plan_done(job)
        if is_dry_run(request):
            return preview(plan)
        steered = lifecycle.mark_done(workflow.pk, [job_id], actor_of(request), note)
        if steered.skipped:
            raise Problem(409, "not-changed", f"{job.name}: {steered.skipped[job_id]}.")
        return Response({**plan.as_json(), "dry_run": False, "run_id": ring_live_run(workflow.pk)}, status=202)


class ResetView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.JobIdsInput,
        parameters=[DRY_RUN],
        responses={200: schema.SteeredOrPlanned, **PROBLEMS},
        operation_id="reset_jobs",
    )
    def post(self, request: Request, workflow_id: int) -> Response:
        """Back to "registered" with all attempts; nothing is started unless a run is live."""
        workflow = get_workflow(request, workflow_id)
        demand(may_operate, request, workflow)
        ids = own_jobs(workflow, read_body(schema.JobIdsInput, request)["job_ids"])
        if is_dry_run(request):
            return preview(_plan_jobs(workflow, "rerun", ids))
        steered = lifecycle.reset_jobs(workflow_id, ids, actor_of(request))
        ring_live_run(workflow_id)
        return Response(_steered(steered))


class RequestsView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.RequestsInput,
        parameters=[DRY_RUN],
        responses={200: schema.SteeredOrPlanned, **PROBLEMS},
        operation_id="change_requests",
    )
    def post(self, request: Request, workflow_id: int) -> Response:
        """Change slots, mem_free, max_runtime or max_attempts of unfinished jobs; live attempts keep theirs."""
        workflow = get_workflow(request, workflow_id)
        demand(is_owner, request, workflow)
        values = read_body(schema.RequestsInput, request)
        ids = own_jobs(workflow, values.pop("job_ids"))
        if not values:
            raise Problem(400, "invalid-request", "Name at least one of slots, mem_free, max_runtime, max_attempts.")
        if is_dry_run(request):
            return preview(_plan_jobs(workflow, "requests", ids))
        return Response(_steered(lifecycle.change_requests(workflow_id, ids, actor_of(request), **values)))


def _plan_jobs(workflow: Workflow, action: str, ids: Sequence[int]) -> planning.Plan:
    """What an operation with this action would do: the single calls obey the same rules."""
    jobs = jobs_of(workflow.dag_id).filter(pk__in=ids)
    return operations.plan(operations.ACTIONS[action], operations.count(jobs), operations.sample(jobs), "named by id")


def _steered(steered: lifecycle.Steered) -> dict[str, object]:
    return {"changed": steered.changed, "skipped": {str(job_id): why for job_id, why in steered.skipped.items()}}


class LimitsView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.LimitsInput,
        parameters=[DRY_RUN],
        responses={200: schema.LimitsOrPlanned, **PROBLEMS},
        operation_id="set_limits",
    )
    def put(self, request: Request, workflow_id: int) -> Response:
        """How many jobs may run at once, in the workflow and per tag; null takes a limit away. Holds for a live run."""
        workflow = get_workflow(request, workflow_id)
        demand(may_operate, request, workflow)
        wanted = read_body(schema.LimitsInput, request)
        run_limit = wanted.get("max_concurrently_running", workflow.max_concurrently_running)
        tag_limits = wanted.get("tag_limits", {})
        if is_dry_run(request):
            return preview(planning.plan_limits(workflow, run_limit, tag_limits))
        lifecycle.set_limits(workflow_id, actor_of(request), run_limit, tag_limits)
        ring_live_run(workflow_id)
        return Response({"max_concurrently_running": run_limit, "tag_limits": tag_limits})


class NoteView(ApiView):
    @extend_schema(request=schema.NoteInput, responses={200: schema.NoteInput, **PROBLEMS}, operation_id="set_note")
    def put(self, request: Request, workflow_id: int) -> Response:
        """A note for whoever looks at the workflow."""
        workflow = get_workflow(request, workflow_id)
        demand(may_write_notes, request, workflow)
        wanted = read_body(schema.NoteInput, request)
        lifecycle.set_note(workflow_id, wanted["note"], actor_of(request))
        return Response(wanted)


class SharingView(ApiView):
    @extend_schema(
        request=schema.SharingInput, responses={200: schema.SharingInput, **PROBLEMS}, operation_id="share_workflow"
    )
    def put(self, request: Request, workflow_id: int) -> Response:
        """Share a workflow with one of your groups, or with nobody; say whether its members may operate it."""
        workflow = get_workflow(request, workflow_id)
        demand(is_owner, request, workflow)
        wanted = read_body(schema.SharingInput, request)
        group = find_group(workflow.owner, wanted["group"]) if wanted["group"] else None
        if wanted["group"] and group is None:
            raise Problem(400, "unknown-group", f"You are not in a group {wanted['group']!r}.")
        share(workflow_id, group, wanted["group_may_operate"], actor_of(request))
        return Response(
            {"group": group and group.name, "group_may_operate": bool(group) and wanted["group_may_operate"]}
        )


class WhyView(ApiView):
    @extend_schema(responses={200: schema.Why, 404: schema.ProblemShape}, operation_id="why")
    def get(self, request: Request, job_id: int) -> Response:
        """Why the job is in the state it is in, in a sentence."""
        view = view_job(get_job(request, job_id))
        side = view.upstreams
        failed = [neighbour.name for neighbour in side.jobs if neighbour.status == JobStatus.ERROR_FATAL]
        upstreams = explain.Upstreams(side.total, side.total - side.counts.get(JobStatus.DONE, 0), failed)
        frame = read_frame(request.user.pk)
        told = explain.why(view.job, view.last, view.run, upstreams, timezone.now(), frame.holds, frame.full)
        return Response({"job_id": job_id, "why": told})
