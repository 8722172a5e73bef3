"""The filters of the jobs of one graph: of its page, of the API, of exports and of what is done to many jobs at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import django_filters as df
from django.db.models import Exists, OuterRef, QuerySet
from django.http import QueryDict

from workflows import looks
from workflows.filters import REASON_CHOICES
from workflows.models import Job, JobEdge, JobGroup, JobInstance
from workflows.queries import jobs as job_queries
from workflows.queries.counting import Total, count_up_to_limit
from workflows.ranges import gigabytes_between, seconds_between
from workflows.url_filters import (
    ATTRIBUTE,
    FlagFilter,
    IdsFilter,
    NumbersFilter,
    RangesFilter,
    SinceFilter,
    TextsFilter,
    UrlFilterSet,
    WordsFilter,
    choice_filter,
)

# The letter alone finds those that are blocked as well
JOB_CHOICES = [(letter, "waiting or blocked" if letter == "G" else look.word) for letter, look in looks.JOB.items()]
# So many jobs are looked at one by one; where there are more, their attempts are read in the order of an index
FEW = 20_000
NAMED = frozenset({"id", "name", "error", "upstream_of", "downstream_of"})
NARROW = NAMED | {"status", "blocked", "tag"}


class JobFilter(UrlFilterSet):
    """Filters of the jobs of one graph. `groups` are its groups: a tag is looked up there, not in the job table."""

    status = choice_filter("status", JOB_CHOICES)
    blocked = FlagFilter(label="blocked", method="keep_blocked")
    tag = TextsFilter(label="tag", method="keep_tags")
    tag__n = TextsFilter(label="not tag", method="drop_tags")
    q = df.CharFilter(label="name begins with", method="keep_prefix")
    name = TextsFilter(label="name")
    reason = choice_filter("reason", REASON_CHOICES, method="keep_reasons")
    host = WordsFilter(label="host", method="keep_hosts")
    batch = WordsFilter(label="batch id", method="keep_batches")
    error = NumbersFilter(label="error group", field_name="error_group_id")
    run = NumbersFilter(label="run", method="keep_runs")
    memory = RangesFilter(label="memory used", method="leave", in_words=gigabytes_between)
    runtime = RangesFilter(label="run time", method="leave", in_words=seconds_between)
    attempts = df.NumberFilter(
        label="attempts at least", field_name="num_attempts", lookup_expr="gte", min_value=0, max_value=10**6
    )
    since = SinceFilter(label="changed since", field_name="status_date", lookup_expr="gte")
    id = IdsFilter(label="ids", field_name="job_id")
    upstream_of = NumbersFilter(label="upstream of", method="keep_upstreams")
    downstream_of = NumbersFilter(label="downstream of", method="keep_downstreams")

    NARROW_FIRST = ("reason", "host", "batch", "run", "attempts")
    COUNTED = frozenset({"status", "blocked", "tag", "tag__n"})
    FOUND_BY_KEYS = frozenset({"memory", "runtime", "run", "tag"})
    HAS_ATTRIBUTES = True

    class Meta:
        model = Job
        fields: list[str] = []

    def __init__(self, data: QueryDict, queryset: QuerySet[Job], dag_id: int, groups: Sequence[JobGroup]) -> None:
        self.dag_id = dag_id
        self.groups = groups
        super().__init__(data, queryset)

    def again(self, query: QueryDict) -> JobFilter:
        return JobFilter(query, self.queryset, self.dag_id, self.groups)

    @property
    def is_counted(self) -> bool:
        """Whether the stored counts can answer how many rows match."""
        return set(self.applied) <= self.COUNTED and not self.unknown

    @cached_property
    def used(self) -> QuerySet[JobInstance] | None:
        """The attempts that used what is asked for, each of them all of it; None where nothing is."""
        values = self.form.cleaned_data if self.form.is_valid() else {}
        memory, runtime = values.get("memory"), values.get("runtime")
        if not memory and not runtime:
            return None
        return job_queries.attempts_that_used(self.dag_id, values.get("run") or (), memory or (), runtime or ())

    @cached_property
    def _are_few(self) -> bool:
        """Whether other filters leave so few jobs that the attempts of each can be looked at."""
        applied = set(self.applied)
        return bool(applied & NAMED) or (bool(applied & self.COUNTED) and self._count_stored().count <= FEW)

    @cached_property
    def keys(self) -> QuerySet[JobInstance] | None:
        """The same attempts, where they alone (or a large tag) choose the jobs: the list is read in their index."""
        if self.used is None or self.unknown or self._are_few or not set(self.applied) <= self.FOUND_BY_KEYS:
            return None
        tags = self.form.cleaned_data.get("tag")
        return (job_queries.of_groups(self.used, self._ids(tags)) if tags else self.used).distinct()

    def listed(self, sort: str) -> tuple[QuerySet[Job], QuerySet[Any] | None]:
        """What a page of the list in this order is read from: rows, and where their keys are found first, if not in
        these."""
        if self.used is None:
            return self.rows, None
        keys = None if job_queries.ORDERS[sort].field else self.keys
        return self.queryset, self.rows if keys is None else keys

    def filter_queryset(self, queryset: QuerySet[Job]) -> QuerySet[Job]:
        rows: QuerySet[Job] = super().filter_queryset(queryset)
        if self.used is None:
            return rows
        if self._are_few:
            return rows.filter(Exists(self.used.filter(job_id=OuterRef("job_id"))))
        return rows.filter(job_id__in=self.used.values("job_id"))

    def total(self) -> Total:
        if self.keys is not None:
            return count_up_to_limit(self.keys.values("job_id"))
        return self._count_stored() if self.is_counted else count_up_to_limit(self.rows)

    def _count_stored(self) -> Total:
        """How many jobs have the status and the tag that are asked for."""
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
        if self.keys is not None or applied & NARROW:
            return []
        slow = [*self.NARROW_FIRST, *(name for name in self.applied if name.startswith(ATTRIBUTE))]
        return [self.label_of(name) for name in slow if name in applied]

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

    def keep_hosts(self, rows: QuerySet[Job], _name: str, value: list[str]) -> QuerySet[Job]:
        return job_queries.with_attempt(rows, nodename__in=value)

    def keep_batches(self, rows: QuerySet[Job], _name: str, value: list[str]) -> QuerySet[Job]:
        return job_queries.with_attempt(rows, executor_id__in=value)

    def keep_runs(self, rows: QuerySet[Job], _name: str, value: list[int]) -> QuerySet[Job]:
        return rows if self.used is not None else job_queries.with_attempt(rows, workflow_run_id__in=value)

    def leave(self, rows: QuerySet[Job], _name: str, _value: object) -> QuerySet[Job]:
        """Ranges and run narrow the list together: it is one attempt that all of them are about."""
        return rows

    def keep_upstreams(self, rows: QuerySet[Job], _name: str, value: list[int]) -> QuerySet[Job]:
        return rows.filter(job_id__in=JobEdge.objects.filter(downstream_id__in=value).values("upstream_id"))

    def keep_downstreams(self, rows: QuerySet[Job], _name: str, value: list[int]) -> QuerySet[Job]:
        return rows.filter(job_id__in=JobEdge.objects.filter(upstream_id__in=value).values("downstream_id"))
