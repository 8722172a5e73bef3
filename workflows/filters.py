"""One FilterSet per list, the same for page, API and export: the URL says the whole state of a list.

Repeated values of one name are "or", different names are "and". What is not understood is named, never ignored: a
filter that falls away must not widen what is shown as its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import django_filters as df
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.http import QueryDict

from workflows import looks, words
from workflows.models import (
    ApiToken,
    AuditEntry,
    ErrorGroup,
    Job,
    JobEdge,
    JobGroup,
    JobInstance,
    Operation,
    OperationItem,
    Workflow,
    WorkflowRun,
)
from workflows.models.operations import STATES
from workflows.operations import ACTIONS
from workflows.queries import jobs as job_queries
from workflows.queries.counting import Total, count_up_to_limit
from workflows.queries.workflows import has_failures, needs_a_person
from workflows.url_filters import (
    ATTRIBUTE,
    FlagFilter,
    IdsFilter,
    NumbersFilter,
    SinceFilter,
    TextsFilter,
    UrlFilterSet,
    UuidsFilter,
    WordsFilter,
    choice_filter,
)

JOB_CHOICES = [(letter, look.word) for letter, look in looks.JOB.items()]
WORKFLOW_CHOICES = [(letter, look.word) for letter, look in looks.WORKFLOW.items()]
RUN_CHOICES = [(letter, word) for letter, word in WORKFLOW_CHOICES if letter != "C"]
INSTANCE_CHOICES = [(letter, look.word) for letter, look in looks.INSTANCE.items()]
REASON_CHOICES = list(words.REASON_WORDS.items())
ACTION_CHOICES = [(name, action.word) for name, action in ACTIONS.items()]
OUTCOME_CHOICES = [(outcome, outcome) for outcome in ("waiting", "changed", "skipped")]


class WorkflowFilter(UrlFilterSet):
    mine = FlagFilter(label="mine", method="keep_mine")
    status = choice_filter("status", WORKFLOW_CHOICES)
    q = df.CharFilter(label="name or arguments begin with", method="keep_prefix")
    owner = WordsFilter(label="owner", field_name="user")
    user = TextsFilter(label="user")
    name = TextsFilter(label="name")
    workflow_args = TextsFilter(label="arguments")
    executor = WordsFilter(label="executor", field_name="executor")
    created = SinceFilter(label="created since", field_name="created_date", lookup_expr="gte")
    changed = SinceFilter(label="changed since", field_name="status_date", lookup_expr="gte")
    needs = FlagFilter(label="needs a person", method="keep_needing")
    failures = FlagFilter(label="has failed jobs", method="keep_failures")
    id = IdsFilter(label="ids", field_name="id")

    UNNAMED = frozenset({"mine"})
    HAS_ATTRIBUTES = True

    class Meta:
        model = Workflow
        fields: list[str] = []

    def __init__(self, data: QueryDict, queryset: QuerySet[Workflow], user: User | AnonymousUser) -> None:
        self.person = user
        super().__init__(data, queryset)

    def again(self, query: QueryDict) -> WorkflowFilter:
        return WorkflowFilter(query, self.queryset, self.person)

    def keep_mine(self, rows: QuerySet[Workflow], _name: str, value: bool) -> QuerySet[Workflow]:
        return rows.filter(owner_id=self.person.pk) if value else rows

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
    attempts = df.NumberFilter(
        label="attempts at least", field_name="num_attempts", lookup_expr="gte", min_value=0, max_value=10**6
    )
    since = SinceFilter(label="changed since", field_name="status_date", lookup_expr="gte")
    id = IdsFilter(label="ids", field_name="job_id")
    upstream_of = NumbersFilter(label="upstream of", method="keep_upstreams")
    downstream_of = NumbersFilter(label="downstream of", method="keep_downstreams")

    NARROW_FIRST = ("reason", "host", "batch", "run", "attempts")
    COUNTED = frozenset({"status", "blocked", "tag", "tag__n"})
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

    def total(self) -> Total:
        if not self.is_counted:
            return count_up_to_limit(self.rows)
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
        if applied & {"status", "blocked", "id", "tag", "name", "error", "upstream_of", "downstream_of"}:
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
        return job_queries.with_attempt(rows, workflow_run_id__in=value)

    def keep_upstreams(self, rows: QuerySet[Job], _name: str, value: list[int]) -> QuerySet[Job]:
        return rows.filter(job_id__in=JobEdge.objects.filter(downstream_id__in=value).values("upstream_id"))

    def keep_downstreams(self, rows: QuerySet[Job], _name: str, value: list[int]) -> QuerySet[Job]:
        return rows.filter(job_id__in=JobEdge.objects.filter(upstream_id__in=value).values("downstream_id"))


class RunFilter(UrlFilterSet):
    """Runs of one workflow."""

    status = choice_filter("status", RUN_CHOICES)
    user = TextsFilter(label="started by")
    executor = WordsFilter(label="executor")
    since = SinceFilter(label="created since", field_name="created_date", lookup_expr="gte")

    class Meta:
        model = WorkflowRun
        fields: list[str] = []


class ErrorFilter(UrlFilterSet):
    """Failed attempts of one workflow."""

    reason = choice_filter("reason", REASON_CHOICES)
    run = NumbersFilter(label="run", field_name="workflow_run_id")
    tag = TextsFilter(label="tag", method="keep_tags")
    host = WordsFilter(label="host", field_name="nodename")
    since = SinceFilter(label="ended since", field_name="ended_at", lookup_expr="gte")

    class Meta:
        model = JobInstance
        fields: list[str] = []

    def keep_tags(self, rows: QuerySet[JobInstance], _name: str, value: list[str]) -> QuerySet[JobInstance]:
        return rows.filter(job__group__name__in=value) if value else rows


class AttemptFilter(ErrorFilter):
    """All attempts of one workflow, whatever became of them."""

    status = choice_filter("status", INSTANCE_CHOICES)
    job = NumbersFilter(label="job", field_name="job_id")
    batch = WordsFilter(label="batch id", field_name="executor_id")
    executor = WordsFilter(label="executor", field_name="executor_type")


class ErrorGroupFilter(UrlFilterSet):
    """Failures of one workflow that are alike."""

    state = choice_filter("state", [(state, state) for state in ("open", "acknowledged", "fixed")])
    reason = choice_filter("reason", REASON_CHOICES)
    since = SinceFilter(label="seen since", field_name="last_seen_at", lookup_expr="gte")

    class Meta:
        model = ErrorGroup
        fields: list[str] = []


class OperationFilter(UrlFilterSet):
    state = choice_filter("state", [(state, state) for state in STATES])
    action = choice_filter("action", ACTION_CHOICES)
    user = TextsFilter(label="who", field_name="user__username")
    workflow = NumbersFilter(label="workflow", field_name="workflow_id")
    since = SinceFilter(label="made since", field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Operation
        fields: list[str] = []


class TokenFilter(UrlFilterSet):
    """Tokens of other people, for administrators."""

    owner = WordsFilter(label="owner", field_name="user__username")
    name = WordsFilter(label="name")
    prefix = WordsFilter(label="prefix", field_name="prefix")
    scope = choice_filter("may", [(scope, scope) for scope in ("read", "submit", "operate")])
    used = SinceFilter(label="used since", field_name="last_used_at", lookup_expr="gte")

    class Meta:
        model = ApiToken
        fields: list[str] = []


class OutcomeFilter(UrlFilterSet):
    """The jobs of one operation."""

    outcome = choice_filter("outcome", OUTCOME_CHOICES, method="keep_outcomes")

    class Meta:
        model = OperationItem
        fields: list[str] = []

    def keep_outcomes(self, rows: QuerySet[OperationItem], _name: str, value: list[str]) -> QuerySet[OperationItem]:
        return rows.filter(outcome__in=["" if word == "waiting" else word for word in value]) if value else rows


class AuditFilter(UrlFilterSet):
    actor = WordsFilter(label="who")
    via = WordsFilter(label="via")
    action = WordsFilter(label="action")
    workflow = NumbersFilter(label="workflow", field_name="workflow_id")
    result = WordsFilter(label="result")
    request = WordsFilter(label="request id", field_name="request_id")
    operation = UuidsFilter(label="operation", method="keep_operations")
    since = SinceFilter(label="since", field_name="at", lookup_expr="gte")

    class Meta:
        model = AuditEntry
        fields: list[str] = []

    def keep_operations(self, rows: QuerySet[AuditEntry], _name: str, value: list[UUID]) -> QuerySet[AuditEntry]:
        """An operation acts under the request that confirmed it; others may have stopped it."""
        requests = Operation.objects.filter(uuid__in=value).exclude(request_id="").values("request_id")
        return rows.filter(Q(request_id__in=requests) | Q(target__in=[f"operation {one}" for one in value]))
