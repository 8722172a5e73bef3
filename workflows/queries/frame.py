"""What the frame of every page shows beside the page itself: one query for all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import CharField, DateTimeField, F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, Least
from django.utils import timezone

from workflows.models import ExecutorState, HostExclusion, Preferences, SavedFilter, SystemState, WorkflowRun

SILENT_AFTER = timedelta(minutes=5)
LATE_AFTER = timedelta(minutes=2)
COLUMNS = ("what", "name", "since", "words", "slug")
NO_WORDS = Value("", output_field=TextField())
NO_SLUG = Value("", output_field=CharField())


@dataclass(frozen=True, slots=True)
class Banner:
    """What everybody should know: an executor (with its last failure) or the sweep was not heard of since then."""

    what: str
    name: str
    since: datetime | None
    failure: str


@dataclass(frozen=True, slots=True)
class SavedTab:
    """A filter that the reader has saved for a list ("workflows" or "jobs")."""

    list_name: str
    name: str
    query: str
    slug: str


@dataclass(frozen=True, slots=True)
class Silence:
    """An executor that did not answer when it was asked last, and the time before: since when, and what was said."""

    since: datetime | None
    failure: str


@dataclass(frozen=True, slots=True)
class Frame:
    """`holds`: executor → why nothing new is submitted to it. `full`: executor → the number of attempts that it held
    when it was last asked, and holds at most. `mute`: executor → since when it does not answer. `excluded`: (executor, host)
    on which nothing starts."""

    banners: list[Banner] = field(default_factory=list)
    tabs: list[SavedTab] = field(default_factory=list)
    job_columns: str = ""
    swept_at: datetime | None = None
    holds: dict[str, str] = field(default_factory=dict)
    full: dict[str, int] = field(default_factory=dict)
    mute: dict[str, Silence] = field(default_factory=dict)
    excluded: frozenset[tuple[str, str]] = frozenset()

    def tabs_of(self, list_name: str) -> list[SavedTab]:
        return sorted((tab for tab in self.tabs if tab.list_name == list_name), key=lambda tab: tab.name)


def read_frame(user_id: int | None) -> Frame:
    """Silent executors, a late sweep, and what this person keeps: one query."""
    sources = (_silent(), _held(), _full(), _mute(), _excluded(), _saved(user_id or 0), _chosen_columns(user_id or 0))
    parts = [rows.values_list(*COLUMNS) for rows in sources]
    banners, tabs, columns, swept_at, holds, full, mute = [], [], "", None, {}, {}, {}
    excluded: set[tuple[str, str]] = set()
    for what, name, since, words, slug in _sweep().values_list(*COLUMNS).union(*parts, all=True):
        if what == "sweep":
            swept_at = since
            banners += [Banner(what, name, since, words)] if since < timezone.now() - LATE_AFTER else []
        elif what == "executor":
            banners.append(Banner(what, name, since, words))
        elif what == "hold":
            holds[name] = words
        elif what == "full":
            full[name] = int(words)
        elif what == "excluded":
            excluded.add((name, words))
        elif what == "mute":
            mute[name] = Silence(since, words)
        elif what == "columns":
            columns = words
        else:
            tabs.append(SavedTab(what, name, words, slug))
    return Frame(banners, tabs, columns, swept_at, holds, full, mute, frozenset(excluded))


def _sweep() -> QuerySet[SystemState]:
    sweep = SystemState.objects.filter(name="sweep")
    return sweep.annotate(what=Value("sweep"), since=F("at"), words=NO_WORDS, slug=NO_SLUG)


def _silent() -> QuerySet[ExecutorState]:
    """Executors with live runs that were not heard of for five minutes."""
    limit = timezone.now() - SILENT_AFTER
    in_use = WorkflowRun.objects.filter(status="R", created_date__lt=limit).values("executor")
    quiet = Q(polled_at__lt=limit) | Q(polled_at=None, poll_started_at__lt=limit)
    silent = ExecutorState.objects.filter(quiet, name__in=in_use)
    return silent.annotate(what=Value("executor"), since=F("polled_at"), words=F("failure"), slug=NO_SLUG)


def _held() -> QuerySet[ExecutorState]:
    held = ExecutorState.objects.exclude(hold_reason="")
    return held.annotate(what=Value("hold"), since=F("held_at"), words=Cast("hold_reason", TextField()), slug=NO_SLUG)


def _full() -> QuerySet[ExecutorState]:
    """Executors that hold as many of our attempts as they may, by their own number or by that of a person."""
    by_person = Q(max_live__isnull=False, live__gte=F("max_live"))
    full = ExecutorState.objects.filter(Q(live__gte=F("own_max_live")) | by_person)
    limit = Coalesce(Least("own_max_live", Coalesce("max_live", "own_max_live")), Value(0))
    return full.annotate(what=Value("full"), since=F("polled_at"), words=Cast(limit, TextField()), slug=NO_SLUG)


def _mute() -> QuerySet[ExecutorState]:
    """Once may be chance."""
    mute = ExecutorState.objects.filter(failures_in_a_row__gt=1)
    return mute.annotate(what=Value("mute"), since=F("polled_at"), words=F("failure"), slug=NO_SLUG)


def _excluded() -> QuerySet[HostExclusion]:
    excluded = HostExclusion.objects.filter(is_excluded=True)
    return excluded.annotate(
        what=Value("excluded"), name=F("executor"), since=F("changed_at"), words=Cast("host", TextField()), slug=NO_SLUG
    )


def _saved(user_id: int) -> QuerySet[SavedFilter]:
    saved = SavedFilter.objects.filter(owner_id=user_id)
    return saved.annotate(what=F("list_name"), since=F("created_at"), words=F("query"))


def _chosen_columns(user_id: int) -> QuerySet[Preferences]:
    never = Value(None, output_field=DateTimeField())
    chosen = Preferences.objects.filter(user_id=user_id).exclude(job_columns="")
    return chosen.annotate(what=Value("columns"), name=NO_SLUG, since=never, words=F("job_columns"), slug=NO_SLUG)
