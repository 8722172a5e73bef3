"""The shape of a workflow: by tag, and around one job."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api import schema
from workflows.api.base import ApiView, get_workflow
from workflows.api.problems import Problem
from workflows.api.steering import get_job
from workflows.queries.counts import group_counts, groups_of
from workflows.queries.structure import count_group_edges, read_tree

MOST_HOPS = 2


class TagGraphView(ApiView):
    @extend_schema(responses={200: schema.TagGraph, 404: schema.ProblemShape}, operation_id="show_graph")
    def get(self, request: Request, workflow_id: int) -> Response:
        """One node per tag (or stem of names), edges with the number of job edges behind them."""
        workflow = get_workflow(request, workflow_id)
        groups = groups_of(workflow.dag_id)
        nodes = [{"name": group.name, "job_count": group.jobs, "counts": group_counts(group)} for group in groups]
        edges = [
            {"upstream": up, "downstream": down, "job_count": count}
            for up, down, count in count_group_edges(workflow.dag_id)
            if up != down
        ]
        return Response({"nodes": nodes, "edges": edges})


def _hops(request: Request, name: str) -> int:
    text = request.query_params.get(name, "1")
    if text not in {str(hops) for hops in range(MOST_HOPS + 1)}:
        raise Problem(400, "invalid-request", f"{name} must be a whole number from 0 to {MOST_HOPS}.")
    return int(text)


class TreeView(ApiView):
    @extend_schema(
        parameters=[OpenApiParameter("up", int), OpenApiParameter("down", int)],
        responses={200: schema.Tree, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="show_tree",
    )
    def get(self, request: Request, job_id: int) -> Response:
        """The jobs around one, at most two hops each way and 200 in all."""
        tree = read_tree(get_job(request, job_id), _hops(request, "up"), _hops(request, "down"))
        nodes = [
            {
                "job_id": node.job_id,
                "name": node.name,
                "tag": node.tag,
                "status": node.status,
                "distance": node.distance,
            }
            for node in tree.nodes
        ]
        return Response({"nodes": nodes, "edges": [list(edge) for edge in tree.edges], "truncated": tree.is_cut})
