"""Filters of lists that people keep under a name, share by their address, and use as tabs."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from workflows.filters import WorkflowFilter
from workflows.job_filters import JobFilter
from workflows.models import Preferences, SavedFilter
from workflows.transactions import write_transaction
from workflows.url_filters import ATTRIBUTE, UrlFilterSet, without_empty

MOST = 30
LONGEST_QUERY = 2000
LIST_FILTERS: dict[str, type[UrlFilterSet]] = {"workflows": WorkflowFilter, "jobs": JobFilter}


class NotSaved(Exception):
    """The message says what was wrong with the filter, and what to do."""


def find(user: User, slug: str, list_name: str) -> SavedFilter | None:
    """One's own, or one that somebody shares."""
    return _usable(user).filter(slug=slug, list_name=list_name).first()


def _usable(user: User) -> QuerySet[SavedFilter]:
    return SavedFilter.objects.filter(Q(owner_id=user.pk) | Q(is_shared=True))


def list_usable(user: User) -> list[SavedFilter]:
    return list(_usable(user).select_related("owner").order_by("list_name", "name", "pk")[:200])


def to_query(list_name: str, text: str) -> str:
    """The part of a page's query that is worth keeping: its filters and its order. Raises NotSaved."""
    known = LIST_FILTERS[list_name].base_filters
    query = without_empty(QueryDict(text, mutable=True))
    kept = QueryDict(mutable=True)
    for name, values in query.lists():
        if name in known or name.startswith(ATTRIBUTE) or name == "sort":
            kept.setlist(name, values)
    if set(kept) <= {"sort"}:
        raise NotSaved("There is no filter to save. Choose some, press Filter, then save.")
    if len(kept.urlencode()) > LONGEST_QUERY:
        raise NotSaved(f"The filter is too long to be saved ({len(kept.urlencode()):,} characters).")
    return kept.urlencode()


@write_transaction
def save(user: User, list_name: str, name: str, text: str) -> SavedFilter:
    """Keep it; the same name again replaces what it meant, and its address stays. Raises NotSaved."""
    name = " ".join(name.split())[:60]
    if list_name not in LIST_FILTERS or not name:
        raise NotSaved("Give the filter a name.")
    query = to_query(list_name, text)
    mine = SavedFilter.objects.filter(owner=user)
    found = mine.filter(list_name=list_name, name=name).first()
    if found is None and mine.count() >= MOST:
        raise NotSaved(f"You have {MOST} saved filters; delete one first.")
    if found is None:
        return SavedFilter.objects.create(
            owner=user,
            slug=secrets.token_hex(4),
            name=name,
            list_name=list_name,
            query=query,
            created_at=timezone.now(),
        )
    mine.filter(pk=found.pk).update(query=query)
    found.query = query
    return found


@write_transaction
def share(user: User, slug: str, is_shared: bool) -> bool:
    """Whether there is such a filter of this person."""
    return SavedFilter.objects.filter(owner=user, slug=slug).update(is_shared=is_shared) == 1


@write_transaction
def delete(user: User, slug: str) -> bool:
    return SavedFilter.objects.filter(owner=user, slug=slug).delete()[0] == 1


@write_transaction
def keep_columns(user: User, columns: str) -> None:
    """The columns of the job table, for all browsers of this person; '' for the usual ones."""
    Preferences.objects.update_or_create(user=user, defaults={"job_columns": columns[:255]})
