"""Submitting workflows, finding them, starting and resuming them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import bell, binding, lifecycle, planning
from workflows.api import schema, shapes
from workflows.api.authentication import actor_of
from workflows.api.base import (
    DRY_RUN,
    ApiView,
    RawBody,
    demand,
    demand_understood,
    get_workflow,
    is_dry_run,
    preview,
    raw_body,
    read_body,
)
from workflows.api.lists import NEWEST, answer_page, demand_rows, describe_list
from workflows.api.problems import Problem
from workflows.api.unchanged import IF_NONE_MATCH, is_known, make_tag, not_modified
from workflows.filters import AttemptFilter, ErrorFilter, RunFilter, WorkflowFilter
from workflows.graph import Graph, GraphError, Header, InvalidGraph, JobInput, build_graph, check_header
from workflows.graph_text import (
    find_doubled,
    parse_header,
    parse_jobs,
    parse_some_jobs,
    refuse_too_much,
    split_body,
)
from workflows.job_filters import JobFilter
from workflows.models import JobInstance, Workflow, WorkflowRun
from workflows.permissions import is_owner, may_operate
from workflows.queries import attempts as attempt_queries
from workflows.queries import jobs as job_queries
from workflows.queries.counts import counts_of_dags, groups_of
from workflows.queries.keyset import Order
from workflows.queries.workflows import listed, with_error_text
from workflows.scope import Scope
from workflows.submission_plan import plan_submission

SORT = OpenApiParameter(
    "sort", str, enum=list(job_queries.ORDERS), description="- before the name: the other way round"
)
NEWEST_ATTEMPT = Order("job_instance_id", is_descending=True)
ERROR_LINES = 10


def read_graph(body: bytes) -> Graph:
    """The checked graph of a posted workflow. Raises InvalidGraph with everything that is wrong."""
    fields, jobs = split_body(body)
    refuse_too_much(body, jobs)
    errors = find_doubled(body)
    header, parsed = Header(workflow_args="-"), list[JobInput]()
    try:
        header = parse_header(msgspec.json.encode(fields))
    except InvalidGraph as error:
        errors += error.every
    try:
        parsed = parse_jobs(bytes(jobs))
    except InvalidGraph as error:
        errors += error.every
        if not (parsed := parse_some_jobs(bytes(jobs))):
            raise InvalidGraph(errors) from error
    errors += find_unknown_executors(header, parsed)
    try:
        graph = build_graph(header, parsed)
    except InvalidGraph as error:
        raise InvalidGraph(errors + error.every) from error
    if errors:
        raise InvalidGraph(errors)
    return graph


def find_unknown_executors(header: Header, jobs: list[JobInput]) -> Iterator[GraphError]:
    known = set(settings.EXECUTORS)
    names = f"there are {', '.join(sorted(known))}"
    places = [(header.executor, "executor", "")]
    places += [(name, f"tag_executors.{tag}", "") for tag, name in header.tag_executors.items()]
    places += [
        (job.executor, f"jobs[{position}].executor", job.name) for position, job in enumerate(jobs) if job.executor
    ]
    for name, path, job_name in places:
        if name and name not in known:
            yield GraphError("unknown-executor", path, f"There is no executor {name!r} here; {names}.", job_name)


def check_executors(header: Header, jobs: list[JobInput]) -> None:
    """Raises InvalidGraph naming every executor that is not there."""
    errors = list(find_unknown_executors(header, jobs))
    if errors:
        raise InvalidGraph(errors)


def check_options(values: dict[str, object]) -> None:
    """A run's own paths and project obey the rules of a workflow's: they reach the batch system."""
    keys = ("project", "stdout", "stderr", "working_dir", "home", "path")
    header = Header(workflow_args="-", **{key: str(values[key]) for key in keys if values.get(key)})  # type: ignore[arg-type]
    errors = list(check_header(header))
    if errors:
        listed = [{"code": error.code, "path": error.path, "detail": error.detail} for error in errors]
        raise Problem(400, "invalid-request", " ".join(error.detail for error in errors), errors=listed)


def show(request: Request, workflow: Workflow) -> dict[str, object]:
    counts = counts_of_dags([workflow.dag_id]).get(workflow.dag_id, {})
    latest = WorkflowRun.objects.filter(workflow=workflow).order_by("-pk").first()
    return shapes.workflow(workflow, counts, latest, request)


def bind_and_answer(request: Request, graph: Graph) -> Response:
    bound = binding.bind(graph, actor_of(request))
    workflow = Workflow.objects.select_related("dag", "group").get(pk=bound.workflow.pk)
    return Response({**show(request, workflow), "created": bound.is_new}, status=201 if bound.is_new else 200)


class WorkflowsView(ApiView):
    parser_classes = [RawBody]
    scope = "submit"
    has_dry_run = True

    @extend_schema(
        parameters=describe_list(WorkflowFilter, IF_NONE_MATCH),
        responses={200: schema.WorkflowList, 304: None, 400: schema.ProblemShape},
        operation_id="list_workflows",
    )
    def get(self, request: Request) -> Response:
        """Workflows that you may see, newest first."""
        rows = listed(request.user).select_related("dag", "group")
        rows = demand_rows(WorkflowFilter(request.query_params, rows, request.user))
        return answer_page(request, rows, NEWEST, lambda found: _shown(request, found), find_state)

    @extend_schema(
        request=schema.WorkflowInput,
        parameters=[DRY_RUN],
        responses={
            200: schema.SubmittedOrPlanned,
            201: schema.Workflow,
            400: schema.ProblemShape,
            409: schema.ProblemShape,
            413: schema.ProblemShape,
        },
        operation_id="submit_workflow",
    )
    def post(self, request: Request) -> Response:
        """Submit a graph. The same arguments and jobs answer the same workflow; nothing is started."""
        only_ask = is_dry_run(request)
        graph = read_graph(raw_body(request))
        if only_ask:
            return Response({**plan_submission(graph, actor_of(request)).as_json(), "dry_run": True})
        return bind_and_answer(request, graph)


def _shown(request: Request, rows: Sequence[Workflow]) -> list[dict[str, object]]:
    counts = counts_of_dags([row.dag_id for row in rows])
    latest = _latest_runs([row.pk for row in rows])
    return [shapes.workflow(row, counts.get(row.dag_id, {}), latest.get(row.pk), request) for row in rows]


def _latest_runs(workflow_ids: list[int]) -> dict[int, WorkflowRun]:
    runs = WorkflowRun.objects.filter(workflow_id__in=workflow_ids).order_by("pk")
    return {run.workflow_id: run for run in runs}


def find_state(workflow: Workflow) -> tuple[object, ...]:
    """All that may make an answer about it another one: a group may be renamed without a change of the workflow."""
    return workflow.pk, workflow.change_no, workflow.group and workflow.group.name


class WorkflowView(ApiView):
    @extend_schema(
        parameters=[IF_NONE_MATCH],
        responses={200: schema.Workflow, 304: None, 404: schema.ProblemShape},
        operation_id="show_workflow",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """One workflow, its counts and its latest run."""
        workflow = get_workflow(request, workflow_id)
        tag = make_tag(request, find_state(workflow))
        if is_known(request, tag):
            return not_modified(tag)
        return Response(show(request, workflow), headers={"ETag": tag})


class WorkflowRunsView(ApiView):
    scope = "submit"
    has_dry_run = True

    @extend_schema(
        parameters=describe_list(RunFilter),
        responses={200: schema.RunList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_workflow_runs",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """Its runs, newest first."""
        workflow = get_workflow(request, workflow_id)
        counts = counts_of_dags([workflow.dag_id]).get(workflow.dag_id, {})
        rows = demand_rows(RunFilter(request.query_params, WorkflowRun.objects.filter(workflow=workflow)))
        show_run = partial(shapes.run, counts=counts, change_no=workflow.change_no, request=request)
        return answer_page(request, rows, NEWEST, lambda found: [show_run(row) for row in found])

    @extend_schema(
        request=schema.RunInput,
        parameters=[DRY_RUN],
        responses={
            200: schema.Plan,
            201: schema.Run,
            400: schema.ProblemShape,
            403: schema.ProblemShape,
            404: schema.ProblemShape,
            409: schema.ProblemShape,
        },
        operation_id="start_run",
    )
    def post(self, request: Request, workflow_id: int) -> Response:
        """Start or resume: everything that is not done is tried; what is done is never run again."""
        workflow = get_workflow(request, workflow_id)
        demand(may_operate, request, workflow)
        values = read_body(schema.RunInput, request)
        check_options(values)
        _demand_own_options(request, workflow, values)
        scope = Scope(tuple(values.pop("tags", ())), tuple(values.pop("job_ids", ())), values.pop("error_group", None))
        options = lifecycle.RunOptions(**values, scope=scope)
        if is_dry_run(request):
            return preview(planning.plan_start(workflow, scope, options.resume))
        check_executors(Header(workflow_args="-", executor=options.executor or ""), [])
        run = lifecycle.start_run(workflow_id, actor_of(request), options)
        bell.ring(run.pk)
        workflow.refresh_from_db()
        counts = counts_of_dags([workflow.dag_id]).get(workflow.dag_id, {})
        return Response(shapes.run(run, counts, workflow.change_no, request), status=201)


def _demand_own_options(request: Request, workflow: Workflow, values: dict[str, object]) -> None:
    """What runs, where and with which environment is the owner's to say; an operator may repeat it."""
    keys = ("executor", "project", "stdout", "stderr", "working_dir", "home", "path")
    others = [key for key in keys if key in values and values[key] != getattr(workflow, key)]
    if not others or is_owner(request.user, workflow):
        return
    errors = [{"code": "not-yours", "path": key, "detail": f"{key} is the owner's to say."} for key in others]
    said = f"Only the owner ({workflow.user}) may change {', '.join(others)} of workflow {workflow.pk}."
    raise Problem(403, "not-allowed", f"{said} Leave out what you would change, and it runs as it is.", errors=errors)


