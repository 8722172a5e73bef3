"""What the filters of all lists share: fields for the values of a URL, chips, attributes, and what was not understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import django_filters as df
from django import forms
from django.db.models import Func, QuerySet, TextField, Value
from django.http import QueryDict
from django.utils import timezone

from workflows import words
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.queries.counting import count_each
from workflows.ranges import Range, read_range

PLACE_NAMES = frozenset({"after", "before", "groups_after", "v", "export"})
"""Where one stands in a list, and how it is wanted: the only parameters that a change of its filters leaves behind"""
VIEW_NAMES = PLACE_NAMES | {"fields", "per_page", "sort", "cols", "dag_id", "format"}
MAX_VALUES = 50
MOST_ID = 2**63 - 1
ONE_VALUE = "write one value, once"
ATTRIBUTE, MOST_ATTRIBUTES = "attr.", 10
FEW_CHIPS, MOST_COUNTED = 3, 1_000


@dataclass(frozen=True, slots=True)
class Chip:
    """An applied filter, or one that was not understood. `query` is the URL query without it."""

    label: str
    query: str
    is_understood: bool = True


class ManyTexts(forms.Field):
    """Any number of values of one name."""

    widget = forms.SelectMultiple

    def to_python(self, value: Any) -> list[str]:
        texts = [str(item) for item in value or () if str(item)]
        if len(texts) > MAX_VALUES:  # leaving some out would widen what "not" narrows
            raise forms.ValidationError(f"write at most {MAX_VALUES} values")
        return texts


class ManyWords(ManyTexts):
    """The same, as people type them: blanks around them mean nothing."""

    def to_python(self, value: Any) -> list[str]:
        texts = super().to_python([str(item).strip() for item in value or ()])
        if len(texts) < len(value or ()):
            raise forms.ValidationError("write a value")
        return texts


class ManyNumbers(ManyWords):
    """Any number of ids of one name."""

    def to_python(self, value: Any) -> list[int]:  # type: ignore[override]
        texts = super().to_python(value)
        numbers = [number for text in texts if (number := read_digits(text)) and number <= MOST_ID]
        if len(numbers) < len(texts):
            raise forms.ValidationError("write a whole number, 1 or more")
        return numbers


class ManyUuids(ManyWords):
    def to_python(self, value: Any) -> list[UUID]:  # type: ignore[override]
        try:
            return [UUID(text) for text in super().to_python(value)]
        except ValueError as error:
            raise forms.ValidationError("write the id as its page shows it") from error


class SinceField(forms.CharField):
    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        moment = words.parse_since(text, timezone.now())
        if moment is None:
            raise forms.ValidationError("write 30m, 24h, 7d or a date like 2026-11-23")
        return moment


class ManyFilter(df.Filter):
    """Several values of one name: what has any of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"lookup_expr": "in", **kwargs})


class TextsFilter(ManyFilter):
    field_class = ManyTexts


class WordsFilter(ManyFilter):
    field_class = ManyWords


class NumbersFilter(ManyFilter):
    field_class = ManyNumbers


class UuidsFilter(ManyFilter):
    field_class = ManyUuids


class ManyRanges(ManyWords):
    def to_python(self, value: Any) -> list[Range]:  # type: ignore[override]
        texts = super().to_python(value)
        ranges = [found for text in texts if (found := read_range(text))]
        if len(ranges) < len(texts):
            raise forms.ValidationError(
                "write from and to with a - between them, as in 1.5-3; one of them may be missing"
            )
        return ranges


