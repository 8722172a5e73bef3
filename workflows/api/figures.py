"""What the pages draw, as numbers: the time line, resources and expected end of a run, hosts, and what a search finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import bottlenecks
from workflows.api import schema
from workflows.api.base import ApiView
from workflows.api.problems import Problem
from workflows.api.runs import get_run, number
from workflows.api.shapes import iso, page_of
from workflows.models import JobGroup, RunForecast, RunStall, WorkflowRun
from workflows.queries import resources, timeline
from workflows.queries.counts import add_shown, groups_of
from workflows.queries.frame import read_frame
from workflows.queries.hosts import HostRow, find_hosts
from workflows.queries.pace import read_facts, with_queue_facts
from workflows.queries.search import Hits, search
from workflows.queries.timeline_bands import split_bands
from workflows.url_filters import MAX_VALUES

LAST_SECOND = 99_999_999_999  # what a time in seconds may be at most, here and on the page
LONGEST_SEARCH = 200
TAGS = OpenApiParameter("tag", str, many=True, description="only jobs of one of these tags (or stems of names)")
FROM = OpenApiParameter("from", int, description="with `to`: only this window, in seconds since 1970")
TO = OpenApiParameter("to", int, description="with `from`: the end of the window")


def find_tags(request: Request, groups: list[JobGroup], run: WorkflowRun) -> list[int]:
    """The groups of the asked tags; none where none is asked for. Raises Problem for one that the workflow has not."""
    names = list(dict.fromkeys(name for name in request.query_params.getlist("tag") if name))
    if len(names) > MAX_VALUES:
        raise Problem(400, "invalid-request", f"tag: write at most {MAX_VALUES} values.")
    known = {group.name: group.pk for group in groups}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise Problem(400, "unknown-tag", f"tag: workflow {run.workflow_id} has no tag {unknown!r}.")
    return [known[name] for name in names]


def read_window(request: Request) -> timeline.Window | None:
    begin, end = number(request, "from"), number(request, "to")
    if begin is None and end is None:
        return None
    if begin is None or end is None or not begin < end <= LAST_SECOND:
        raise Problem(400, "invalid-request", "from and to go together, in seconds since 1970, and to comes later.")
    return datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC)


class TimelineView(ApiView):
    @extend_schema(
        parameters=[TAGS, FROM, TO],
        responses={200: schema.Timeline, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="show_timeline",
    )
    def get(self, request: Request, run_id: int) -> Response:
        """How many jobs were queued and running, in at most 300 bins of equal width; null where nobody looked. `bands`
        are the same bins by tag: of the eight largest tags, then (`tag` null) of all others together."""
        run = get_run(request, run_id)
        groups = groups_of(run.workflow.dag_id)
        names = {group.pk: group.name for group in groups}
        minutes = timeline.read_minutes(run.pk, find_tags(request, groups, run), read_window(request))
        bins = [{"at": iso(one.at), "queued": one.queued, "running": one.running} for one in minutes.bins]
        spans = sorted(minutes.spans.items(), key=lambda item: item[1])
        tags = [{"name": names[pk], "begin": iso(begin), "end": iso(end)} for pk, (begin, end) in spans if pk in names]
        return Response(
            {
                "run_id": run.pk,
                "width_seconds": int(minutes.width.total_seconds()),
                "truncated": minutes.is_cut,
                "bins": bins,
                "bands": _show_bands(minutes, names),
                "tags": tags,
            }
        )


def _show_bands(minutes: timeline.Minutes, names: Mapping[int, str]) -> list[dict[str, object]]:
    looked_at = [one.running is not None for one in minutes.bins]

    def known(counts: Sequence[int]) -> list[int | None]:
        return [count if was_seen else None for count, was_seen in zip(counts, looked_at, strict=True)]

    return [
        {
            "tag": None if band.group_id is None else names[band.group_id],
            "queued": known(band.queued),
            "running": known(band.running),
        }
        for band in split_bands(minutes, list(names))
    ]


class RunResourcesView(ApiView):
    @extend_schema(
        parameters=[TAGS],
        responses={200: schema.RunUse, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="show_run_resources",
    )
    def get(self, request: Request, run_id: int) -> Response:
        """What ended attempts asked for and used, by tag, the most wasteful first: memory in GB, times in seconds."""
        run = get_run(request, run_id)
        groups = groups_of(run.workflow.dag_id)
        use = resources.use_of_run(run.pk, find_tags(request, groups, run), sum(group.jobs for group in groups))
        return Response(
            {
                "run_id": run.pk,
                "attempts": use.attempts,
                "truncated": use.is_cut,
                "made_at": iso(use.made_at),
                "tags": [asdict(tag) for tag in use.uses],
                "outliers": [asdict(outlier) for outlier in use.outliers],
            }
        )


class ForecastView(ApiView):
    @extend_schema(responses={200: schema.Forecast, 404: schema.ProblemShape}, operation_id="show_forecast")
    def get(self, request: Request, run_id: int) -> Response:
        """When a live run is expected to end, and why it is not faster; null and nothing once it has ended."""
        run = get_run(request, run_id)
        is_live = run.status == "R"
        known: RunForecast | None = getattr(run, "forecast", None) if is_live else None
        stall: RunStall | None = getattr(run, "stall", None) if is_live else None
        return Response(
            {
                "run_id": run.pk,
                "made_at": iso(known.made_at if known else None),
                "earliest": iso(known.earliest if known else None),
                "latest": iso(known.latest if known else None),
                "bound_by": known.bound_by if known else "",
                "why": _why(request, run) if is_live else [],
                "stall": stall and {"kind": stall.kind, "why": stall.words, "since": iso(stall.since)},
            }
        )


def _why(request: Request, run: WorkflowRun) -> list[str]:
    frame = read_frame(request.user.pk)
    groups = groups_of(run.workflow.dag_id)
    live = with_queue_facts(WorkflowRun.objects.filter(pk=run.pk)).first() or run
    return bottlenecks.explain_pace(live, groups, add_shown(groups), timezone.now(), read_facts(live, groups, frame))


class SearchView(ApiView):
    @extend_schema(
        parameters=[OpenApiParameter("q", str, required=True, description="a number, or how a name begins")],
        responses={200: schema.Hits, 400: schema.ProblemShape},
        operation_id="search",
    )
    def get(self, request: Request) -> Response:
        """What has this number (also as its batch id), or a name that begins so: at most 10 of each kind."""
        text = request.query_params.get("q", "").strip()
        if not text or len(text) > LONGEST_SEARCH:
            raise Problem(400, "invalid-request", f"q must be a text of 1 to {LONGEST_SEARCH} characters.")
        return Response(_show_hits(request, search(request.user, text)))


def _show_hits(request: Request, hits: Hits) -> dict[str, object]:
    def page(path: str) -> str:
        return page_of(request, path)

    return {
        "workflows": [
            {
                "id": row.pk, "name": row.name, "workflow_args": row.workflow_args, "user": row.user,
                "status": row.status, "page": page(f"/workflows/{row.pk}/"),
            }
            for row in hits.workflows
        ],
        "runs": [
            {
                "id": row.pk, "workflow_id": row.workflow_id, "status": row.status,
                "page": page(f"/workflow-runs/{row.pk}/"),
            }
            for row in hits.runs
        ],
        "jobs": [
            {
                "job_id": row.pk, "workflow_id": row.dag.workflow.pk, "name": row.name, "status": row.status,
                "page": page(f"/jobs/{row.pk}/"),
            }
            for row in hits.jobs
        ],
        "job_instances": [
            {
                "job_instance_id": row.pk, "job_id": row.job_id, "job_name": row.job.name, "status": row.status,
                "executor_id": row.executor_id, "page": page(f"/job-instances/{row.pk}/"),
            }
            for row in hits.attempts
        ],
    }  # fmt: skip


class HostsView(ApiView):
    @extend_schema(responses=schema.HostList, operation_id="list_hosts")
    def get(self, request: Request) -> Response:
        """Hosts by their failures over the newest attempts: excluded ones, then the worst; at most 50."""
        rows, compared = find_hosts()
        return Response({"compared": compared, "results": [_show_host(row) for row in rows]})


def _show_host(row: HostRow) -> dict[str, object]:
    return {
        "name": row.host.name,
        "executor": row.host.executor,
        "attempts": row.host.attempts,
        "failed": row.host.failed,
        "share_elsewhere": row.host.elsewhere,
        "is_bad": row.host.is_bad,
        "is_excluded": row.is_excluded,
        "reason": row.exclusion.reason if row.exclusion and row.is_excluded else "",
    }
