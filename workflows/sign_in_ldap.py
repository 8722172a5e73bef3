"""Signing in with the password of an LDAP directory. Imported only where JOBMON_LDAP_URI is set."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django_auth_ldap.backend import LDAPBackend

from workflows.audit import write_event
from workflows.sign_in import LoadsRoles
from workflows.transactions import write_transaction


class LdapBackend(LoadsRoles, LDAPBackend):  # type: ignore[misc]
    """The directory checks the password; the account here gives the rights. Names are written as the directory's user
    would be on a machine: in small letters."""

    def ldap_to_django_username(self, username: str) -> str:
        return username.lower()

    def get_or_build_user(self, username: str, ldap_user: Any) -> tuple[User, bool]:
        """An account of a password that is kept here is never taken over by an equal name in the directory."""
        user, is_new = super().get_or_build_user(username, ldap_user)
        if not is_new and user.has_usable_password():
            raise self._refused(ldap_user, username)
        if is_new and not self.settings.NO_NEW_USERS:
            _store_new(user)
        return user, is_new

    def authenticate_ldap_user(self, ldap_user: Any, password: str) -> User | None:
        """Groups that the directory gave or took are in the audit."""
        name = self.ldap_to_django_username(ldap_user._username)
        before = _groups_of(name)
        user: User | None = super().authenticate_ldap_user(ldap_user, password)
        if user is not None and (after := _groups_of(name)) != before:
            told: list[dict[str, object]] = [{"groups": before}, {"groups": after, "by": "ldap"}]
            write_event("mirror-groups", f"user {name}", before=told[0], after=told[1])
        return user

    def _refused(self, ldap_user: Any, username: str) -> Exception:
        rejected: Exception = ldap_user.AuthenticationFailed(
            f"the account {username} has a password here and is not the directory's"
        )
        return rejected


@write_transaction
def _store_new(user: User) -> None:
    """The account, which the library fills and saves again, with its audit row."""
    user.set_unusable_password()
    user.save(force_insert=True)
    write_event("create-user", f"user {user.get_username()}", after={"by": "ldap"})


def _groups_of(name: str) -> list[str]:
    return list(
        User.objects.filter(username=name, groups__isnull=False)
        .order_by("groups__name")
        .values_list("groups__name", flat=True)
    )
