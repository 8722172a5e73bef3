"""The time line of a run: jobs queued and running, per tag and over any window of it; few attempts as bars of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.views.decorators.http import require_safe

from workflows import explain, time_use
from workflows.models import JobGroup, JobInstance, WorkflowRun
from workflows.queries import timeline as queries
from workflows.queries.counts import groups_of
from workflows.queries.workflows import find_workflow
from workflows.resource_use import Spread
from workflows.views import charts
from workflows.views.base import Crumb, Terminal, found, page, show, user_of
from workflows.views.workflows import TABS, crumbs_of

ROOM = 900
SHORTEST = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Strand:
    """One attempt in the time line: waiting from x to x + wait, running for `run` more. Parts of 1,000."""

    attempt: JobInstance
    label: str
    x: float
    wait: float
    run: float
    reason: str
    y: float = 0
    height: float = 12


@dataclass(frozen=True, slots=True)
class Lane:
    """When jobs of a tag were live: from x on, in parts of 1,000; and how long those that were done ran."""

    name: str
    begin: datetime
    end: datetime
    x: float
    width: float
    times: Spread


@dataclass(frozen=True, slots=True)
class Zoom:
    """A link that moves the window; `key` presses it. An empty query shows the whole run."""

    label: str
    key: str
    query: str


@page
@require_safe
def timeline(request: HttpRequest, workflow_id: int) -> HttpResponse:
    workflow = found(find_workflow(user_of(request), workflow_id))
    runs = queries.list_runs(workflow.pk)
    asked = request.GET.get("run", "")
    run = next((run for run in runs if str(run.pk) == asked), runs[0] if runs else None)
    groups = groups_of(workflow.dag_id)
    tag = next((group for group in groups if group.name == request.GET.get("tag")), None)
    window = read_window(request.GET)
    timed = queries.read_times(run.pk, window, tag.pk if tag else None) if run else []
    is_cut = len(timed) > queries.ATTEMPTS_DRAWN
    minutes = (
        queries.read_minutes(run.pk, tag.pk if tag else None, window) if run and run.has_minutes and is_cut else None
    )
    attempts = [] if minutes and minutes.bins else queries.read_drawn(timed)
    begin, end = _span(attempts, minutes, window)
    now = timezone.now()
    spans = minutes.spans if minutes and minutes.bins else time_use.spans(timed, now)
    height = _row_height(len(attempts))
    context = {
        "workflow": workflow,
        "run": run,
        "runs": runs,
        "groups": groups,
        "tag": tag,
        "is_window": window is not None,
        "zooms": _zooms(request.GET, begin, end, window) if attempts or minutes else [],
        "minutes": minutes,
        "columns": charts.make_columns(minutes) if minutes else [],
        "most": charts.find_most(minutes) if minutes else 0,
        "levels": charts.make_levels(charts.find_most(minutes)) if minutes else [],
        "lanes": _lanes(spans, time_use.run_times(timed), groups, begin, end),
        "split": _split(run, timed, now),
        "strands": [_strand(attempt, begin, end, row, height) for row, attempt in enumerate(attempts)],
        "ticks": charts.make_ticks(begin, end) if attempts or minutes else [],
        "height": round(charts.TOP + height * len(attempts) + 4),
        "is_cut": is_cut,
        "drawn": queries.ATTEMPTS_DRAWN,
        "timed_read": queries.TIMED_READ,
        "tab": "timeline",
        "tabs": TABS,
        "crumbs": crumbs_of(workflow, Crumb("Timeline")),
        "section": "workflows",
        "terminal": Terminal("", f"/api/v1/workflows/{workflow.pk}/runs/"),
    }
    return show(request, "pictures/timeline.html", context)


def read_window(query: QueryDict) -> queries.Window | None:
    """`?from=&to=` as epoch seconds; None for the whole run, or what makes no window."""
    texts = query.get("from", ""), query.get("to", "")
    if not all(text.isascii() and text.isdigit() and len(text) <= 11 for text in texts):
        return None
    begin, end = (datetime.fromtimestamp(int(text), UTC) for text in texts)
    return (begin, end) if end > begin else None


def _span(
    attempts: list[JobInstance], minutes: queries.Minutes | None, window: queries.Window | None
) -> queries.Window:
    """What the picture spans: the window, else what there is."""
    if window is not None:
        return window
    if minutes is not None and minutes.bins:
        return minutes.bins[0].at, minutes.bins[-1].at + minutes.width
    now = timezone.now()
    begin = min((attempt.submitted_date for attempt in attempts), default=now)
    end = max((attempt.ended_at or now for attempt in attempts), default=now)
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
    kept = [(name, query[name]) for name in ("run", "tag") if query.get(name)]
    zooms = [
        Zoom(label, key, urlencode([*kept, ("from", int(first.timestamp())), ("to", int(last.timestamp()))]))
        for label, key, first, last in moves
    ]
    return [*zooms, Zoom("Whole run", "", urlencode(kept))] if window else zooms


def _split(run: WorkflowRun | None, timed: list[time_use.Timed], now: datetime) -> str:
    if run is None:
        return ""
    return time_use.split_sentence(time_use.split_time(timed, run.created_date, now), len(timed))


def _lanes(
    spans: Mapping[int, queries.Window],
    times: Mapping[int, Spread],
    groups: Sequence[JobGroup],
    begin: datetime,
    end: datetime,
) -> list[Lane]:
    """When jobs of each tag were live, in the order in which they began, and how long the attempts that were read ran."""
    whole = max((end - begin).total_seconds(), 1)
    names = {group.pk: group.name for group in groups}
    return [
        Lane(
            names[group_id], first, last,
            round(min(998.0, max(0.0, (first - begin).total_seconds() / whole * 1000)), 1),
            round(min(1000.0, max(2.0, (last - max(first, begin)).total_seconds() / whole * 1000)), 1),
            times.get(group_id, Spread()),
        )
        for group_id, (first, last) in sorted(spans.items(), key=lambda item: item[1])
        if group_id in names
    ]  # fmt: skip


def _row_height(count: int) -> float:
    """Comfortable for few attempts, thin for many: the picture never grows beyond one screen or so."""
    return round(max(3.0, min(18.0, ROOM / max(count, 1))), 1)


def _strand(attempt: JobInstance, begin: datetime, end: datetime, row: int, height: float) -> Strand:
    span = (end - begin).total_seconds()
    last = attempt.ended_at or max(end, attempt.submitted_date)

    def at(moment: datetime) -> float:
        return min(1000.0, max(0.0, (moment - begin).total_seconds() / span * 1000))

    started = attempt.started_at or last
    return Strand(
        attempt=attempt,
        label=f"{attempt.job.name}, attempt {attempt.attempt}",
        x=round(at(attempt.submitted_date), 1),
        wait=round(max(0.0, at(started) - at(attempt.submitted_date)), 1),
        run=round(max(0.0, at(last) - at(started)), 1),
        reason=explain.ended_because(attempt),
        y=round(charts.TOP + height * row, 1),
        height=round(height * 0.72, 1),
    )
