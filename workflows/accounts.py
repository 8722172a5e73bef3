"""What an administrator does to accounts: make, enable, put into groups, give roles. Each leaves an audit row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.utils import timezone

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import ApiToken, ExternalIdentity
from workflows.sessions import end_sessions
from workflows.transactions import write_transaction


class NoSuchAccount(Exception):
    """There is no account of this name."""


class IdentityTaken(Exception):
    """That identity is another account's."""


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of an account; None and empty leave things as they are."""

    create: bool = False
    is_active: bool | None = None
    is_staff: bool | None = None
    is_superuser: bool | None = None
    join: Iterable[str] = ()
    leave: Iterable[str] = ()
    identity: tuple[str, str] | None = None
    password: str | None = None


FLAGS = ("is_active", "is_staff", "is_superuser")


@write_transaction
def change_account(name: str, change: Change, actor_name: str) -> User:
    """Raises NoSuchAccount or IdentityTaken. Whoever is disabled is signed out and loses all tokens in the same moment."""
    user = User.objects.filter(username=name).first()
    before = {} if user is None else describe(user)
    if user is None:
        if not change.create:
            raise NoSuchAccount(name)
        user = User.objects.create_user(username=name)
    for flag in FLAGS:
        if (value := getattr(change, flag)) is not None:
            setattr(user, flag, value)
    if change.password is not None:
        user.set_password(change.password)
    user.save()
    _change_groups(user, change)
    if not user.is_active:
        end_sessions(user)
        ApiToken.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
    actor = Actor(User(username=actor_name), "system")
    after = describe(user) | ({} if change.password is None else {"password": "a new one"})
    write_audit(actor, "change-account", f"user {name}"[:64], before=before, after=after)
    return user


def _change_groups(user: User, change: Change) -> None:
    """Groups, and who the person is at the identity provider."""
    user.groups.add(*[Group.objects.get_or_create(name=group)[0] for group in change.join])
    user.groups.remove(*Group.objects.filter(name__in=list(change.leave)))
    if change.identity is not None:
        issuer, subject = change.identity
        identity, _ = ExternalIdentity.objects.get_or_create(
            issuer=issuer, subject=subject, defaults={"user": user, "created_at": timezone.now()}
        )
        if identity.user_id != user.pk:
            raise IdentityTaken(identity.user.get_username())


def describe(user: User) -> dict[str, object]:
    """Roles and groups, for the audit and for whoever asks."""
    groups = list(user.groups.order_by("name").values_list("name", flat=True))
    return {"active": user.is_active, "staff": user.is_staff, "admin": user.is_superuser, "groups": groups}
