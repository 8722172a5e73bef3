"""What a person may see and do, in one place; deny by default."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet

from workflows.models import Workflow


def visible_workflows(user: User | AnonymousUser) -> QuerySet[Workflow]:
    """Every read starts here. What is not in it does not exist for this person."""
    if not user.is_authenticated or not user.is_active:
        return Workflow.objects.none()
    if user.is_staff or user.is_superuser:
        return Workflow.objects.all()
    return Workflow.objects.filter(owner_id=user.pk)


def may_operate(user: User | AnonymousUser, workflow: Workflow) -> bool:
    """Start, resume, retry: the owner."""
    return bool(user.is_authenticated and user.is_active and workflow.owner_id == user.pk)


def may_stop(user: User | AnonymousUser, workflow: Workflow) -> bool:
    """Stop and hold: the owner, and staff."""
    return may_operate(user, workflow) or bool(user.is_authenticated and user.is_active and user.is_staff)
