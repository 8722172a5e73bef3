"""The time line of a run: jobs queued and running, per tag and over any window of it; few attempts as bars of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.utils import timezone
from django.views.decorators.http import require_safe

from workflows import time_use
from workflows.digits import read_digits
from workflows.models import JobGroup, JobInstance, Workflow, WorkflowRun
from workflows.queries import timeline as queries
from workflows.queries.counts import groups_of
from workflows.queries.frame import Frame
from workflows.queries.run_events import EVENTS_READ, RunEvent, read_events
from workflows.queries.versions import digest
from workflows.queries.workflows import find_workflow
from workflows.views import charts
from workflows.views.asked_run import read_asked
from workflows.views.bands import count_bins, make_stack, name_bands
from workflows.views.base import (
    Crumb,
    found,
    frame_of,
    is_unchanged,
    nothing_new,
    page,
    poll,
    show,
    user_of,
)
from workflows.views.export import TYPES
from workflows.views.lanes import ORDERS, in_order, make_lanes, make_strand, row_height
from workflows.views.marks import height_with, make_marks
from workflows.views.terminal import page_terminal
from workflows.views.timeline_export import export_timeline
from workflows.views.workflows import POLL_LIVE, POLL_SWEPT, TABS, crumbs_of

SHORTEST = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Zoom:
    """A link that moves the window; `key` presses it. An empty query shows the whole run."""

    label: str
    key: str
    query: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What was read for a run, or for a window of it, and what the picture of it spans. `minutes` are those of a run of
    more attempts than are drawn, else None; `events` those of the workflow in that span."""

    run: WorkflowRun
    timed: list[time_use.Timed]
    minutes: queries.Minutes | None
    attempts: list[JobInstance]
    span: queries.Window
    events: list[RunEvent]
    now: datetime

    @property
    def is_cut(self) -> bool:
        return len(self.timed) > queries.ATTEMPTS_DRAWN

    @property
    def tag_spans(self) -> Mapping[int, queries.Window]:
        return self.minutes.spans if self.minutes else time_use.spans(self.timed, self.now)


@page
@require_safe
def timeline(request: HttpRequest, workflow_id: int) -> HttpResponseBase:
    user, window = user_of(request), read_window(request.GET)
    runs = queries.list_runs(user, workflow_id, window)
    workflow = runs[0].workflow if runs else found(find_workflow(user, workflow_id))
    version = _version(workflow, frame_of(request))
    if is_unchanged(request, version):
        return nothing_new()
    groups = groups_of(workflow.dag_id)
    wrong = [*([] if window else ["from", "to"]), *([] if request.GET.get("by", "") in ("", *ORDERS) else ["by"])]
    asked = read_asked(
        request.GET, runs, lambda run_id: queries.find_run(user, workflow_id, run_id, window), groups, wrong
    )
    run = asked.run
    picture = read_picture(run, asked.tag_ids, window, len(groups)) if run else None
    lanes = make_lanes(picture.tag_spans, picture.timed, groups, *picture.span) if picture else []
    if picture and (kind := request.GET.get("export")) in TYPES:
        name = f"timeline-of-run-{picture.run.pk}"
        names = {group.pk: group.name for group in groups}
        bands = name_bands(picture.minutes, names) if picture.minutes else []
        return export_timeline(request, name, kind, picture.attempts, picture.minutes, bands, lanes, picture.events)
    context = {
        "workflow": workflow,
        "filters": asked,
        "run": run,
        "runs": runs if run in runs or run is None else [*runs, run],
        "groups": groups,
        "is_window": window is not None,
        "lanes": lanes,
        "drawn": queries.ATTEMPTS_DRAWN,
        "timed_read": queries.TIMED_READ,
        **(_drawn(picture, request.GET, window, groups) if picture else {}),
        "live": poll(request, version, _poll_seconds(picture) if _goes_on(run, window) else 0),
        "tab": "timeline",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Timeline")),
        "section": "workflows",
        "terminal": page_terminal(request.GET, "tag from to", f"/api/v1/workflow-runs/{run.pk}/timeline/")
        if run
        else None,
    }
    return show(request, "pictures/timeline.html", context)


def _version(workflow: Workflow, frame: Frame) -> int:
    """Of a workflow that runs also the sweep, which writes its minutes: the picture grows although nothing moves."""
    return digest([workflow.change_no, frame.swept_at if workflow.status == "R" else None])


def _goes_on(run: WorkflowRun | None, window: queries.Window | None) -> bool:
    """Whether a later picture may show more: not of a run that has ended, nor of a window that is over."""
    return run is not None and run.status == "R" and (window is None or window[1] > timezone.now())


def _poll_seconds(picture: Picture | None) -> int:
    """As often as there may be something new to draw: minutes are those of the last sweep."""
    return POLL_SWEPT if picture and picture.minutes else POLL_LIVE


