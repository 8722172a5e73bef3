"""One FilterSet per list, the same for page, API and export: the URL says the whole state of a list.

Repeated values of one name are "or", different names are "and". What is not understood is named, never ignored: a
filter that falls away must not widen what is shown as its result.
"""

from __future__ import annotations

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
    JobInstance,
    Operation,
    OperationItem,
    Workflow,
    WorkflowRun,
)
from workflows.models.operations import STATES
from workflows.operations import ACTIONS
from workflows.queries import jobs as job_queries
from workflows.queries.workflows import has_failures, needs_a_person
from workflows.url_filters import (
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
