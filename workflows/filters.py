"""One FilterSet per list, the same for page, API and export: the URL says the whole state of a list.

Repeated values of one name are "or", different names are "and". What is not understood is named, never ignored: a
filter that falls away must not widen what is shown as its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import django_filters as df
from django import forms
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from workflows import looks, words
from workflows.models import AuditEntry, Job, JobEdge, JobGroup, JobInstance, Workflow
from workflows.queries import jobs as job_queries
from workflows.queries.workflows import has_failures, needs_a_person

VIEW_NAMES = frozenset({"fields", "after", "before", "per_page", "sort", "cols", "export", "v", "dag_id", "format"})
JOB_CHOICES = [(letter, look.word) for letter, look in looks.JOB.items()]
WORKFLOW_CHOICES = [(letter, look.word) for letter, look in looks.WORKFLOW.items()]
REASON_CHOICES = list(words.REASON_WORDS.items())
MAX_VALUES = 50


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
        return [str(item) for item in value if str(item)][:MAX_VALUES] if value else []


class SinceField(forms.CharField):
    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        moment = words.parse_since(text, timezone.now())
        if moment is None:
            raise forms.ValidationError("write 30m, 24h, 7d or a date like 2026-11-23")
        return moment


class TextsFilter(df.Filter):
    field_class = ManyTexts


class IdsField(forms.CharField):
    """Ids, separated by commas."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if any(not part.isascii() or not part.isdigit() or len(part) > 18 for part in parts) or len(parts) > 1000:
            raise forms.ValidationError("write ids separated by commas")
        return [int(part) for part in parts]


class IdsFilter(df.Filter):
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


def without_empty(data: QueryDict) -> QueryDict:
    """What a form sends for its empty fields says nothing."""
    query = data.copy()
    for name, values in data.lists():
        query.setlist(name, [value for value in values if value])
        if not query.getlist(name):
            del query[name]
    return query


class UrlFilterSet(df.FilterSet):
    """What all lists share: chips, and the names and values that were not understood."""

    UNNAMED: frozenset[str] = frozenset()

    def __init__(self, data: QueryDict, queryset: QuerySet[Any], **kwargs: Any) -> None:
        self.query = without_empty(data)
        super().__init__(self.query, queryset=queryset, **kwargs)

    @property
    def unknown(self) -> list[str]:
        names = [name for name in self.query if name not in self.filters and name not in VIEW_NAMES]
        return names + [name for name in self.form.errors if name in self.query]

    @property
    def applied(self) -> list[str]:
        """The names of the filters that are set and understood."""
        wrong = set(self.form.errors)
        return [
            name for name in self.query if name in self.filters and any(self.query.getlist(name)) and name not in wrong
        ]

    def _chip(self, name: str, value: str, is_understood: bool) -> Chip:
        rest = self.query.copy()
        for view_name in ("after", "before", "v"):
            rest.pop(view_name, None)
        rest.setlist(name, [item for item in rest.getlist(name) if item != value])
        label = (
            f"{self.label_of(name)}: {self.word_of(name, value)}"
            if is_understood
            else f"not understood: {name}={value}"
        )
        return Chip(label, rest.urlencode(), is_understood)

    def label_of(self, name: str) -> str:
        return str(self.filters[name].label or name)

    def word_of(self, name: str, value: str) -> str:
        choices = getattr(self.filters[name], "extra", {}).get("choices") or ()
        return str(dict(choices).get(value, value))

    @property
    def chips(self) -> list[Chip]:
        """One for each value; filters that the page shows as tabs have none."""
        wrong = self.unknown
        bad = [self._chip(name, value, False) for name in wrong for value in self.query.getlist(name)]
        named = [name for name in self.applied if name not in self.UNNAMED]
        good = [self._chip(name, value, True) for name in named for value in self.query.getlist(name) if value]
        return bad + good

    @property
    def rows(self) -> QuerySet[Any]:
        """The filtered rows. A value that is not understood leaves nothing: it must not widen the list."""
        rows: QuerySet[Any] = self.qs
        return rows if not self.unknown else rows.none()


