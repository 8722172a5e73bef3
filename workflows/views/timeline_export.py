"""The facts of a time line as rows: attempts or minutes, tags, and events, in the order of their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from workflows import explain
from workflows.models import JobInstance
from workflows.queries.run_events import RunEvent
from workflows.queries.timeline import Minutes
from workflows.queries.timeline_bands import Band
from workflows.views.export import export
from workflows.views.lanes import Lane

Values = dict[str, Any]
COLUMNS = (
    "kind", "at", "started_at", "until", "what", "queued", "running", "job_instance_id", "job_id", "status", "why", "actor",
    "via",
)  # fmt: skip


def export_timeline(
    request: HttpRequest,
    name: str,
    kind: str,
    attempts: Sequence[JobInstance],
    minutes: Minutes | None,
    bands: Sequence[tuple[str, Band]],
    lanes: Sequence[Lane],
    events: Sequence[RunEvent],
) -> HttpResponseBase:
    """`kind` of a row: attempt, minutes (numbers are empty where nobody looked), minutes by tag, tag or event."""
    rows = [*map(_attempt, attempts), *_minutes(minutes, bands), *map(_tag, lanes), *map(_event, events)]
    return export(request, sorted(rows, key=_moment), COLUMNS, kind, name)


def _moment(row: Values) -> datetime:
    at: datetime = row["at"]
    return at


def _row(kind: str, at: datetime, **values: object) -> Values:
    return {**dict.fromkeys(COLUMNS), "kind": kind, "at": at, **values}


def _attempt(one: JobInstance) -> Values:
    return _row(
        "attempt", one.submitted_date, started_at=one.started_at, until=one.ended_at,
        what=f"{one.job.name}, attempt {one.attempt}", job_instance_id=one.pk, job_id=one.job_id, status=one.status,
        why=explain.ended_because(one),
    )  # fmt: skip


def _minutes(minutes: Minutes | None, bands: Sequence[tuple[str, Band]]) -> Iterator[Values]:
    if minutes is None:
        return
    for index, bin in enumerate(minutes.bins):
        until = bin.at + minutes.width
        yield _row("minutes", bin.at, until=until, queued=bin.queued, running=bin.running)
        for name, band in bands if bin.running is not None else ():
            queued, running = band.queued[index], band.running[index]
            yield _row("minutes by tag", bin.at, until=until, what=name, queued=queued, running=running)


def _tag(lane: Lane) -> Values:
    return _row("tag", lane.begin, until=lane.end, what=lane.name)


def _event(event: RunEvent) -> Values:
    return _row("event", event.at, what=event.words, actor=event.actor, via=event.via)
