"""Error groups: failures that are alike."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import lifecycle
from workflows.api import schema, shapes
from workflows.api.authentication import actor_of
from workflows.api.base import ApiView, demand_operator, get_workflow, next_link, per_page
from workflows.queries.error_groups import ErrorGroupRow, count_jobs, find_error_group, groups_of_workflow
from workflows.queries.keyset import Order, paginate


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
        "first_seen": shapes.iso(group.first_seen_at),
        "last_seen": shapes.iso(group.last_seen_at),
        "state": group.state,
        "note": group.note,
    }


class ErrorGroupsView(ApiView):
    @extend_schema(
        parameters=[OpenApiParameter("after", str), OpenApiParameter("per_page", int)],
        responses={200: schema.ErrorGroupList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_error_groups",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """Failures that are alike, those with the most attempts first."""
        workflow = get_workflow(request, workflow_id)
        order = Order("id", "attempts", is_descending=True)
        page = paginate(
            groups_of_workflow(workflow.pk), order, request.query_params.get("after", ""), "", per_page(request)
        )
        results = [show(row) for row in count_jobs(page.rows)]
        return Response({"results": results, "next": next_link(request, page.next)})


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
        demand_operator(request, group.workflow)
        wanted = schema.ErrorGroupChange(data=request.data)
        wanted.is_valid(raise_exception=True)
        lifecycle.change_error_group(group_id, actor_of(request), **wanted.validated_data)
        group.refresh_from_db()
        return Response(show(count_jobs([group])[0]))
