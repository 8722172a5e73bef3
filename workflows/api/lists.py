"""What all lists of the API share: filters that are understood, keyset pages, and their description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import django_filters as df
from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base import demand_understood, next_link, per_page
from workflows.api.unchanged import is_known, make_tag, not_modified
from workflows.queries.keyset import Order, paginate
from workflows.url_filters import NumbersFilter, UrlFilterSet, takes_many

M = TypeVar("M", bound=Model)
NEWEST = Order("id", is_descending=True)
AFTER = OpenApiParameter("after", str, description="cursor of the page before, from `next`")
PER_PAGE = OpenApiParameter("per_page", int, description="at most 1,000; 100 unless said")
FIELDS = OpenApiParameter("fields", str, description="only these fields, separated by commas")
ATTRIBUTES = OpenApiParameter(
    "attr.NAME", str, many=True, description="what has this text as its attribute NAME, as in `attr.release=2026`"
)


def describe_list(filters: type[UrlFilterSet] | None = None, *more: OpenApiParameter) -> list[OpenApiParameter]:
    """The parameters of a list: the filters of its FilterSet, pages, and fields."""
    if filters is None:
        return [*more, AFTER, PER_PAGE, FIELDS]
    described = [_describe(name, field) for name, field in filters.base_filters.items()]
    attributes = [ATTRIBUTES] if filters.HAS_ATTRIBUTES else []
    return [*described, *attributes, *more, AFTER, PER_PAGE, FIELDS]


def _describe(name: str, field: df.Filter) -> OpenApiParameter:
    choices = [value for value, _ in field.extra.get("choices", ())]
    kind = int if isinstance(field, df.NumberFilter | NumbersFilter) else str
    return OpenApiParameter(
        name, kind, many=takes_many(field.field), enum=choices or None, description=str(field.label)
    )


def demand_rows(filters: UrlFilterSet) -> QuerySet[Any]:
    """The filtered rows. Raises Problem for a filter that is not understood."""
    demand_understood(filters.unknown, filters.errors)
    return filters.rows


def answer_page(
    request: Request,
    rows: QuerySet[M],
    order: Order,
    show: Callable[[Sequence[M]], list[dict[str, object]]],
    find_state: Callable[[M], object] | None = None,
    keys: QuerySet[Any] | None = None,
) -> Response:
    """One page of a list. With `find_state`, which says all of a row that may change, it has an ETag. `keys`: for
    `paginate`."""
    page = paginate(rows, order, request.query_params.get("after", ""), "", per_page(request), keys)
    headers = {}
    if find_state is not None:
        headers["ETag"] = tag = make_tag(request, page.next, [find_state(row) for row in page.rows])
        if is_known(request, tag):
            return not_modified(tag)
    return Response({"results": show(page.rows), "next": next_link(request, page.next)}, headers=headers)
