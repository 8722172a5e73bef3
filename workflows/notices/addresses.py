"""A person's address and wishes: stored, proven by a link in a first mail, changed, forgotten."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from workflows.actor import Actor
from workflows.audit import write_audit
from workflows.models import MailSettings
from workflows.models.notices import RUN_ENDS
from workflows.transactions import write_transaction

CODE_LASTS = timedelta(hours=24)
CODE_GAP = timedelta(minutes=5)


class Refused(Exception):
    """What is wrong with what the person typed, as a sentence."""


@dataclass(frozen=True, slots=True)
class Wishes:
    address: str
    run_ends: str
    tells_new_errors: bool
    tells_stalls: bool


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def find_settings(user: User) -> MailSettings:
    """What this person has chosen; not stored for one who has chosen nothing yet."""
    found = MailSettings.objects.filter(pk=user.pk).first()
    return found or MailSettings(user=user, address="", since=timezone.now())


def check_wishes(wishes: Wishes) -> None:
    """Raises Refused."""
    if wishes.run_ends not in RUN_ENDS:
        raise Refused("Choose which ends of runs you want to hear of.")
    if not wishes.address:
        return
    try:
        validate_email(wishes.address)
    except ValidationError:
        raise Refused("That is no e-mail address; nothing was saved.") from None
    if len(wishes.address) > 254:
        raise Refused("That address is too long; nothing was saved.")


@write_transaction
def save_wishes(actor: Actor, wishes: Wishes) -> bool:
    """Store them; whether the address has to be proven (again). Raises Refused."""
    check_wishes(wishes)
    now = timezone.now()
    MailSettings.objects.get_or_create(user=actor.user, defaults={"since": now})
    old = MailSettings.objects.select_for_update().get(pk=actor.user.pk)
    before = Wishes(old.address, old.run_ends, old.tells_new_errors, old.tells_stalls)
    is_new = wishes.address != old.address
    has_to_prove = bool(wishes.address) and (is_new or old.verified_at is None)
    old.address, old.run_ends = wishes.address, wishes.run_ends
    old.tells_new_errors, old.tells_stalls = wishes.tells_new_errors, wishes.tells_stalls
    if wishes != before:
        old.since = now
    if is_new:
        old.verified_at, old.code_hash = None, ""
    if has_to_prove:
        old.code_wanted_at = now
    old.save()
    write_audit(
        actor, "mail-settings", f"user {actor.name}", before={"run_ends": before.run_ends},
        after={"run_ends": wishes.run_ends, "address_changed": is_new},
    )  # fmt: skip
    return has_to_prove


def find_wanted_codes() -> list[int]:
    """People who wait for the mail with their link."""
    rested = Q(code_sent_at=None) | Q(code_sent_at__lte=timezone.now() - CODE_GAP)
    return list(
        MailSettings.objects.filter(rested, user__is_active=True)
        .exclude(code_wanted_at=None)
        .values_list("pk", flat=True)
    )


@write_transaction
def claim_code(user_id: int) -> tuple[str, str] | None:
    """(address, code) for the first mail, once; None if nobody waits for it, or the last one is too fresh."""
    now = timezone.now()
    found = MailSettings.objects.select_for_update().filter(pk=user_id).exclude(code_wanted_at=None).first()
    if found is None or not found.address or (found.code_sent_at and found.code_sent_at > now - CODE_GAP):
        return None
    code = secrets.token_urlsafe(24)
    MailSettings.objects.filter(pk=user_id).update(code_hash=_hash(code), code_sent_at=now, code_wanted_at=None)
    return found.address, code


@write_transaction
def want_code_again(user_id: int) -> None:
    """The mail server did not take the mail with the link: again after a while."""
    MailSettings.objects.filter(pk=user_id, verified_at=None).update(code_wanted_at=timezone.now())


@write_transaction
def confirm_address(actor: Actor, code: str) -> bool:
    """Whether the code is that of this person's address; it works once, and not for ever."""
    found = MailSettings.objects.select_for_update().filter(pk=actor.user.pk).first()
    now = timezone.now()
    if found is None or not found.code_hash or not constant_time_compare(found.code_hash, _hash(code)):
        return False
    if found.code_sent_at is None or found.code_sent_at < now - CODE_LASTS:
        return False
    MailSettings.objects.filter(pk=actor.user.pk).update(verified_at=now, since=now, code_hash="", code_wanted_at=None)
    write_audit(actor, "confirm-mail", f"user {actor.name}")
    return True
