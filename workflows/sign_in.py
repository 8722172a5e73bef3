"""How people come in by a password, or by the word of a trusted proxy. Roles are read together with the person."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.backends import ModelBackend, RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from workflows.audit import write_event
from workflows.roles import load_user
from workflows.transactions import write_transaction

PROXY_SECRET_META = "HTTP_X_JOBMON_PROXY_SECRET"  # noqa: S105 - the name of a header
LONGEST_NAME = 60


def address_of(request: HttpRequest) -> str:
    """Whose failures are counted together. Behind a proxy the middleware has put the client's address here."""
    return str(request.META.get("REMOTE_ADDR", "")) or "local"


def note_failure(request: HttpRequest, way: str, name: str) -> None:
    """A sign-in that failed, for the audit: what was typed is cut, since it may be a password in the wrong field."""
    shown = "".join(character for character in name.strip()[:LONGEST_NAME] if character.isprintable())
    write_event("sign-in-failed", f"sign-in by {way}", name=shown, request=request, result="refused")


class LoadsRoles:
    """A back end whose sessions cost one query: the person and the groups."""

    def get_user(self, user_id: int) -> User | None:
        user = load_user(pk=user_id)
        return user if user is not None and user.is_active else None


class PasswordBackend(LoadsRoles, ModelBackend):
    """Passwords kept here."""


class ProxyBackend(LoadsRoles, RemoteUserBackend):
    """People whom the proxy has signed in. Unknown ones are let in only where that is set."""

    @property
    def create_unknown_user(self) -> bool:  # type: ignore[override]
        return bool(settings.REMOTE_USER_CREATES)

    @write_transaction
    def authenticate(self, request: HttpRequest | None, remote_user: str | None) -> User | None:  # type: ignore[override]
        """Once per session: an account that is made here and its audit row are one transaction."""
        user: User | None = super().authenticate(request, remote_user)  # type: ignore[arg-type]
        return user

    def configure_user(self, request: HttpRequest, user: User, created: bool = True) -> User:  # type: ignore[override]
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
            write_event("create-user", f"user {user.get_username()}", request=request, after={"by": "proxy"})
        return user


class ProxySignInMiddleware(RemoteUserMiddleware):
    """Takes the person from the proxy's header, and only from a proxy that knows the secret. Whoever else sends the
    header sends nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)
        self.header = settings.REMOTE_USER_META  # type: ignore[misc]

    def process_request(self, request: HttpRequest) -> None:
        told = request.META.pop(PROXY_SECRET_META, "")
        if not constant_time_compare(told, settings.REMOTE_USER_SECRET) or not request.META.get(self.header):
            request.META.pop(self.header, None)
        super().process_request(request)

    def clean_username(self, username: str, request: HttpRequest) -> str:
        return str(super().clean_username(username, request))[:150]


def has_directory() -> bool:
    """Whether passwords are kept in an LDAP directory."""
    return bool(getattr(settings, "AUTH_LDAP_SERVER_URI", ""))


def has_oidc() -> bool:
    """Whether the sign-in page offers the identity provider."""
    return bool(getattr(settings, "OIDC_ISSUER", ""))
