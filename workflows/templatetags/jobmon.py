"""Template tags: thin names for `markup` and `words`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from django import template
from django.http import HttpRequest, QueryDict
from django.template.context import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import audit_words, directions, log_text, looks, markup, page_links, planning, words
from workflows.masking import mask_secrets
from workflows.models import AuditEntry, Job, JobInstance
from workflows.models.definition import LIVE_LETTERS
from workflows.permissions import who_may_operate
from workflows.queries.frame import Frame, SavedTab
from workflows.secret_files import split_command
from workflows.tables import JobTable, ran_seconds
from workflows.url_filters import UrlFilterSet

register = template.Library()
register.simple_tag(markup.icon)
register.simple_tag(markup.status_badge, name="status")
register.simple_tag(markup.fact_badge, name="fact")
register.simple_tag(markup.bar)
register.simple_tag(markup.trend)
register.simple_tag(markup.look_badge, name="look")
register.filter("ran", ran_seconds)
register.filter("masked", mask_secrets)
register.filter("secret_files", lambda command: split_command(command)[0])
register.filter("without_secret_files", lambda command: split_command(command)[1])
register.filter("action_words", audit_words.action_words)
register.filter("when", markup.when)
register.filter("exact", markup.exact)
register.filter("took", markup.took)
register.filter("clip", markup.clip)
register.filter("apart", markup.apart)
register.filter("expected_end", markup.expected_end)
register.filter("duration", words.duration)
register.filter("memory", words.memory)
register.filter("gigabytes", words.gigabytes)
register.filter("whole", words.whole)
register.filter("short_name", words.short_name)
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


@register.filter
def address(request: HttpRequest) -> str:
    """Of this page, without a character that a shell would take for one of its own: whoever copies it may paste it anywhere."""
    pairs = [(name, value) for name, values in request.GET.lists() for value in values]
    return quote(request.path) + (f"?{urlencode(pairs, quote_via=quote, safe=':,@*')}" if pairs else "")


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
    query_dict.update(looks.filters_of(letter) if letter else {})
    query_dict["tag"] = group
    return f"/workflows/{workflow_id}/jobs/?{query_dict.urlencode()}"


@register.filter
def status_query(letter: str) -> str:
    """The filter of the job table that finds what is counted under this letter."""
    return urlencode(looks.filters_of(letter))


@register.simple_tag
def status_key(letter: str) -> str:
    return looks.SHOWN[letter].key


@register.simple_tag
def instance_key(letter: str) -> str:
    return looks.INSTANCE[letter].key


@register.simple_tag
def instance_word(letter: str) -> str:
    return looks.INSTANCE[letter].word


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
def fenced(text: object) -> object:
    """For titles and pictures, in which no element can stand; each text of a list."""
    return [directions.fenced(one) for one in text] if isinstance(text, list | tuple) else directions.fenced(text)


@register.filter
def last_line(text: str) -> str:
    """The last line that says something: the message of most tracebacks."""
    lines = [line.strip() for line in log_text.plain(text[-4000:]).splitlines() if line.strip()]
    return lines[-1] if lines else ""


@register.filter
def is_on_excluded_host(attempt: JobInstance, frame: Frame) -> bool:
    return (attempt.executor_type, attempt.nodename) in frame.excluded


@register.filter
def waited(attempt: JobInstance) -> float | None:
    return words.seconds_between(attempt.submitted_date, attempt.started_at)


@register.filter
def attempts_words(job: Job) -> str:
    return words.attempts(job.num_attempts, job.max_attempts, is_live=job.status in LIVE_LETTERS)


@register.filter
def sum_up_rest(rows: Sequence[planning.PlanRow]) -> list[planning.PlanRow]:
    """As many rows of a plan as a page has room for; the act obeys all of them."""
    return planning.sum_up_rest(rows)


@register.filter
def any_has(rows: Iterable[object], name: str) -> bool:
    """Whether a column has anything to show."""
    return any(getattr(row, name) for row in rows)


@register.filter
def reason_word(reason: str) -> str:
    return words.REASON_WORDS.get(reason, reason)


@register.filter
def percent(share: float) -> str:
    """`97 %`, never broken into two lines; what is not all is never shown as all."""
    return f"{min(99, round(share * 100)) if share < 1 else 100}\u00a0%"


@register.filter
def change_words(entry: AuditEntry) -> str:
    return audit_words.change_words(entry.action, entry.before, entry.after)


@register.filter
def target_link(entry: AuditEntry) -> SafeString:
    """What was changed, with a link to its page where it has one."""
    path = page_links.target_path(entry.target, entry.action, entry.after)
    said = markup.apart(page_links.target_words(entry.target))
    return format_html('<a href="{}" title="{}">{}</a>', path, entry.target, said) if path else said


@register.filter
def names_workflow(entry: AuditEntry) -> bool:
    return page_links.names_workflow(entry.target, entry.workflow_id)


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
def clock(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%H:%M:%S}"


@register.filter
def minute(moment: datetime, is_long: bool = False) -> str:
    """Of what is known to the minute; in a picture of more than a day also the day."""
    return f"{timezone.localtime(moment):{'%-d %b %H:%M' if is_long else '%H:%M'}}"


@register.filter
def plain_when(moment: datetime) -> str:
    return words.since(timezone.localtime(moment), timezone.now())


@register.simple_tag
def sort_of(table: JobTable, column: str) -> dict[str, str] | None:
    return table.sort_of(column)


@register.inclusion_tag("parts/kept_filters.html", takes_context=True)
def kept_filters(context: Context, filters: UrlFilterSet, chosen: str, typed: str) -> dict[str, Any]:
    """`{% kept_filters filters "status tag" "q host" %}`: the form has fields for these; whatever else narrows the list
    is sent along. What is chosen stands in its field whole; of what is typed, only the last value does."""
    shown = context["request"].GET
    kept = filters.kept_beside(chosen.split())
    return {"kept": [(name, value) for name, value in kept if name not in typed.split() or value != shown.get(name)]}


@register.inclusion_tag("parts/choose_many.html")
def choose_many(filters: Any, name: str, label: str, none: str, names: list[str] | None = None) -> dict[str, Any]:
    """A field for any number of values. What is asked for and not offered stands in it too, so that it is not lost.
    A browser takes an option's text for its value, if it has none, but puts its spaces together."""
    offered = dict(filters.filters[name].extra["choices"] if names is None else [(text, text) for text in names])
    asked = filters.query.getlist(name)
    options = {**offered, **{value: value for value in asked if value not in offered}}
    return {
        "name": name,
        "label": label,
        "none": none,
        "options": [
            (None if value == word == " ".join(value.split()) else value, word, value in asked)
            for value, word in options.items()
        ],
        "chosen": [options[value] for value in dict.fromkeys(asked)],
    }


@register.inclusion_tag("parts/choose_boxes.html")
def choose_boxes(filters: UrlFilterSet, name: str) -> dict[str, Any]:
    """A box to tick for each value; for what is asked for and is no value too, so that it is not lost."""
    asked = filters.query.getlist(name)
    offered = dict(filters.filters[name].extra["choices"])
    options = {**offered, **{value: value for value in asked if value not in offered}}
    return {"name": name, "options": [(value, word, value in asked) for value, word in options.items()]}


@register.filter
def names_of(groups: list[Any]) -> list[str]:
    return [group.name for group in groups]
