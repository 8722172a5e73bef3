"""Keyset pages: one page of a list costs the same wherever it stands. Never OFFSET.

The condition is `a <= x AND (a < x OR id < y)`, which databases answer from an index, unlike `(a, id) < (x, y)`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import RawSQL

M = TypeVar("M", bound=Model)
CHUNK = 2000


class CursorError(Exception):
    """The cursor in the URL is not one of ours."""


@dataclass(frozen=True, slots=True)
class Order:
    """Order by `field`, then by the primary key `pk`, in one direction; by the key alone when `field` is ''. `kind`:
    what the field holds, so that a cursor with anything else is refused before the database sees it."""

    pk: str
    field: str = ""
    is_descending: bool = False
    kind: type[Any] = NoneType

    def fields(self, *, reverse: bool = False) -> list[str]:
        sign = "-" if self.is_descending != reverse else ""
        return [sign + name for name in (self.field, self.pk) if name]

    def beyond(self, cursor: str, *, reverse: bool = False) -> Q:
        """What comes after the row of the cursor (before it, when reversed). Raises CursorError."""
        value, key = decode(cursor, self.kind)
        side = "lt" if self.is_descending != reverse else "gt"
        after_key = Q(**{f"{self.pk}__{side}": key})
        if not self.field:
            return after_key
        return Q(**{f"{self.field}__{side}e": value}) & (Q(**{f"{self.field}__{side}": value}) | after_key)

    def cursor(self, row: Model) -> str:
        value = getattr(row, self.field) if self.field else None
        if isinstance(value, datetime):
            value = {"t": value.isoformat()}
        return encode(value, getattr(row, self.pk))


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page. `next` and `previous` are cursors, '' where there is nothing more."""

    rows: list[M]
    next: str
    previous: str


def encode(value: object, key: int) -> str:
    text = json.dumps([value, key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, kind: type[Any] = NoneType) -> tuple[Any, int]:
    """The value of this kind and the key. Raises CursorError."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        value, key = json.loads(text)
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["t"]).astimezone(UTC)
        if isinstance(value, str):
            value.encode()  # no lone surrogates
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise CursorError("the page link is not valid any more; start from the first page") from error
    if type(value) is not kind or not _is_stored_number(key) or (kind is int and not _is_stored_number(value)):
        raise CursorError("the page link is not valid any more; start from the first page")
    return value, key


def _is_stored_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def paginate(
    queryset: QuerySet[M], order: Order, after: str, before: str, per_page: int, keys: QuerySet[Any] | None = None
) -> Page[M]:
    """The page after (or before) a cursor; both empty: the first one. `keys`: where the keys of the rows that are
    wanted are found, each once, maybe in another table under the same names. Raises CursorError."""
    is_backwards, most = bool(before), per_page + 1
    beyond = order.beyond(before or after, reverse=is_backwards) if before or after else Q()
    fields = order.fields(reverse=is_backwards)
    queryset = queryset.order_by(*fields)
    if keys is not None:
        queryset = _only_first(queryset, keys.filter(beyond).order_by(*fields), order.pk, most)
    else:
        queryset = queryset.filter(beyond)
        queryset = _only_first(queryset, queryset, order.pk, most) if queryset.query.annotations else queryset
    rows = list(queryset[:most])
    has_more = len(rows) > per_page
    rows = rows[:per_page]
    if is_backwards:
        rows.reverse()
    if not rows:
        return Page(rows, "", "")
    has_next = has_more or is_backwards
    has_previous = has_more if is_backwards else bool(after)
    return Page(rows, order.cursor(rows[-1]) if has_next else "", order.cursor(rows[0]) if has_previous else "")


def _only_first(queryset: QuerySet[M], keys: QuerySet[Any], pk: str, count: int) -> QuerySet[M]:
    """The first of these rows, found by their keys alone: what is worked out for a row (its error text, a count) is worked
    out for these and not for all that have to be sorted. MariaDB takes no LIMIT inside IN, but in a table inside it."""
    try:
        sql, params = keys.values(first_key=F(pk))[:count].query.sql_with_params()
    except EmptyResultSet:  # known without asking: none(), or a value that is in no list
        return queryset.none()
    # Django's own statement with its own parameters: nothing of a request is in the text.
    first = RawSQL(f"SELECT first_key FROM ({sql}) AS first_rows", params)  # noqa: S608, S611  # nosec B608, B611
    return queryset.filter(**{f"{pk}__in": first})


def walk(queryset: QuerySet[M], order: Order, keys: QuerySet[Any] | None = None) -> Iterator[list[M]]:
    """All rows in chunks, each a query of its own: no transaction stays open while a slow reader downloads."""
    after = ""
    while True:
        page = paginate(queryset, order, after, "", CHUNK, keys)
        if page.rows:
            yield page.rows
        if not page.next:
            return
        after = page.next
