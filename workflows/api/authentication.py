"""Bearer tokens, and what each scope may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from workflows.access import find_token, note_token_use
from workflows.actor import Actor
from workflows.models import ApiToken
from workflows.permissions import is_auditor

if TYPE_CHECKING:
    from rest_framework.views import APIView

SCOPE_ORDER = {"read": 0, "submit": 1, "operate": 2}


class TokenAuthentication(authentication.BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = find_token(text.strip())
        if token is None:
            raise exceptions.AuthenticationFailed(
                "The token is unknown, expired or revoked. Make a new one on the account page."
            )
        note_token_use(token, request.META.get("REMOTE_ADDR", ""))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class HasScope(permissions.BasePermission):
    """A token may do what its scope says; reading needs `read`, everything else the view's `scope`."""

    message = "The token's scope does not allow this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        is_reading = request.method in permissions.SAFE_METHODS
        if not is_reading and not getattr(view, "is_personal", False) and is_auditor(request.user):
            self.message = "You are an auditor here: you may read everything and change nothing."
            return False
        if not isinstance(request.auth, ApiToken):
            return True
        needed = "read" if is_reading else getattr(view, "scope", "operate")
        return SCOPE_ORDER[request.auth.scope] >= SCOPE_ORDER[needed]


def actor_of(request: Request) -> Actor:
    token = request.auth if isinstance(request.auth, ApiToken) else None
    assert isinstance(request.user, User)
    return Actor(
        user=request.user,
        via="api" if token else "page",
        token_prefix=token.prefix if token else "",
        address=request.META.get("REMOTE_ADDR", ""),
        request_id=getattr(request, "request_id", ""),
    )
