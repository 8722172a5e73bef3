"""Error groups: failures that are alike."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import lifecycle
from workflows.api import schema, shapes
from workflows.api.authentication import actor_of
from workflows.api.base import ApiView, demand, get_workflow, read_body
from workflows.api.lists import answer_page, demand_rows, describe_list
from workflows.filters import ErrorGroupFilter
from workflows.permissions import may_operate
from workflows.queries.error_groups import ErrorGroupRow, count_jobs, find_error_group, groups_of_workflow
from workflows.queries.keyset import Order

BY_ATTEMPTS = Order("id", "attempts", is_descending=True, kind=int)


def show(row: ErrorGroupRow) -> dict[str, object]:
    group = row.group
    return {
        "id": group.pk,
        "workflow_id": group.workflow_id,
        "title": group.title,
        "reason": group.reason,
        "attempts": group.attempts,
        "jobs_failed": row.jobs_failed,
        "jobs_retrying": row.jobs_retrying,
        "jobs_blocked": group.count_blocked,
        "first_seen": shapes.iso(group.first_seen_at),
        "last_seen": shapes.iso(group.last_seen_at),
        "state": group.state,
        "note": group.note,
    }


class ErrorGroupsView(ApiView):
    @extend_schema(
        parameters=describe_list(ErrorGroupFilter),
        responses={200: schema.ErrorGroupList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_error_groups",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """Failures that are alike, those with the most attempts first."""
        workflow = get_workflow(request, workflow_id)
        rows = demand_rows(ErrorGroupFilter(request.query_params, groups_of_workflow(workflow.pk)))
        return answer_page(request, rows, BY_ATTEMPTS, lambda found: [show(row) for row in count_jobs(found)])


class ErrorGroupView(ApiView):
    @extend_schema(responses={200: schema.ErrorGroup, 404: schema.ProblemShape}, operation_id="show_error_group")
    def get(self, request: Request, group_id: int) -> Response:
        """One group of failures that are alike."""
        group = find_error_group(request.user, group_id)
        if group is None:
            raise Http404
        return Response(show(count_jobs([group])[0]))

    @extend_schema(
        request=schema.ErrorGroupChange,
        responses={
            200: schema.ErrorGroup,
            400: schema.ProblemShape,
            403: schema.ProblemShape,
            404: schema.ProblemShape,
        },
        operation_id="change_error_group",
    )
    def patch(self, request: Request, group_id: int) -> Response:
        """Acknowledge, mark fixed, open again, or note something for the next one who looks."""
        group = find_error_group(request.user, group_id)
        if group is None:
            raise Http404
        demand(may_operate, request, group.workflow)
        lifecycle.change_error_group(group_id, actor_of(request), **read_body(schema.ErrorGroupChange, request))
        group.refresh_from_db()
        return Response(show(count_jobs([group])[0]))
