"""Reads of operations: what was done to many jobs at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet

from workflows.models import Job, Operation, OperationItem
from workflows.models.operations import UNCONFIRMED
from workflows.permissions import visible_workflows

OUTCOMES = {"skipped": "skipped", "changed": "changed", "waiting": ""}


def listed(user: User | AnonymousUser) -> QuerySet[Operation]:
    """All operations on workflows that this person may see; what is not confirmed yet is its maker's alone."""
    confirmed = ~Q(state__in=UNCONFIRMED) | Q(user_id=user.pk)
    return Operation.objects.select_related("workflow__group", "user").filter(
        confirmed, workflow__in=visible_workflows(user)
    )


def find_operation(user: User | AnonymousUser, key: uuid.UUID) -> Operation | None:
    return listed(user).filter(uuid=key).first()


def items_with(operation: Operation, outcome: str) -> QuerySet[OperationItem]:
    """Its jobs of which one thing became: "skipped", "changed" or "waiting"."""
    return items_of(operation).filter(outcome=OUTCOMES[outcome])


def items_of(operation: Operation) -> QuerySet[OperationItem]:
    """Its jobs, each with what became of it."""
    return OperationItem.objects.filter(operation=operation)


def job_names(job_ids: Iterable[int]) -> dict[int, str]:
    return dict(Job.objects.filter(pk__in=list(job_ids)).values_list("pk", "name"))