def _choice(label: str, choices: Sequence[tuple[str, str]], **kwargs: Any) -> df.MultipleChoiceFilter:
    return df.MultipleChoiceFilter(label=label, choices=choices, **kwargs)


class WorkflowFilter(UrlFilterSet):
    mine = FlagFilter(label="mine", method="keep_mine")
    status = _choice("status", WORKFLOW_CHOICES)
    q = df.CharFilter(label="name or arguments begin with", method="keep_prefix")
    owner = df.CharFilter(label="owner", field_name="user")
    executor = df.CharFilter(label="executor", field_name="executor")
    created = SinceFilter(label="created since", field_name="created_date", lookup_expr="gte")
    changed = SinceFilter(label="changed since", field_name="status_date", lookup_expr="gte")
    needs = FlagFilter(label="needs a person", method="keep_needing")
    failures = FlagFilter(label="has failed jobs", method="keep_failures")
    id = IdsFilter(label="ids", field_name="id", lookup_expr="in")

    UNNAMED = frozenset({"mine"})

    class Meta:
        model = Workflow
        fields: list[str] = []

    def __init__(self, data: QueryDict, queryset: QuerySet[Workflow], user: User | AnonymousUser) -> None:
        self.user = user
        super().__init__(data, queryset)

    def keep_mine(self, rows: QuerySet[Workflow], _name: str, value: bool) -> QuerySet[Workflow]:
        return rows.filter(owner_id=self.user.pk) if value else rows

    def keep_prefix(self, rows: QuerySet[Workflow], _name: str, value: str) -> QuerySet[Workflow]:
        if value.startswith("*"):
            return rows.filter(Q(name__contains=value[1:]) | Q(workflow_args__contains=value[1:]))
        end = job_queries.prefix_end(value)
        return rows.filter(Q(name__gte=value, name__lt=end) | Q(workflow_args__gte=value, workflow_args__lt=end))

    def keep_needing(self, rows: QuerySet[Workflow], _name: str, value: bool) -> QuerySet[Workflow]:
        return rows.filter(needs_a_person()) if value else rows

    def keep_failures(self, rows: QuerySet[Workflow], _name: str, value: bool) -> QuerySet[Workflow]:
        return rows.filter(has_failures()) if value else rows


