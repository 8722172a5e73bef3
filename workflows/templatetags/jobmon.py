"""Template tags: thin names for `markup` and `words`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest, QueryDict
from django.template.context import Context
from django.utils import timezone

from workflows import log_text, looks, markup, words
from workflows.masking import mask_secrets
from workflows.models import AuditEntry, JobInstance, WorkflowRun
from workflows.permissions import who_may_operate
from workflows.queries.frame import Frame, SavedTab
from workflows.tables import JobTable, ran_seconds

STATUS_QUERIES = {"B": {"blocked": "1"}, "G": {"status": "G", "blocked": "0"}}
register = template.Library()
register.simple_tag(markup.icon)
register.simple_tag(markup.status_badge, name="status")
register.simple_tag(markup.fact_badge, name="fact")
register.simple_tag(markup.bar)
register.simple_tag(markup.trend)
register.simple_tag(markup.look_badge, name="look")
register.filter("ran", ran_seconds)
register.filter("masked", mask_secrets)
register.filter("when", markup.when)
register.filter("exact", markup.exact)
register.filter("clip", markup.clip)
register.filter("expected_end", markup.expected_end)
register.filter("duration", words.duration)
register.filter("memory", words.memory)
register.filter("gigabytes", words.gigabytes)
register.filter("who_may_operate", who_may_operate)


@register.filter
def n(value: int | None) -> str:
    """A number with thousands separators; a dash for none."""
    return words.NONE if value is None else words.number(value)


@register.filter
def as_number(value: float) -> str:
    """As a field of a form takes it: no separators, no point where it needs none."""
    return f"{value:.10g}"


@register.filter
def jobs(value: int) -> str:
    return words.plural(value, "job")


@register.filter
def get(mapping: Mapping[str, object], key: str) -> object:
    return mapping.get(key, "")


def changed_query(query: QueryDict, changes: Mapping[str, object]) -> str:
    """The query string with these parameters set (None: removed); a change of view starts on its first page."""
    copy = query.copy()
    for name in ("after", "before", "v"):
        copy.pop(name, None)
    for name, value in changes.items():
        copy.pop(name, None)
        if value is not None:
            copy[name] = str(value)
    return "?" + copy.urlencode()


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: object) -> str:
    """`{% query sort="name" %}`: this page's URL query with a change."""
    request: HttpRequest = context["request"]
    return changed_query(request.GET, changes)


def _view_query(query: QueryDict) -> str:
    """What a list shows, without where one stands in it: the same for the same filters in any order."""
    copy = query.copy()
    for name in ("after", "before", "v"):
        copy.pop(name, None)
    return urlencode(sorted((name, value) for name, values in copy.lists() for value in values if value))


@register.simple_tag(takes_context=True)
def list_query(context: Context) -> str:
    """The query of the list as it is shown."""
    return _view_query(context["request"].GET)


@register.simple_tag(takes_context=True)
def saved_tabs(context: Context, list_name: str) -> list[tuple[SavedTab, bool]]:
    """The reader's filters of this list, and whether the page shows this one."""
    shown = _view_query(context["request"].GET)
    frame: Frame = context["frame"]
    return [(tab, _view_query(QueryDict(tab.query)) == shown) for tab in frame.tabs_of(list_name)]


@register.simple_tag
def cell_link(workflow_id: int, group: str, letter: str) -> str:
    """The job table of one cell of the matrix; of the whole row when the letter is empty."""
    query_dict = QueryDict(mutable=True)
    query_dict.update(STATUS_QUERIES.get(letter) or {"status": letter} if letter else {})
    query_dict["tag"] = group
    return f"/workflows/{workflow_id}/jobs/?{query_dict.urlencode()}"


@register.filter
def status_query(letter: str) -> str:
    """The filter of the job table that finds what is counted under this letter."""
    return urlencode(STATUS_QUERIES.get(letter) or {"status": letter})


@register.simple_tag
def status_key(letter: str) -> str:
    return looks.SHOWN[letter].key


@register.simple_tag
def instance_key(letter: str) -> str:
    return looks.INSTANCE[letter].key


@register.simple_tag
def status_word(letter: str) -> str:
    return looks.SHOWN[letter].word


@register.filter
def others(counts: Mapping[str, int]) -> int:
    """Jobs that are neither done nor failed."""
    return sum(count for letter, count in counts.items() if letter not in "DF")


@register.filter
def plain(text: str) -> str:
    return log_text.plain(text)


@register.filter
def last_line(text: str) -> str:
    """The last line that says something: the message of most tracebacks."""
    lines = [line.strip() for line in log_text.plain(text[-4000:]).splitlines() if line.strip()]
    return lines[-1] if lines else ""


@register.filter
def run_seconds(run: WorkflowRun) -> float:
    return ((run.ended_at or timezone.now()) - run.created_date).total_seconds()


@register.filter
def waited(attempt: JobInstance) -> float | None:
    return words.seconds_between(attempt.submitted_date, attempt.started_at)


@register.filter
def reason_word(reason: str) -> str:
    return words.REASON_WORDS.get(reason, reason)


@register.filter
def percent(share: float) -> str:
    """`97 %`; what is not all is never shown as all."""
    return f"{min(99, round(share * 100)) if share < 1 else 100} %"


@register.filter
def spaced(name: str) -> str:
    """`set_limit` as people write it."""
    return name.replace("_", " ").replace("-", " ")


@register.filter
def change_words(entry: AuditEntry) -> str:
    """`status: S → R, limit: 100 → 500`."""
    names = [*entry.before, *(name for name in entry.after if name not in entry.before)]
    return ", ".join(
        f"{name}: {entry.before.get(name, 'nothing')} → {entry.after.get(name, 'nothing')}"
        if name in entry.before
        else f"{name}: {entry.after[name]}"
        for name in names
    )


@register.filter
def counts_words(counts: Mapping[str, int]) -> str:
    return words.counts_sentence(counts)


@register.filter
def segments(counts: Mapping[str, int], width: int) -> list[looks.Segment]:
    return looks.bar_segments(counts, width)


@register.filter
def add_to(value: float, more: float) -> float:
    return round(value + more, 1)


@register.filter
def at_least(value: float, least: float) -> float:
    return max(value, least)


@register.filter
def clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M:%S}"


@register.filter
def plain_when(moment: datetime) -> str:
    return words.since(timezone.localtime(moment), timezone.now())


@register.simple_tag
def sort_of(table: JobTable, column: str) -> dict[str, str] | None:
    return table.sort_of(column)
