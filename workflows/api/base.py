"""What all API views share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from workflows.api.authentication import HasScope
from workflows.api.idempotency import answer_once, without_secret
from workflows.api.problems import Problem, answer
from workflows.digits import read_digits
from workflows.models import Workflow
from workflows.permissions import Person, is_owner, may_operate, who_may_operate
from workflows.planning import Plan
from workflows.queries.limits import READ_SECONDS, read_limit
from workflows.queries.workflows import find_workflow

MOST_PER_PAGE = 1000
DEFAULT_PER_PAGE = 100
READS = frozenset({"get", "head", "options"})


class RawBody(BaseParser):
    """The body as bytes: large graphs are decoded by a typed decoder, not by the framework."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> bytes:  # type: ignore[override]
        return bytes(stream.read())


def raw_body(request: Request) -> bytes:
    """The body that RawBody has read; an empty one never reaches a parser."""
    data: object = request.data
    return data if isinstance(data, bytes) else b""


class ApiView(APIView):
    permission_classes = [IsAuthenticated, HasScope]
    scope = "operate"
    is_personal = False  # True: what concerns nobody but the caller, which an auditor may change too
    has_dry_run = False  # True: `dry_run=1` says what would happen
    keeps_answers = True  # False: the answer holds a secret, which must not be stored for repetition

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Each statement of a read has its time; one that asks for too much is given up, and said so."""
        if (request.method or "").lower() not in READS:
            return super().dispatch(request, *args, **kwargs)
        with read_limit(READ_SECONDS, is_for_each=True):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Once it is clear who asks, a request with an Idempotency-Key acts at most once."""
        super().initial(request, *args, **kwargs)
        method = (request.method or "").lower()
        if not self.has_dry_run and method not in READS and "dry_run" in request.query_params:
            raise Problem(400, "invalid-request", "This call has no dry run; nothing was done. Leave dry_run out.")
        if request.headers.get("Idempotency-Key") and method in self.http_method_names and hasattr(self, method):
            act, body = getattr(self, method), request._request.body
            kept = None if self.keeps_answers else without_secret
            once = lambda asked, *a, **k: answer_once(asked, body, lambda: act(asked, *a, **k), kept)  # noqa: E731
            setattr(self, method, once)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """`?fields=id,status` leaves the rest out, of one object or of each in a list."""
        fields = request.GET.get("fields", "")
        data = getattr(response, "data", None)
        if fields and isinstance(data, dict) and response.status_code == 200 and request.method == "GET":
            try:
                response.data = choose_fields(data, fields.split(","))
            except Problem as problem:
                response = answer(problem.status, problem.code, problem.detail)
        return super().finalize_response(request, response, *args, **kwargs)


def choose_fields(data: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Only these fields of an object, or of each in its `results`. Raises Problem for a name that none has."""
    rows = data.get("results", [data])
    unknown = sorted({name for name in names if any(name not in row for row in rows)})
    if unknown:
        raise Problem(400, "invalid-request", f"fields: there is no {', '.join(unknown)}.")
    chosen = [{name: row[name] for name in names} for row in rows]
    return {**data, "results": chosen} if "results" in data else chosen[0]


def is_dry_run(request: Request) -> bool:
    """Whether a call only asks what it would do. A view that asks this says so by `has_dry_run`."""
    text = request.query_params.get("dry_run", "")
    if text not in ("", "0", "1"):
        raise Problem(400, "invalid-request", "dry_run must be 0 or 1.")
    return text == "1"


DRY_RUN = OpenApiParameter("dry_run", int, description="1: say what would happen, and do nothing")


def get_workflow(request: Request, workflow_id: int) -> Workflow:
    workflow = find_workflow(request.user, workflow_id)
    if workflow is None:
        raise Http404
    return workflow


def demand(may_act: Callable[[Person, Workflow], bool], request: Request, workflow: Workflow) -> None:
    """Raises Problem if this person has not this right; it says who has."""
    if may_act(request.user, workflow):
        return
    who = f"the owner ({workflow.user})" if may_act is is_owner else who_may_operate(workflow)
    also = "" if may_act in (is_owner, may_operate) else ", and staff"
    raise Problem(403, "not-allowed", f"Only {who}{also} may do this with workflow {workflow.pk}.")


def read_body(shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """What the body says. Raises ValidationError."""
    wanted = shape(data=request.data)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def preview(plan: Plan) -> Response:
    """The answer to `dry_run=1`."""
    return Response({**plan.as_json(), "dry_run": True})


def per_page(request: Request) -> int:
    text = request.query_params.get("per_page", "")
    if not text:
        return DEFAULT_PER_PAGE
    number = read_digits(text)
    if number is None or not 1 <= number <= MOST_PER_PAGE:
        raise Problem(400, "invalid-request", f"per_page must be a whole number from 1 to {MOST_PER_PAGE}.")
    return number


def next_link(request: HttpRequest | Request, cursor: str) -> str | None:
    if not cursor:
        return None
    query = [(key, value) for key, values in request.GET.lists() for value in values if key != "after"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*query, ('after', cursor)])}")


def demand_understood(unknown: list[str], errors: Any) -> None:
    if unknown:
        listed = [
            {"code": "unknown-filter", "path": name, "detail": "; ".join(errors.get(name, ["there is no such filter"]))}
            for name in unknown
        ]
        raise Problem(400, "invalid-request", f"Not understood: {', '.join(unknown)}.", errors=listed)
