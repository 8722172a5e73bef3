"""Jobs, their attempts and their logs."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import logs
from workflows.api import schema, shapes
from workflows.api.base import ApiView
from workflows.api.problems import Problem
from workflows.digits import read_digits
from workflows.models import JobInstance
from workflows.queries.attempts import find_attempt
from workflows.queries.job_detail import attempts_of, find_job


class JobView(ApiView):
    @extend_schema(responses={200: schema.Job, 404: schema.ProblemShape}, operation_id="show_job")
    def get(self, request: Request, job_id: int) -> Response:
        """One job with its attempts, newest first."""
        job = find_job(request.user, job_id)
        if job is None:
            raise Http404
        attempts = [shapes.instance(row, getattr(row, "error_text", None)) for row in attempts_of(job_id)]
        return Response({**shapes.job(job, job.dag.workflow.pk), "instances": attempts})


def get_attempt(request: Request, instance_id: int) -> JobInstance:
    attempt = find_attempt(request.user, instance_id)
    if attempt is None:
        raise Http404
    return attempt


class JobInstanceView(ApiView):
    @extend_schema(responses={200: schema.JobInstance, 404: schema.ProblemShape}, operation_id="show_job_instance")
    def get(self, request: Request, instance_id: int) -> Response:
        """One attempt: what it asked for, what it used, how it ended and who says so."""
        attempt = get_attempt(request, instance_id)
        error = attempt.errors.order_by("-pk").first()
        return Response(shapes.instance(attempt, error.description if error else None))


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    number = read_digits(text, 15)
    if number is None:
        raise Problem(400, "invalid-request", f"{name} must be a number of bytes.")
    return number


class LogView(ApiView):
    @extend_schema(
        parameters=[
            OpenApiParameter("offset", int, description="first byte; without it, the last ones are answered"),
            OpenApiParameter("limit", int, description="at most 262,144 bytes; 65,536 unless said"),
        ],
        responses={(200, "text/plain"): OpenApiTypes.STR, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="read_log",
    )
    def get(self, request: Request, instance_id: str, stream: str) -> HttpResponse:
        """A piece of what the attempt wrote. `X-Log-Offset` and `X-Log-Size` say which piece of how much."""
        attempt = get_attempt(request, int(instance_id))
        offset, limit = _number(request, "offset"), _number(request, "limit") or logs.PIECE
        try:
            piece = logs.read_piece(logs.locate(attempt, stream), offset, limit)
        except logs.LogUnavailable as error:
            raise Problem(404, f"log-{error.state}", str(error)) from error
        response = HttpResponse(piece.data, content_type="text/plain; charset=utf-8")
        response["X-Log-Offset"] = str(piece.offset)
        response["X-Log-Size"] = str(piece.size)
        response["Content-Security-Policy"] = "sandbox"
        return response
