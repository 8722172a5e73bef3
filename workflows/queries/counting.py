"""Counts of any rows, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import IntegerField, QuerySet
from django.db.models.expressions import RawSQL

from workflows.queries.keyset import Page

MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows match; `is_exact` is False when there are more than were counted."""

    count: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{self.count:,}" if self.is_exact else f"{MOST_COUNTED:,}+"


def _count_sql(rows: QuerySet[Any], most: int, name: str = "pk") -> tuple[str, tuple[Any, ...]]:
    """A statement that counts these rows, at most one beyond `most`; "" where none can match. `name`: the column that
    is read of them."""
    try:
        text, values = rows.order_by().values(name)[: most + 1].query.sql_with_params()
    except EmptyResultSet:
        return "", ()
    return f"SELECT COUNT(*) FROM ({text}) counted", values  # noqa: S608 - the ORM's own statement


def count_expression(rows: QuerySet[Any], name: str = "pk") -> RawSQL:
    """The bounded count of other rows, for the statement that reads a page: it saves a query. See `read_count`."""
    text, values = _count_sql(rows, MOST_COUNTED, name)
    # Django's own statement with its own parameters: nothing of a request is in the text.
    return RawSQL(text or "SELECT 0", values, output_field=IntegerField())  # noqa: S611  # nosec B611


def read_count(count: int) -> Total:
    """What a bounded count says."""
    return Total(min(count, MOST_COUNTED), count <= MOST_COUNTED)


def count_each(querysets: Sequence[QuerySet[Any]], most: int) -> list[int]:
    """How many rows each of these has, in one query; beyond `most`, one more than that."""
    texts: list[str] = []
    values: list[Any] = []
    for rows in querysets:
        text, own = _count_sql(rows, most)
        texts.append(f"({text})" if text else "0")
        values += own
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(texts)}", values)
        return [int(number) for number in cursor.fetchone()]


def count_up_to_limit(queryset: QuerySet[Any]) -> Total:
    return read_count(queryset.order_by()[: MOST_COUNTED + 1].count())


def count_list(queryset: QuerySet[Any], shown: Page[Any]) -> Total:
    """How many rows a list has: asked of the database only where the page does not hold them all."""
    return count_up_to_limit(queryset) if shown.next or shown.previous else Total(len(shown.rows))
