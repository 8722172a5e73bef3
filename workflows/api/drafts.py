"""Submitting a large graph in pieces."""

from __future__ import annotations

import uuid

import msgspec
from django.contrib.auth.models import User
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import binding, drafts, lifecycle
from workflows.api import schema
from workflows.api.authentication import actor_of
from workflows.api.base import DRY_RUN, ApiView, RawBody, is_dry_run, raw_body
from workflows.api.bodies import demand_shallow
from workflows.api.problems import Problem
from workflows.api.workflows import check_executors, show
from workflows.graph import MAX_JOBS, GraphError, InvalidGraph
from workflows.graph_text import find_doubled, parse_header, parse_jobs, refuse_too_much, split_body
from workflows.models import Draft, Workflow
from workflows.quotas import refuse_draft, refuse_submission
from workflows.submission_plan import SubmissionPlan, plan_known, plan_submission


def get_draft(request: Request, draft_id: uuid.UUID) -> Draft:
    assert isinstance(request.user, User)
    draft = drafts.find_draft(request.user, draft_id)
    if draft is None:
        raise Http404
    return draft


def demand_single_keys(body: bytes) -> None:
    """Raises InvalidGraph naming every key that comes twice."""
    if errors := find_doubled(body):
        raise InvalidGraph(errors)


class DraftsView(ApiView):
    scope = "submit"
    parser_classes = [RawBody]

    @extend_schema(
        request=schema.DraftInput,
        responses={201: schema.DraftAnswer, 400: schema.ProblemShape},
        operation_id="create_draft",
    )
    def post(self, request: Request) -> Response:
        """Begin a draft: all of a workflow but its jobs."""
        try:
            header = msgspec.json.decode(raw_body(request), type=dict)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidGraph([GraphError("invalid-json", "", f"The body is not a JSON object: {error}")]) from error
        demand_shallow(header)
        demand_single_keys(raw_body(request))
        count = header.pop("job_count", None)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
            raise InvalidGraph([GraphError("invalid-number", "job_count", "job_count must be a whole number.")])
        if count is not None and count > MAX_JOBS:
            detail = f"{count:,} jobs are announced; at most {MAX_JOBS:,} are possible."
            raise InvalidGraph([GraphError("too-many-jobs", "job_count", detail)])
        check_executors(parse_header(msgspec.json.encode(header)), [])
        assert isinstance(request.user, User)
        if too_many := refuse_submission(request.user):
            raise lifecycle.Refused("too-many-submissions", too_many)
        if too_many := refuse_draft(request.user):
            raise lifecycle.Refused("too-many-drafts", too_many)
        draft = drafts.create_draft(request.user, {**header, "job_count": count})
        return Response({"id": str(draft.pk)}, status=201)


class DraftChunkView(ApiView):
    scope = "submit"
    parser_classes = [RawBody]

    @extend_schema(
        request=schema.ChunkInput,
        responses={204: None, 400: schema.ProblemShape, 404: schema.ProblemShape, 409: schema.ProblemShape},
        operation_id="put_draft_chunk",
    )
    def put(self, request: Request, draft_id: uuid.UUID, number: int) -> Response:
        """One piece of the jobs. May be repeated; the last one counts."""
        draft = get_draft(request, draft_id)
        if draft.workflow_id is not None:
            raise Problem(409, "draft-committed", f"Draft {draft_id} is committed as workflow {draft.workflow_id}.")
        if number >= drafts.MAX_CHUNKS:
            raise Problem(400, "invalid-request", f"At most {drafts.MAX_CHUNKS:,} chunks are possible.")
        fields, jobs = split_body(raw_body(request))
        refuse_too_much(raw_body(request), jobs)
        demand_single_keys(raw_body(request))
        if fields:
            raise Problem(
                400, "invalid-request", f"A chunk holds only `jobs`; not understood: {', '.join(sorted(fields))}."
            )
        drafts.store_chunk(draft, number, bytes(jobs), len(parse_jobs(bytes(jobs))))
        return Response(status=204)


class DraftCommitView(ApiView):
    scope = "submit"
    has_dry_run = True

    @extend_schema(
        request=None,
        parameters=[DRY_RUN],
        responses={
            200: schema.SubmittedOrPlanned,
            201: schema.Workflow,
            400: schema.ProblemShape,
            404: schema.ProblemShape,
            409: schema.ProblemShape,
        },
        operation_id="commit_draft",
    )
    def post(self, request: Request, draft_id: uuid.UUID) -> Response:
        """Check the whole graph and make it a workflow. Repeating the commit answers the same workflow."""
        draft = get_draft(request, draft_id)
        only_ask = is_dry_run(request)
        if draft.workflow is not None:
            plan = plan_known(draft.workflow) if only_ask else None
            return _answer(plan) if plan else Response({**show(request, draft.workflow), "created": False})
        graph = drafts.assemble(draft)
        check_executors(graph.header, graph.jobs)
        if only_ask:
            return _answer(plan_submission(graph, actor_of(request)))
        bound = binding.bind(graph, actor_of(request))
        drafts.finish(draft, bound.workflow)
        workflow = Workflow.objects.select_related("dag", "group").get(pk=bound.workflow.pk)
        return Response({**show(request, workflow), "created": bound.is_new}, status=201 if bound.is_new else 200)


def _answer(plan: SubmissionPlan) -> Response:
    return Response({**plan.as_json(), "dry_run": True})
