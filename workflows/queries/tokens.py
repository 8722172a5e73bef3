"""Reads of tokens. What a token is worth is not among it: only a hash of that is stored, and it is never read here."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet

from workflows.models import ApiToken
from workflows.queries.keyset import Order

NEWEST_TOKEN = Order("id", is_descending=True)


def tokens_of_others(user: User) -> QuerySet[ApiToken]:
    """All that are not revoked, but this person's own."""
    return ApiToken.objects.filter(revoked_at=None).exclude(user=user).select_related("user").defer("secret_hash")
