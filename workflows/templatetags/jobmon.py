"""Template tags: thin names for `markup` and `words`."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.http import HttpRequest, QueryDict
from django.template.context import Context

from workflows import markup, words

register = template.Library()
register.simple_tag(markup.icon)
register.simple_tag(markup.status_badge, name="status")
register.simple_tag(markup.fact_badge, name="fact")
register.simple_tag(markup.bar)
register.filter("when", markup.when)
register.filter("exact", markup.exact)
register.filter("clip", markup.clip)
register.filter("duration", words.duration)
register.filter("memory", words.memory)
register.filter("gigabytes", words.gigabytes)


@register.filter
def n(value: int | None) -> str:
    """A number with thousands separators; – for none."""
    return "–" if value is None else words.number(value)


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


@register.simple_tag
def cell_link(dag_id: int, group: str, letter: str) -> str:
    """The job table of one cell of the matrix."""
    query_dict = QueryDict(mutable=True)
    query_dict["status"] = letter
    query_dict["tag"] = group
    return f"/workflows/{dag_id}/jobs/?{query_dict.urlencode()}"


