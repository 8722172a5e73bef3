"""Tokens for scripts, one-time links for browsers, and the one user of the embedded default."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import ApiToken, SignInLink
from workflows.roles import keep_roles
from workflows.transactions import write_transaction

TOKEN_PREFIX = "jm_"  # noqa: S105
LOOKUP_CHARACTERS = 8
LINK_MINUTES = 10
SCOPES = ("read", "submit", "operate")
_USED_EVERY = timedelta(minutes=5)


def _hash(secret: str) -> str:
    """The secret has 256 random bits: a plain hash is as good as a slow one."""
    return hashlib.sha256(secret.encode()).hexdigest()


@write_transaction
def create_token(
    user: User,
    name: str,
    scope: str = "operate",
    expires_in: timedelta | None = None,
    actor: Actor | None = None,
    not_after: datetime | None = None,
) -> str:
    """Make a token and answer its full text, which cannot be had again. `not_after`: the end of the token that makes it."""
    prefix = secrets.token_hex(LOOKUP_CHARACTERS // 2)
    secret = secrets.token_urlsafe(32)
    now = timezone.now()
    ends_at = None if expires_in is None else now + expires_in
    ApiToken.objects.create(
        user=user,
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scope=scope,
        created_at=now,
        expires_at=min((moment for moment in (ends_at, not_after) if moment is not None), default=None),
    )
    if actor is not None:
        write_audit(actor, "make-token", f"token {prefix}", after={"name": name, "scope": scope})
    return f"{TOKEN_PREFIX}{prefix}{secret}"


def find_token(text: str) -> ApiToken | None:
    """The valid token with this text, whose user may come in, or None."""
    if not text.startswith(TOKEN_PREFIX) or len(text) > 200:
        return None
    prefix = text[len(TOKEN_PREFIX) :][:LOOKUP_CHARACTERS]
    secret = text[len(TOKEN_PREFIX) + LOOKUP_CHARACTERS :]
    token = _find_row(prefix)
    if token is None or not constant_time_compare(token.secret_hash, _hash(secret)):
        return None
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return None
    return token if token.user.is_active else None


def _find_row(prefix: str) -> ApiToken | None:
    """The token with its person, and the person's roles: one query, a row for each group."""
    tokens = ApiToken.objects.select_related("user").filter(prefix=prefix, revoked_at=None)
    rows = list(tokens.annotate(in_group_id=F("user__groups__id"), in_group=F("user__groups__name")))
    if not rows:
        return None
    keep_roles(rows[0].user, [(row.in_group_id, row.in_group) for row in rows])
    return rows[0]


def note_token_use(token: ApiToken, address: str) -> None:
    """Remember when and from where, at most every few minutes: a poll must not write."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _USED_EVERY or token.last_used_from != address:
        _store_token_use(token.pk, address)


@write_transaction
def _store_token_use(token_id: int, address: str) -> None:
    ApiToken.objects.filter(pk=token_id).update(last_used_at=timezone.now(), last_used_from=address[:64])


@write_transaction
def revoke_token(user: User, prefix: str, actor: Actor | None = None) -> bool:
    """Whether there was such a token of this user."""
    tokens = ApiToken.objects.filter(user=user, prefix=prefix, revoked_at=None)
    is_revoked = tokens.update(revoked_at=timezone.now()) == 1
    if is_revoked and actor is not None:
        of_another = {} if actor.user == user else {"owner": user.get_username()}
        write_audit(actor, "revoke-token", f"token {prefix}", before=of_another)
    return is_revoked


@write_transaction
def make_sign_in_link(user: User, actor: Actor | None = None) -> str:
    """A code that signs this user's browser in once, within ten minutes."""
    code = secrets.token_urlsafe(32)
    now = timezone.now()
    SignInLink.objects.filter(expires_at__lt=now).delete()
    SignInLink.objects.create(user=user, code_hash=_hash(code), expires_at=now + timedelta(minutes=LINK_MINUTES))
    if actor is not None:
        write_audit(actor, "make-sign-in-link", f"user {user.get_username()}"[:64])
    return code


@write_transaction
def use_sign_in_link(code: str) -> User | None:
    """The user whose unused, unexpired link this is; the link is spent."""
    now = timezone.now()
    links = SignInLink.objects.filter(code_hash=_hash(code), used_at=None, expires_at__gt=now)
    link = links.select_related("user").first()
    if link is None or not link.user.is_active or links.update(used_at=now) != 1:
        return None
    return link.user


@write_transaction
def ensure_local_user() -> User:
    """The one person of the embedded default: whoever runs the server."""
    user, created = User.objects.get_or_create(
        username=getpass.getuser(), defaults={"is_staff": True, "is_superuser": True}
    )
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def ensure_token_file(path: Path, user: User) -> str:
    """The token that the local client finds in a private file (0600); made anew when it does not work any more."""
    try:
        text = path.read_text(encoding="utf-8").strip()
        if find_token(text) is not None:
            return text
        path.unlink()
    except FileNotFoundError:
        pass
    text = create_token(user, "this machine")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return text
