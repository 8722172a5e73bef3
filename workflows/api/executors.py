"""Holding and limiting executors, taking hosts out of use: for those who keep the machines."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import executor_control
from workflows.api import schema, shapes
from workflows.api.authentication import actor_of
from workflows.api.base import ApiView, read_body
from workflows.api.problems import Problem
from workflows.models import ExecutorState
from workflows.permissions import Person, may_hold_executors, may_set_up_executors
from workflows.queries.executors import find_executor

PROBLEMS = {400: schema.ProblemShape, 403: schema.ProblemShape, 404: schema.ProblemShape, 409: schema.ProblemShape}


def demand_right(may_act: Callable[[Person], bool], request: Request) -> None:
    if not may_act(request.user):
        who = "staff" if may_act is may_hold_executors else "administrators"
        raise Problem(403, "not-allowed", f"Only {who} may do this.")


def get_executor(name: str) -> ExecutorState:
    state = find_executor(name)
    if state is None:
        raise Http404
    return state


def change(act: Callable[[], object]) -> None:
    """Carry it out, and let what may start now start. Raises Problem where it cannot be."""
    try:
        act()
    except executor_control.NotChanged as refusal:
        raise Problem(409, "not-changed", str(refusal)) from refusal
    executor_control.ring_live_runs()


def show_executor(name: str, state: ExecutorState | None) -> dict[str, object]:
    return {
        "name": name,
        "kind": state.kind if state else name,
        "polled_at": shapes.iso(state.polled_at) if state else None,
        "poll_seconds": state.poll_seconds if state else None,
        "failure": state.failure if state else "",
        "failures_in_a_row": state.failures_in_a_row if state else 0,
        "counts": state.counts if state else {},
        "max_live": state.max_live if state else None,
        "hold_reason": state.hold_reason if state else "",
    }


class ExecutorsView(ApiView):
    @extend_schema(responses=schema.ExecutorList, operation_id="list_executors")
    def get(self, request: Request) -> Response:
        """The executors and what their last listing told; nobody is asked for this."""
        states = {state.name: state for state in ExecutorState.objects.all()}
        return Response({"results": [show_executor(name, states.get(name)) for name in settings.EXECUTORS]})


class ExecutorHoldView(ApiView):
    @extend_schema(
        request=schema.HoldChange, responses={200: schema.ExecutorShape, **PROBLEMS}, operation_id="hold_executor"
    )
    def put(self, request: Request, name: str) -> Response:
        """Submit nothing new to this executor; an empty reason releases it. What runs goes on."""
        get_executor(name)
        demand_right(may_hold_executors, request)
        reason = " ".join(read_body(schema.HoldChange, request)["reason"].split())
        change(lambda: executor_control.hold(name, reason, actor_of(request)))
        return Response(show_executor(name, get_executor(name)))


class ExecutorLimitView(ApiView):
    @extend_schema(
        request=schema.ExecutorLimit, responses={200: schema.ExecutorShape, **PROBLEMS}, operation_id="limit_executor"
    )
    def put(self, request: Request, name: str) -> Response:
        """At most so many attempts at once, of all runs together; null for the executor's own number."""
        get_executor(name)
        demand_right(may_set_up_executors, request)
        most = read_body(schema.ExecutorLimit, request)["max_live"]
        change(lambda: executor_control.set_limit(name, most, actor_of(request)))
        return Response(show_executor(name, get_executor(name)))


class HostExclusionView(ApiView):
    @extend_schema(
        request=schema.HostChange, responses={200: schema.HostState, **PROBLEMS}, operation_id="exclude_host"
    )
    def put(self, request: Request, name: str, host: str) -> Response:
        """Start nothing new on a host, or use it again. What runs there goes on."""
        get_executor(name)
        demand_right(may_set_up_executors, request)
        wanted = read_body(schema.HostChange, request)
        actor, reason = actor_of(request), " ".join(wanted["reason"].split())
        if wanted["is_excluded"]:
            change(lambda: executor_control.exclude_host(name, host, reason, actor))
        else:
            change(lambda: executor_control.readmit_host(name, host, actor))
        return Response({"executor": name, "name": host, "is_excluded": wanted["is_excluded"]})
