"""Actions on many jobs: a draft with frozen ids, its confirmation, its progress and what became of each job."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.http import Http404, QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import bell, collecting, operations
from workflows.api import schema, shapes
from workflows.api.authentication import actor_of
from workflows.api.base import DRY_RUN, ApiView, demand, demand_understood, get_workflow, is_dry_run, preview, read_body
from workflows.api.lists import NEWEST, answer_page, demand_rows, describe_list
from workflows.api.problems import Problem
from workflows.filters import OperationFilter, OutcomeFilter
from workflows.models import Operation, OperationItem, Workflow
from workflows.planning import Plan, plural
from workflows.queries import operations as queries
from workflows.queries.jobs import jobs_of
from workflows.queries.keyset import Order

PROBLEMS = {400: schema.ProblemShape, 403: schema.ProblemShape, 404: schema.ProblemShape, 409: schema.ProblemShape}
BY_ITEM = Order("id")


def get_operation(request: Request, key: uuid.UUID) -> Operation:
    operation = queries.find_operation(request.user, key)
    if operation is None:
        raise Http404
    return operation


def choose_jobs(workflow: Workflow, wanted: dict[str, Any]) -> collecting.Selection:
    """The jobs that are meant, and the same in words. Raises Problem."""
    if ("filters" in wanted) == ("job_ids" in wanted):
        raise Problem(
            400, "invalid-request", "Name the jobs by either filters or job_ids; empty filters mean all jobs."
        )
    if "job_ids" in wanted:
        return _by_ids(workflow, wanted["job_ids"])
    query = QueryDict(mutable=True)
    for name, values in wanted["filters"].items():
        query.setlist(name, values)
    selection = collecting.select(workflow, query)
    assert selection.filters is not None
    understood = set(selection.filters.applied)
    demand_understood([name for name in wanted["filters"] if name not in understood], selection.filters.errors)
    return selection


def _by_ids(workflow: Workflow, job_ids: Sequence[int]) -> collecting.Selection:
    jobs = jobs_of(workflow.dag_id).filter(pk__in=job_ids)
    missing = sorted(set(job_ids) - set(jobs.values_list("pk", flat=True)))
    if missing:
        raise Problem(400, "unknown-job", f"Not jobs of workflow {workflow.pk}: {', '.join(map(str, missing[:20]))}.")
    return collecting.Selection(jobs, f"{plural(len(set(job_ids)))} named by id")


def _plan_of(operation: Operation) -> Plan | None:
    """What it would do; None while its jobs are collected."""
    return None if operation.state == "collecting" else operations.plan_of(operation)


class WorkflowOperationsView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.OperationInput,
        parameters=[DRY_RUN],
        responses={200: schema.Plan, 201: schema.Operation, **PROBLEMS},
        operation_id="draft_operation",
    )
    def post(self, request: Request, workflow_id: int) -> Response:
        """Freeze which jobs are meant; more than 10,000 are collected first, while its state is `collecting`. Nothing
        happens to them until the draft is confirmed, within half an hour."""
        workflow = get_workflow(request, workflow_id)
        wanted = read_body(schema.OperationInput, request)
        name = wanted["action"]
        demand(operations.ACTIONS[name].may_act, request, workflow)
        selection = choose_jobs(workflow, wanted)
        jobs, said = selection.jobs, selection.said
        if is_dry_run(request):
            action, counted, samples = operations.ACTIONS[name], operations.count(jobs), operations.sample(jobs)
            return preview(operations.plan(action, counted, samples, said))
        operation = collecting.make_draft(workflow, actor_of(request), name, selection)
        if operation is None:
            raise Problem(409, "no-jobs", f"No job of workflow {workflow_id} is chosen ({said}); nothing was done.")
        return Response(shapes.operation(operation, request, _plan_of(operation)), status=201)


class OperationsView(ApiView):
    @extend_schema(
        parameters=describe_list(OperationFilter),
        responses={200: schema.OperationList, 400: schema.ProblemShape},
        operation_id="list_operations",
    )
    def get(self, request: Request) -> Response:
        """Operations on workflows that you may see, newest first; of drafts only your own."""
        rows = demand_rows(OperationFilter(request.query_params, queries.listed(request.user)))
        return answer_page(request, rows, NEWEST, lambda found: [shapes.operation(row, request) for row in found])


class OperationView(ApiView):
    @extend_schema(responses={200: schema.Operation, 404: schema.ProblemShape}, operation_id="show_operation")
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """One operation: what was frozen, by tag, and how far it is."""
        operation = get_operation(request, key)
        return Response(shapes.operation(operation, request, _plan_of(operation)))


class OperationJobsView(ApiView):
    @extend_schema(
        parameters=describe_list(OutcomeFilter),
        responses={200: schema.OutcomeList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_operation_jobs",
    )
    def get(self, request: Request, key: uuid.UUID) -> Response:
        """Each of its jobs and what became of it: waiting, changed, or skipped and why."""
        rows = demand_rows(OutcomeFilter(request.query_params, queries.items_of(get_operation(request, key))))
        return answer_page(request, rows, BY_ITEM, _outcomes)


def _outcomes(items: Sequence[OperationItem]) -> list[dict[str, object]]:
    names = queries.job_names(item.job_id for item in items)
    return [
        {
            "job_id": item.job_id,
            "name": names.get(item.job_id, ""),
            "outcome": item.outcome or "waiting",
            "why": item.why,
        }
        for item in items
    ]


class OperationConfirmView(ApiView):
    @extend_schema(
        request=schema.OperationConfirmation,
        responses={202: schema.Operation, **PROBLEMS},
        operation_id="confirm_operation",
    )
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Carry out a draft of yours. Confirming again is the same confirmation."""
        operation = get_operation(request, key)
        demand(operations.action_of(operation).may_act, request, operation.workflow)
        options = read_options(operation.action, read_body(schema.OperationConfirmation, request))
        if operations.is_expired(operation):
            raise Problem(409, "draft-expired", "The draft is over half an hour old; make a new one.")
        if operation.state == "collecting":
            detail = f"Its jobs are still being collected ({operation.jobs:,} so far); confirm it when it is a draft."
            raise Problem(409, "still-collecting", detail)
        if operations.confirm(operation, options, actor_of(request)):
            bell.send(operations.TASK, operation_id=operation.pk)
        return Response(shapes.operation(get_operation(request, key), request), status=202)


def read_options(action: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the action needs beside its jobs. Raises Problem for what is missing, or is not for this action."""
    taken = operations.OPTIONS.get(action, ())
    strange = sorted(set(given) - set(taken))
    if strange:
        raise Problem(400, "invalid-request", f"The action {action} takes no {', '.join(strange)}.")
    if action == "requests":
        if not given:
            raise Problem(400, "invalid-request", f"Name at least one of {', '.join(taken)}.")
        return {"values": given}
    if action == "kill" and "then" not in given:
        raise Problem(400, "invalid-request", "Say what becomes of the jobs: then is retry or fail.")
    return given


class OperationStopView(ApiView):
    @extend_schema(request=None, responses={200: schema.Operation, **PROBLEMS}, operation_id="stop_operation")
    def post(self, request: Request, key: uuid.UUID) -> Response:
        """Leave the rest as it is; what is done stays done. Stopping what is over changes nothing."""
        operation = get_operation(request, key)
        demand(operations.action_of(operation).may_act, request, operation.workflow)
        operations.ask_stop(operation, actor_of(request))
        return Response(shapes.operation(get_operation(request, key), request))