def read_picture(run: Any, tag_ids: Sequence[int], window: queries.Window | None, tags: int) -> Picture:
    """Of some tags, or of all `tags`. Times of the attempts, then attempts or minutes, then events: three queries."""
    now = timezone.now()
    life = (run.created_date, run.ended_at or now)
    timed = queries.read_times(run.pk, window, tag_ids)
    is_cut = len(timed) > queries.ATTEMPTS_DRAWN
    minutes = (
        queries.read_minutes(run.pk, tag_ids, window, window or _within(life), count_bins(len(tag_ids) or tags))
        if run.has_minutes and is_cut
        else None
    )
    minutes = minutes if minutes and minutes.bins else None
    attempts = [] if minutes else queries.read_drawn(timed)
    is_whole = window is None and (not minutes.is_cut if minutes else not is_cut and not tag_ids)
    span = _span(attempts, minutes, window, life if is_whole else None)
    told = (min(span[0], life[0]), max(span[1], life[1])) if is_whole else span
    return Picture(run, timed, minutes, attempts, span, read_events(run.workflow_id, *told), now)


def _within(life: queries.Window) -> queries.Window:
    """What the minutes of a run cover: the sweep need not have looked in its first minute and in the present one."""
    return life[0] + queries.MINUTE, life[1] - queries.MINUTE


def _drawn(
    picture: Picture, query: QueryDict, window: queries.Window | None, groups: Sequence[JobGroup]
) -> dict[str, Any]:
    """What the template draws: columns or bars, marks, and the links that move the window."""
    begin, end = picture.span
    minutes, attempts = picture.minutes, picture.attempts
    height = row_height(len(attempts))
    foot = charts.TOP + charts.ROOM if minutes else charts.TOP + height * len(attempts)
    marks = make_marks(picture.events, begin, end, foot)
    most = charts.find_most(minutes) if minutes else 0
    return {
        "zooms": _zooms(query, *(window or picture.span), window) if attempts or minutes else [],
        "minutes": minutes,
        "stack": make_stack(minutes, {group.pk: group.name for group in groups}, most) if minutes else None,
        "most": most,
        "levels": charts.make_levels(most) if minutes else [],
        "split": _split(picture),
        "strands": [
            make_strand(attempt, begin, end, row, height, heading)
            for row, (attempt, heading) in enumerate(in_order(attempts, query.get("by", ""), groups))
        ],
        "by": query.get("by", ""),
        "ticks": charts.make_ticks(begin, end) if attempts or minutes else [],
        "height": round(foot + 4),
        "picture_height": height_with(marks, foot + 6 if minutes else foot + 4),
        "marks": marks,
        "events_more": len(picture.events) - len(marks),
        "events_are_all": len(picture.events) < EVENTS_READ,
        "is_cut": picture.is_cut,
        "is_long": end - begin > timedelta(days=1),
    }


def read_window(query: QueryDict) -> queries.Window | None:
    """`?from=&to=` as epoch seconds; None for the whole run, or what makes no window."""
    first, last = (read_digits(query.get(name, ""), 11) for name in ("from", "to"))
    if first is None or last is None:
        return None
    begin, end = (datetime.fromtimestamp(number, UTC) for number in (first, last))
    return (begin, end) if end > begin else None


def _span(
    attempts: list[JobInstance],
    minutes: queries.Minutes | None,
    window: queries.Window | None,
    life: queries.Window | None,
) -> queries.Window:
    """What the picture spans: its minutes, else the window, else what there is, with the run's own beginning and end
    where these are known to belong to it."""
    if minutes is not None:
        return minutes.bins[0].at, minutes.bins[-1].at + minutes.width
    if window is not None:
        return window
    now = timezone.now()
    moments = [attempt.submitted_date for attempt in attempts] + [attempt.ended_at or now for attempt in attempts]
    moments += life or ()
    begin, end = min(moments, default=now), max(moments, default=now)
    return begin, max(end, begin + timedelta(seconds=1))


def _zooms(query: QueryDict, begin: datetime, end: datetime, window: queries.Window | None) -> list[Zoom]:
    span = end - begin
    moves = [
        ("Earlier", "left", begin - span / 2, end - span / 2),
        ("Later", "right", begin + span / 2, end + span / 2),
    ]
    if span > SHORTEST:
        moves.append(("Zoom in", "plus", begin + span / 4, end - span / 4))
    moves.append(("Zoom out", "minus", begin - span / 2, end + span / 2))
    kept = [(name, value) for name in ("run", "tag") for value in query.getlist(name) if value]
    zooms = [
        Zoom(label, key, urlencode([*kept, ("from", int(first.timestamp())), ("to", int(last.timestamp()))]))
        for label, key, first, last in moves
    ]
    return [*zooms, Zoom("Whole run", "", urlencode(kept))] if window else zooms


def _split(picture: Picture) -> str:
    parts = time_use.split_time(picture.timed, picture.run.created_date, picture.now)
    return time_use.split_sentence(parts, len(picture.timed))
