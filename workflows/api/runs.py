"""Watching and stopping a run."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import bell, lifecycle, planning
from workflows.api import schema, shapes
from workflows.api.authentication import actor_of
from workflows.api.base import DRY_RUN, ApiView, demand, is_dry_run, preview, read_body
from workflows.api.problems import Problem
from workflows.api.unchanged import IF_NONE_MATCH, is_known, make_tag, not_modified
from workflows.api.waiting import wait_for_change
from workflows.digits import read_digits
from workflows.models import WorkflowRun
from workflows.permissions import may_stop
from workflows.queries.attempts import find_run
from workflows.queries.counts import counts_of_dags


def get_run(request: Request, run_id: int) -> WorkflowRun:
    run = find_run(request.user, run_id)
    if run is None:
        raise Http404
    return run


def number(request: Request, name: str) -> int | None:
    """A query parameter as a number; None if it is not given."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    found = read_digits(text, 15)
    if found is None:
        raise Problem(400, "invalid-request", f"{name} must be a whole number.")
    return found


def show(request: Request, run: WorkflowRun) -> dict[str, object]:
    dag_id = run.workflow.dag_id
    return shapes.run(run, counts_of_dags([dag_id]).get(dag_id, {}), run.workflow.change_no, request)


class RunView(ApiView):
    @extend_schema(
        parameters=[
            OpenApiParameter("v", int, description="the change number that you know; 204 while it is the present one"),
            OpenApiParameter("wait", int, description="with v: wait up to so many seconds (25 at most) for a change"),
            IF_NONE_MATCH,
        ],
        responses={200: schema.Run, 204: None, 304: None, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="show_run",
    )
    def get(self, request: Request, run_id: int) -> Response:
        """One run with its workflow's counts."""
        run = get_run(request, run_id)
        known, seconds = number(request, "v"), number(request, "wait")
        if known == run.workflow.change_no and seconds:
            wait_for_change(run.workflow_id, known, seconds)
            run = get_run(request, run_id)
        if known == run.workflow.change_no:
            return Response(status=204)
        tag = make_tag(request, run.pk, run.workflow.change_no)
        return not_modified(tag) if is_known(request, tag) else Response(show(request, run), headers={"ETag": tag})


class StopView(ApiView):
    has_dry_run = True

    @extend_schema(
        request=schema.StopInput,
        parameters=[DRY_RUN],
        responses={
            200: schema.Plan,
            202: schema.Run,
            400: schema.ProblemShape,
            403: schema.ProblemShape,
            404: schema.ProblemShape,
            409: schema.ProblemShape,
        },
        operation_id="stop_run",
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Let running jobs finish (`drain`) or end them (`kill`). Stopping again is the same stop."""
        run = get_run(request, run_id)
        demand(may_stop, request, run.workflow)
        mode = read_body(schema.StopInput, request)["mode"]
        if is_dry_run(request):
            return preview(planning.plan_stop(run, mode))
        lifecycle.ask_stop(run_id, mode, actor_of(request))
        bell.ring(run_id)
        return Response(show(request, get_run(request, run_id)), status=202)


class HoldView(ApiView):
    @extend_schema(
        request=schema.HoldInput,
        responses={200: schema.Run, 400: schema.ProblemShape, 403: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="hold_run",
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Submit nothing more until the hold is taken away; what is submitted or runs goes on."""
        return _hold(request, run_id, read_body(schema.HoldInput, request)["reason"])


class ReleaseView(ApiView):
    @extend_schema(
        request=None,
        responses={200: schema.Run, 403: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="release_run",
    )
    def post(self, request: Request, run_id: int) -> Response:
        """Take the hold away."""
        return _hold(request, run_id, "")


def _hold(request: Request, run_id: int, reason: str) -> Response:
    run = get_run(request, run_id)
    demand(may_stop, request, run.workflow)
    lifecycle.hold_run(run_id, reason, actor_of(request))
    bell.ring(run_id)
    return Response(show(request, get_run(request, run_id)))
