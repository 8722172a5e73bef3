"""What happened to the runs of a workflow in a span of time: started, asked to stop, held, released, limits changed,
ended. From the times of the runs and from what the audit tells of them, in one query."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, QuerySet, TextField, Value, When
from django.db.models.functions import Cast

from workflows import looks
from workflows.audit_words import limits_words
from workflows.directions import fenced
from workflows.models import AuditEntry, WorkflowRun

EVENTS_READ, LONGEST_WORDS = 1_000, 160
COLUMNS = ("what", "at", "actor", "via", "about", "old", "new")
AUDITED = ("stop-drain", "stop-kill", "hold", "release", "set-limits")
NOBODY = Value("", output_field=CharField())
NOTHING = Value("", output_field=TextField())
Row = tuple[str, datetime, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class RunEvent:
    """`actor` and `via` are empty where nobody did it, or where it is not written down."""

    at: datetime
    words: str
    actor: str = ""
    via: str = ""

    @property
    def who(self) -> str:
        return f"{fenced(self.actor)} via {fenced(self.via)}" if self.actor and self.via else self.actor


def read_events(workflow_id: int, begin: datetime, end: datetime) -> list[RunEvent]:
    """The newest 1,000 events from `begin` to `end`, in the order in which they came: one query."""
    runs = WorkflowRun.objects.filter(workflow_id=workflow_id)
    sources = (
        _ended(runs.filter(ended_at__range=(begin, end))),
        _held(runs.filter(held_at__range=(begin, end)).exclude(hold_reason="")),
        _audited(AuditEntry.objects.filter(workflow_id=workflow_id, action__in=AUDITED, at__range=(begin, end))),
    )
    parts = [rows.order_by().values_list(*COLUMNS) for rows in sources]
    started = _started(runs.filter(created_date__range=(begin, end))).order_by().values_list(*COLUMNS)
    found: Any = started.union(*parts, all=True)
    newest: list[Row] = list(found.order_by("-at")[:EVENTS_READ])
    return [_event(row) for row in reversed(_without_doubles(newest))]


def _started(runs: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
    earlier = WorkflowRun.objects.filter(workflow_id=OuterRef("workflow_id"), pk__lt=OuterRef("pk"))
    return runs.annotate(
        what=Case(When(Exists(earlier), then=Value("resumed")), default=Value("started")),
        at=F("created_date"), actor=F("user"), via=NOBODY, about=_number(), old=NOTHING, new=_text("resume"),
    )  # fmt: skip


def _ended(runs: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
    return runs.annotate(
        what=Value("ended"), at=F("ended_at"), actor=NOBODY, via=NOBODY, about=_number(), old=NOTHING,
        new=_text("status"),
    )  # fmt: skip


def _held(runs: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
    """Of a hold that still stands. Where submitting failed too often, this alone tells of it."""
    return runs.annotate(
        what=Value("held"), at=F("held_at"), actor=NOBODY, via=NOBODY, about=_number(), old=NOTHING,
        new=_text("hold_reason"),
    )  # fmt: skip


def _audited(entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    return entries.annotate(what=F("action"), about=F("target"), old=_text("before"), new=_text("after"))


def _number() -> Cast:
    return Cast("pk", CharField(max_length=20))


def _text(name: str) -> Cast:
    return Cast(name, TextField())


def _without_doubles(rows: list[Row]) -> list[Row]:
    """A hold that the audit tells of, with who did it, is not told again."""
    told = {(_run_of(row[4]), json.loads(row[6]).get("hold")) for row in rows if row[0] == "hold"}
    return [row for row in rows if row[0] != "held" or (row[4], row[6]) not in told]


def _event(row: Row) -> RunEvent:
    what, at, actor, via, about, old, new = row
    words = _words(what, _run_of(about), old, new)
    return RunEvent(at, words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…", actor, via)


def _run_of(about: str) -> str:
    return about.rpartition(" ")[2]


def _words(what: str, run: str, old: str, new: str) -> str:
    if what == "set-limits":
        return limits_words(json.loads(old), json.loads(new))
    if what == "ended":
        return f"Run {run} ended: {looks.WORKFLOW[new].word}"
    if what in ("held", "hold"):
        return f"Run {run} held: {fenced(new if what == 'held' else json.loads(new).get('hold'))}"
    return {
        "started": f"Run {run} started",
        "resumed": f"Run {run} resumed, {new}",
        "stop-drain": f"Run {run} asked to stop: what runs may finish",
        "stop-kill": f"Run {run} asked to stop: what runs is killed",
        "release": f"Run {run} released",
    }[what]