class RangesFilter(ManyFilter):
    """`in_words` says for people what one of its ranges means."""

    field_class = ManyRanges

    def __init__(self, *args: Any, in_words: Callable[[Range], str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.in_words = in_words


class IdsField(forms.Field):
    """Ids, separated by commas or each with the name before it."""

    widget = forms.SelectMultiple

    def to_python(self, value: Any) -> list[int]:
        parts = [part.strip() for text in value or () for part in str(text).split(",") if part.strip()]
        numbers = [number for part in parts if (number := read_digits(part)) is not None]
        if len(numbers) < len(parts) or len(parts) > 1000 or (value and not parts):
            raise forms.ValidationError("write ids separated by commas")
        return numbers


class IdsFilter(ManyFilter):
    field_class = IdsField


class FlagField(forms.CharField):
    """`1` or `true` asks for it; `0` and `false` do not; None says nothing about it."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value).lower()
        if text not in ("", "0", "false", "1", "true"):
            raise forms.ValidationError("write 1 or 0, or leave it out")
        return text in ("1", "true") if text else None


class FlagFilter(df.Filter):
    field_class = FlagField


class SinceFilter(df.Filter):
    field_class = SinceField


def takes_many(field: forms.Field) -> bool:
    """Whether several values of one name mean "or"."""
    return isinstance(field.widget, forms.SelectMultiple)


def without_empty(data: QueryDict) -> QueryDict:
    """What a form sends for its empty fields says nothing, nor does a value that is said again."""
    query = data.copy()
    for name, values in data.lists():
        query.setlist(name, [value for value in dict.fromkeys(values) if value])
        if not query.getlist(name):
            del query[name]
    return query


class AttributeText(Func):
    """The text of one attribute, NULL where there is none of this name."""

    function = "JSON_EXTRACT"
    output_field = TextField()

    def __init__(self, name: str) -> None:
        super().__init__("attributes", Value(f"$.{json.dumps(name)}"))

    def as_mysql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, template="JSON_UNQUOTE(%(function)s(%(expressions)s))", **more)


class AttributeFilter(TextsFilter):
    """`attr.release=2026`: what has this text under this name."""

    def filter(self, rows: QuerySet[Any], value: list[str]) -> QuerySet[Any]:
        if not value:
            return rows
        text = f"text_of_{self.field_name}"
        found: QuerySet[Any] = rows.alias(**{text: AttributeText(str(self.label))}).filter(**{f"{text}__in": value})
        return found


def attribute_filters(query: QueryDict) -> dict[str, AttributeFilter]:
    """One for each attribute that the URL names. Quotes and backslashes cannot be asked for: databases differ there."""
    names = [name for name in query if name.startswith(ATTRIBUTE) and not set(name) & set('"\\')]
    return {
        name: AttributeFilter(field_name=f"attribute_{number}", label=name.removeprefix(ATTRIBUTE))
        for number, name in enumerate(names[:MOST_ATTRIBUTES])
        if name != ATTRIBUTE
    }


class UrlFilterSet(df.FilterSet):
    """What all lists share: chips, and the names and values that were not understood."""

    UNNAMED: frozenset[str] = frozenset()
    HAS_ATTRIBUTES = False

    def __init__(self, data: QueryDict, queryset: QuerySet[Any], **kwargs: Any) -> None:
        self.query = without_empty(data)
        super().__init__(self.query, queryset=queryset, **kwargs)
        if self.HAS_ATTRIBUTES:
            self.filters.update(attribute_filters(self.query))

    @property
    def unknown(self) -> list[str]:
        names = [name for name in self.query if name not in self.filters and name not in VIEW_NAMES]
        return names + [name for name in self.errors if name in self.query]

    @property
    def errors(self) -> dict[str, list[str]]:
        """What is wrong, by name. Where one value counts, a second one is: which of them is meant?"""
        single = {name for name, field in self.form.fields.items() if not takes_many(field)}
        asked = [(name, values) for name, values in self.query.lists() if name in single]
        wrong = [name for name, values in asked if len(values) > 1 or not values[0].strip()]
        return {**{name: [ONE_VALUE] for name in wrong}, **self.form.errors}

    @property
    def applied(self) -> list[str]:
        """The names of the filters that are set and understood."""
        wrong = set(self.errors)
        return [
            name for name in self.query if name in self.filters and any(self.query.getlist(name)) and name not in wrong
        ]

    def _chip(self, name: str, value: str, is_understood: bool) -> Chip:
        rest = self.query.copy()
        for view_name in ("after", "before", "v"):
            rest.pop(view_name, None)
        rest.setlist(name, [item for item in rest.getlist(name) if item != value])
        label = (
            f"{fenced(self.label_of(name))}: {fenced(self.word_of(name, value))}"
            if is_understood
            else f"not understood: {fenced(name)}={fenced(value)}"
        )
        return Chip(label, rest.urlencode(), is_understood)

    def kept_beside(self, fields: Collection[str]) -> list[tuple[str, str]]:
        """What a form with these fields has to send along, so that using it drops nothing that narrows the list, nor
        what was not understood."""
        names = [name for name in self.query if name not in fields and name not in PLACE_NAMES]
        return [(name, value) for name in names for value in self.query.getlist(name)]

    def label_of(self, name: str) -> str:
        return str(self.filters[name].label or name)

    def word_of(self, name: str, value: str) -> str:
        one = self.filters[name]
        if isinstance(one, RangesFilter):
            found = read_range(value)
            return one.in_words(found) if found else value
        choices = getattr(one, "extra", {}).get("choices") or ()
        return str(dict(choices).get(value, value))

    @property
    def chips(self) -> list[Chip]:
        """One for each value; filters that the page shows as tabs have none."""
        wrong = self.unknown
        bad = [self._chip(name, value, False) for name in wrong for value in self.query.getlist(name)]
        named = [name for name in self.applied if name not in self.UNNAMED]
        good = [self._chip(name, value, True) for name in named for value in self.query.getlist(name) if value]
        return bad + good

    def again(self, query: QueryDict) -> UrlFilterSet:
        """The same list under another query."""
        return type(self)(query, self.queryset)

    def without_one(self) -> list[tuple[Chip, str]]:
        """For a list in which nothing matches: what leaving out each of its filters would show, most first. At most
        FEW_CHIPS are tried, in one query."""
        chips = self.chips
        if not 0 < len(chips) <= FEW_CHIPS or self.unknown:
            return []
        counts = count_each([self.again(QueryDict(chip.query)).rows for chip in chips], MOST_COUNTED)
        found = sorted(
            ((count, chip) for count, chip in zip(counts, chips, strict=True) if count), key=lambda one: -one[0]
        )
        return [(chip, f"{count:,}" if count <= MOST_COUNTED else f"{MOST_COUNTED:,}+") for count, chip in found]

    @property
    def rows(self) -> QuerySet[Any]:
        """The filtered rows. A value that is not understood leaves nothing: it must not widen the list."""
        rows: QuerySet[Any] = self.qs
        return rows if not self.unknown else rows.none()


def choice_filter(label: str, choices: Sequence[tuple[str, str]], **kwargs: Any) -> df.MultipleChoiceFilter:
    listed = ", ".join(value for value, _ in choices)
    messages = {"invalid_choice": f"%(value)s is not one of {listed}."}
    return df.MultipleChoiceFilter(label=label, choices=choices, error_messages=messages, **kwargs)
