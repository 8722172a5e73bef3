"""Signing in at an OpenID Connect provider. Imported only where JOBMON_OIDC_ISSUER is set."""

from __future__ import annotations

import logging
import re
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from jwt.exceptions import PyJWTError
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from requests.exceptions import RequestException

from workflows.audit import write_event
from workflows.models import ExternalIdentity
from workflows.sign_in import LoadsRoles, note_failure
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
_USERNAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")


class OidcBackend(LoadsRoles, OIDCAuthenticationBackend):  # type: ignore[misc]
    """A person is the (iss, sub) of a signed ID token: never an address or a name, which may change hands."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        """None for whatever the provider answers wrongly, or not at all: the sign-in page says what to do."""
        try:
            user: User | None = super().authenticate(request, **credentials)
        except (SuspiciousOperation, PyJWTError, RequestException) as error:
            logger.warning("sign-in by the identity provider failed: %r", error)
            user = None
        if user is None and request is not None and credentials.get("nonce"):
            note_failure(request, "identity provider", "")
        return user

    def verify_token(self, token: str, **more: Any) -> dict[str, Any]:
        """The library checks signature and nonce; who issued it, for whom and until when is checked here."""
        claims: dict[str, Any] = super().verify_token(token, **more)
        audience = claims.get("aud")
        audience = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != settings.OIDC_ISSUER or settings.OIDC_RP_CLIENT_ID not in audience:
            raise SuspiciousOperation("the ID token is not from our issuer, or not for us")
        if len(audience) > 1 and claims.get("azp") != settings.OIDC_RP_CLIENT_ID:
            raise SuspiciousOperation("the ID token was given to another client")
        if not isinstance(claims.get("exp"), int | float) or claims["exp"] < timezone.now().timestamp():
            raise SuspiciousOperation("the ID token is too old, or tells no end")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """What the provider says of the person; who it is stays what the signed token says."""
        info: dict[str, Any] = super().get_userinfo(access_token, id_token, payload)
        if info.get("sub") != payload.get("sub"):
            raise SuspiciousOperation("the provider answered about somebody else")
        return {**info, "iss": payload["iss"], "sub": payload["sub"]}

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        return isinstance(claims.get("sub"), str) and 0 < len(claims["sub"]) <= 255

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[User]:
        known = ExternalIdentity.objects.filter(issuer=claims["iss"], subject=claims["sub"])
        exact = [row.user_id for row in known if (row.issuer, row.subject) == (claims["iss"], claims["sub"])]
        return User.objects.filter(pk__in=exact)

    @write_transaction
    def create_user(self, claims: dict[str, Any]) -> User | None:
        """A new account, if its name is free and fit for one. A name that is taken belongs to somebody else until the
        administrator says otherwise (manage.py account --oidc-subject)."""
        name = str(claims.get(settings.OIDC_USERNAME_CLAIM, "")).lower()
        if not _USERNAME.fullmatch(name) or User.objects.filter(username=name).exists():
            logger.warning("no account was made for %r of the identity provider: the name is taken or unfit", name[:60])
            return None
        user = User.objects.create_user(username=name)
        link_identity(user, claims["iss"], claims["sub"])
        write_event("create-user", f"user {name}", after={"by": "oidc"})
        return user

    def update_user(self, user: User, claims: dict[str, Any]) -> User:
        return user


def link_identity(user: User, issuer: str, subject: str) -> None:
    ExternalIdentity.objects.create(user=user, issuer=issuer, subject=subject, created_at=timezone.now())
