"""Signing in with the password of an LDAP directory. Imported only where JOBMON_LDAP_URI is set."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django_auth_ldap.backend import LDAPBackend

from workflows.audit import write_event
from workflows.sign_in import LoadsRoles


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
            write_event("create-user", f"user {username}"[:64], after={"by": "ldap"})
        return user, is_new

    def _refused(self, ldap_user: Any, username: str) -> Exception:
        rejected: Exception = ldap_user.AuthenticationFailed(
            f"the account {username} has a password here and is not the directory's"
        )
        return rejected