class JobFilter(UrlFilterSet):
    """Filters of the jobs of one graph. `groups` are its groups: a tag is looked up there, not in the job table."""

    status = _choice("status", JOB_CHOICES)
    blocked = FlagFilter(label="blocked", method="keep_blocked")
    tag = TextsFilter(label="tag", method="keep_tags")
    tag__n = TextsFilter(label="not tag", method="drop_tags")
    q = df.CharFilter(label="name begins with", method="keep_prefix")
    reason = _choice("reason", REASON_CHOICES, method="keep_reasons")
    host = df.CharFilter(label="host", method="keep_host")
    batch = df.CharFilter(label="batch id", method="keep_batch")
    error = df.NumberFilter(label="error group", field_name="error_group_id", min_value=1, max_value=2**63 - 1)
    run = df.NumberFilter(label="run", method="keep_run", min_value=1, max_value=2**63 - 1)
    attempts = df.NumberFilter(
        label="attempts at least", field_name="num_attempts", lookup_expr="gte", min_value=0, max_value=10**6
    )
    since = SinceFilter(label="changed since", field_name="status_date", lookup_expr="gte")
    id = IdsFilter(label="ids", field_name="job_id", lookup_expr="in")
    upstream_of = df.NumberFilter(label="upstream of", method="keep_upstreams", min_value=1, max_value=2**63 - 1)
    downstream_of = df.NumberFilter(label="downstream of", method="keep_downstreams", min_value=1, max_value=2**63 - 1)

    NARROW_FIRST = ("reason", "host", "batch", "run", "attempts")
    COUNTED = frozenset({"status", "blocked", "tag", "tag__n"})

    class Meta:
        model = Job
        fields: list[str] = []

    def __init__(self, data: QueryDict, queryset: QuerySet[Job], dag_id: int, groups: Sequence[JobGroup]) -> None:
        self.dag_id = dag_id
        self.groups = groups
        super().__init__(data, queryset)

    @property
    def is_counted(self) -> bool:
        """Whether the stored counts can answer how many rows match."""
        return set(self.applied) <= self.COUNTED and not self.unknown

    def total(self) -> job_queries.Total:
        if not self.is_counted:
            return job_queries.count_up_to_limit(self.rows)
        values = self.form.cleaned_data
        return job_queries.count_from_groups(
            self.groups,
            set(values.get("tag") or ()),
            set(values.get("tag__n") or ()),
            values.get("status") or (),
            values.get("blocked"),
        )

    @property
    def too_wide(self) -> list[str]:
        """Filters without an index of their own; they want a status or a tag beside them in a large graph."""
        applied = set(self.applied)
        if applied & {"status", "blocked", "id", "tag", "error", "upstream_of", "downstream_of"}:
            return []
        return [self.label_of(name) for name in self.NARROW_FIRST if name in applied]

    def _ids(self, names: Sequence[str]) -> list[int]:
        return [group.pk for group in self.groups if group.name in names]

    def keep_tags(self, rows: QuerySet[Job], _name: str, value: list[str]) -> QuerySet[Job]:
        return rows.filter(group_id__in=self._ids(value)) if value else rows

    def drop_tags(self, rows: QuerySet[Job], _name: str, value: list[str]) -> QuerySet[Job]:
        return rows.exclude(group_id__in=self._ids(value)) if value else rows

    def keep_blocked(self, rows: QuerySet[Job], _name: str, value: bool) -> QuerySet[Job]:
        return job_queries.keep_blocked(rows, value)

    def keep_prefix(self, rows: QuerySet[Job], _name: str, value: str) -> QuerySet[Job]:
        if value.startswith("*"):
            return rows.filter(name__contains=value[1:])
        return job_queries.name_starts_with(rows, value)

    def keep_reasons(self, rows: QuerySet[Job], _name: str, value: list[str]) -> QuerySet[Job]:
        return job_queries.with_attempt(rows, reason__in=value) if value else rows

    def keep_host(self, rows: QuerySet[Job], _name: str, value: str) -> QuerySet[Job]:
        return job_queries.with_attempt(rows, nodename=value)

    def keep_batch(self, rows: QuerySet[Job], _name: str, value: str) -> QuerySet[Job]:
        return job_queries.with_attempt(rows, executor_id=value)

    def keep_run(self, rows: QuerySet[Job], _name: str, value: Any) -> QuerySet[Job]:
        return job_queries.with_attempt(rows, workflow_run_id=int(value))

    def keep_upstreams(self, rows: QuerySet[Job], _name: str, value: Any) -> QuerySet[Job]:
        return rows.filter(job_id__in=JobEdge.objects.filter(downstream_id=int(value)).values("upstream_id"))

    def keep_downstreams(self, rows: QuerySet[Job], _name: str, value: Any) -> QuerySet[Job]:
        return rows.filter(job_id__in=JobEdge.objects.filter(upstream_id=int(value)).values("downstream_id"))


class ErrorFilter(UrlFilterSet):
    """Failed attempts of one workflow."""

    reason = _choice("reason", REASON_CHOICES)
    run = df.NumberFilter(label="run", field_name="workflow_run_id", min_value=1, max_value=2**63 - 1)
    tag = TextsFilter(label="tag", method="keep_tags")
    host = df.CharFilter(label="host", field_name="nodename")
    since = SinceFilter(label="ended since", field_name="ended_at", lookup_expr="gte")

    class Meta:
        model = JobInstance
        fields: list[str] = []

    def keep_tags(self, rows: QuerySet[JobInstance], _name: str, value: list[str]) -> QuerySet[JobInstance]:
        return rows.filter(job__group__name__in=value) if value else rows


class AuditFilter(UrlFilterSet):
    actor = df.CharFilter(label="who")
    via = df.CharFilter(label="via")
    action = df.CharFilter(label="action")
    workflow = df.NumberFilter(label="workflow", field_name="workflow_id", min_value=1, max_value=2**63 - 1)
    request = df.CharFilter(label="request id", field_name="request_id")
    since = SinceFilter(label="since", field_name="at", lookup_expr="gte")

    class Meta:
        model = AuditEntry
        fields: list[str] = []
