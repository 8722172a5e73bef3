"""What a person is to this site: groups and the read-only auditor. Read together with the person, in one query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F

_KEPT_AS = "_jobmon_roles"


@dataclass(frozen=True, slots=True)
class Roles:
    """The groups of a person, and whether one of them makes its members auditors."""

    group_ids: frozenset[int] = frozenset()
    is_auditor: bool = False


NOBODY = Roles()


def _from_rows(rows: Iterable[tuple[int | None, str | None]]) -> Roles:
    groups = {pk: name for pk, name in rows if pk is not None}
    return Roles(frozenset(groups), settings.AUDITORS_GROUP in groups.values())


def keep_roles(user: User, rows: Iterable[tuple[int | None, str | None]]) -> User:
    """The person with the roles that these (group id, name) give."""
    setattr(user, _KEPT_AS, _from_rows(rows))
    return user


def load_user(**which: Any) -> User | None:
    """One person with roles: one query, a row for each group."""
    rows = list(User.objects.filter(**which).annotate(in_group_id=F("groups__id"), in_group=F("groups__name")))
    return keep_roles(rows[0], [(row.in_group_id, row.in_group) for row in rows]) if rows else None


def roles_of(user: User | AnonymousUser) -> Roles:
    """Read once for each person object, that is, once for each request."""
    if not isinstance(user, User):
        return NOBODY
    kept = getattr(user, _KEPT_AS, None)
    if kept is None:
        keep_roles(user, user.groups.values_list("id", "name"))
        kept = getattr(user, _KEPT_AS)
    return kept if isinstance(kept, Roles) else NOBODY