class WorkflowJobsView(ApiView):
    @extend_schema(
        parameters=describe_list(JobFilter, SORT),
        responses={200: schema.JobList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_jobs",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """Its jobs; filters are those of the page."""
        workflow = get_workflow(request, workflow_id)
        rows = job_queries.jobs_of(workflow.dag_id)
        filters = JobFilter(request.query_params, rows, workflow.dag_id, groups_of(workflow.dag_id))
        demand_rows(filters)
        sort = request.query_params.get("sort") or job_queries.DEFAULT_ORDER
        if sort not in job_queries.ORDERS:
            demand_understood(["sort"], {"sort": [f"sort by one of {', '.join(job_queries.ORDERS)}"]})
        chosen, keys = filters.listed(sort)
        return answer_page(
            request,
            chosen,
            job_queries.ORDERS[sort],
            lambda found: [shapes.job(row, workflow.pk) for row in found],
            keys=keys,
        )


class WorkflowInstancesView(ApiView):
    @extend_schema(
        parameters=describe_list(AttemptFilter),
        responses={200: schema.JobInstanceList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_job_instances",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """Attempts of all its jobs in all its runs, newest first."""
        workflow = get_workflow(request, workflow_id)
        rows = demand_rows(AttemptFilter(request.query_params, attempt_queries.attempts_of_workflow(workflow.pk)))
        return answer_page(request, with_error_text(rows), NEWEST_ATTEMPT, _instances)


def _instances(rows: Sequence[JobInstance]) -> list[dict[str, object]]:
    return [shapes.instance(row, getattr(row, "error_text", None)) for row in rows]


class WorkflowErrorsView(ApiView):
    @extend_schema(
        parameters=describe_list(ErrorFilter),
        responses={200: schema.FailedAttemptList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_errors",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """Failed attempts, newest first, with their last lines."""
        workflow = get_workflow(request, workflow_id)
        failed = attempt_queries.failed_attempts(workflow.dag_id, workflow.pk)
        rows = with_error_text(demand_rows(ErrorFilter(request.query_params, failed)))
        return answer_page(request, rows, NEWEST_ATTEMPT, lambda found: [_failed(row) for row in found])


def _failed(row: JobInstance) -> dict[str, object]:
    text = getattr(row, "error_text", None) or row.evidence
    return {
        "job_id": row.job_id,
        "job_name": row.job.name,
        "tag": row.job.tag,
        "job_status": row.job.status,
        "job_instance_id": row.pk,
        "reason": row.reason,
        "exit_code": row.exit_code,
        "error_time": shapes.iso(row.ended_at),
        "description": row.evidence,
        "stderr_tail": "\n".join(text.partition("\n\n")[2].splitlines()[-ERROR_LINES:]),
    }
