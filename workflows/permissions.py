"""What a person may see and do, in one place; deny by default.

| role | may |
|---|---|
| owner | everything on their own workflows; alone decides what runs, with what, where, and who shares it |
| group member | read what is shared with one of their groups |
| operator | a member where the workflow says so: also start, resume, stop, hold, set limits. Jobs stay the owner's |
| auditor | read every workflow, change nothing at all |
| staff, admin | read, stop, hold and release anything; never decide what runs. The audit is the admin's |
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db.models import Q, QuerySet

from workflows.directions import fenced
from workflows.models import Workflow
from workflows.roles import roles_of

Person = User | AnonymousUser


def is_let_in(user: Person) -> bool:
    return bool(user.is_authenticated and user.is_active)


def is_staff(user: Person) -> bool:
    """Staff and administrators."""
    return is_let_in(user) and bool(user.is_staff or user.is_superuser)


def is_auditor(user: Person) -> bool:
    """Whoever is an auditor changes nothing, whatever else they are."""
    return is_let_in(user) and roles_of(user).is_auditor


def may_read_audit(user: Person) -> bool:
    """All that anybody did, sign-ins and addresses included: administrators. A workflow's activity is for its readers."""
    return is_let_in(user) and bool(user.is_superuser)


def may_revoke_tokens(user: Person) -> bool:
    """Other people's tokens, without their values: administrators."""
    return is_let_in(user) and bool(user.is_superuser)


def may_hold_executors(user: Person) -> bool:
    return is_staff(user) and not is_auditor(user)


def may_set_up_executors(user: Person) -> bool:
    """Their limits, and which hosts they use: administrators."""
    return may_hold_executors(user) and bool(user.is_superuser)


def sees_all(user: Person) -> bool:
    return is_staff(user) or (is_let_in(user) and (settings.EVERYONE_READS or roles_of(user).is_auditor))


def visible_workflows(user: Person) -> QuerySet[Workflow]:
    """Every read starts here. What is not in it does not exist for this person."""
    if not is_let_in(user):
        return Workflow.objects.none()
    if sees_all(user):
        return Workflow.objects.all()
    own = Q(owner_id=user.pk)
    group_ids = roles_of(user).group_ids
    return Workflow.objects.filter(own | Q(group_id__in=sorted(group_ids)) if group_ids else own)


def may_submit(user: Person) -> bool:
    return is_let_in(user) and not is_auditor(user)


def is_owner(user: Person, workflow: Workflow) -> bool:
    """Decides what runs and what it asks for, marks jobs done, shares: the owner alone."""
    return may_submit(user) and workflow.owner_id == user.pk


def may_operate(user: Person, workflow: Workflow) -> bool:
    """Start, resume, retry, set limits: the owner, and operators."""
    return is_owner(user, workflow) or (
        workflow.group_may_operate and may_submit(user) and workflow.group_id in roles_of(user).group_ids
    )


def may_stop(user: Person, workflow: Workflow) -> bool:
    """Stop, hold, release, kill: whoever operates, and staff."""
    return may_operate(user, workflow) or (is_staff(user) and not is_auditor(user))


def may_write_notes(user: Person, workflow: Workflow) -> bool:
    """A note on a workflow changes nothing that runs: whoever may stop it may say why."""
    return may_stop(user, workflow)


def who_may_operate(workflow: Workflow) -> str:
    """For the reason beside a button: `the owner (alice) and the group fits`."""
    owner = f"the owner ({fenced(workflow.user)})"
    return (
        f"{owner} and the group {fenced(workflow.group)}" if workflow.group_may_operate and workflow.group_id else owner
    )


def groups_of(user: User) -> QuerySet[Group]:
    """The groups that this person may share a workflow with. The auditors' is a role, not a team."""
    return Group.objects.filter(pk__in=roles_of(user).group_ids).exclude(name=settings.AUDITORS_GROUP).order_by("name")


def find_group(user: User, name: str) -> Group | None:
    """None: there is no such group, or this person is not in it. Which of the two is not told."""
    return groups_of(user).filter(name=name).first()
