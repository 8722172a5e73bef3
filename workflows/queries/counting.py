"""Counts of any rows, bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet


def count_each(querysets: Sequence[QuerySet[Any]], most: int) -> list[int]:
    """How many rows each of these has, in one query; beyond `most`, one more than that."""
    texts: list[str] = []
    values: list[Any] = []
    for rows in querysets:
        try:
            text, own = rows.order_by().values("pk")[: most + 1].query.sql_with_params()
        except EmptyResultSet:
            text, own = "", ()
        texts.append(f"(SELECT COUNT(*) FROM ({text}) counted)" if text else "0")  # noqa: S608 - the ORM's own statement
        values += own
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(texts)}", values)
        return [int(number) for number in cursor.fetchone()]
