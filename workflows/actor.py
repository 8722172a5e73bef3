"""Who acts, and by which way: carried from the request to the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class Actor:
    """`via` is one of page, api, system, time-out."""

    user: User
    via: str
    token_prefix: str = ""
    address: str = ""
    request_id: str = ""

    @property
    def name(self) -> str:
        return self.user.get_username()
