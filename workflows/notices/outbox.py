"""The outbox: who is due for a mail, what goes into it, and what became of it.

A notice is claimed ("sending") in a committed transaction before the mail server is asked. What the server refused waits
for another try; what it may have taken although nobody heard of it ("unsure") is not sent again: never twice."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from workflows.models import MailSettings, Notice
from workflows.notices.text import Item
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
MOST_TRIES = 30
LONGEST_PAUSE = timedelta(hours=1)
CLAIM_LASTS = timedelta(minutes=10)
MOST_IN_A_MAIL = 200


@dataclass(frozen=True, slots=True)
class Digest:
    """One mail to be sent now; its notices are claimed."""

    id: str
    user_id: int
    address: str
    items: list[Item]


def _due(now: datetime) -> Q:
    return Q(state="waiting") & (Q(next_try_at=None) | Q(next_try_at__lte=now))


def find_due() -> list[int]:
    """People for whom a mail may go out now."""
    now = timezone.now()
    rested = Q(user__mail_settings__last_mail_at=None) | Q(
        user__mail_settings__last_mail_at__lte=now - timedelta(minutes=settings.MAIL_MINUTES)
    )
    due = Notice.objects.filter(_due(now), rested).exclude(user__mail_settings__verified_at=None)
    return list(due.order_by("user_id").values_list("user_id", flat=True).distinct())


@write_transaction
def claim_digest(user_id: int) -> Digest | None:
    """Take all that waits for this person. None: nothing does, or their last mail is too fresh. The person's row is
    the lock: of two workers one gets the notices."""
    now = timezone.now()
    wishes = MailSettings.objects.select_for_update().select_related("user").filter(pk=user_id).first()
    if wishes is None or wishes.verified_at is None or not wishes.user.is_active:
        return None
    if wishes.last_mail_at and wishes.last_mail_at > now - timedelta(minutes=settings.MAIL_MINUTES):
        return None
    notices = list(Notice.objects.filter(_due(now), user_id=user_id).order_by("pk")[:MOST_IN_A_MAIL])
    if not notices:
        return None
    digest = uuid.uuid4().hex
    claimed = Notice.objects.filter(pk__in=[notice.pk for notice in notices], state="waiting")
    claimed.update(state="sending", state_at=now, digest=digest, tries=F("tries") + 1)
    MailSettings.objects.filter(pk=user_id).update(last_mail_at=now)
    return Digest(digest, user_id, wishes.address, [Item(notice.words, notice.path) for notice in notices])


@write_transaction
def note_sent(digest: Digest) -> None:
    Notice.objects.filter(digest=digest.id, state="sending").update(
        state="sent", state_at=timezone.now(), trouble="", next_try_at=None
    )


@write_transaction
def note_refused(digest: Digest, words: str) -> None:
    """The mail server did not take it: again later, ever more seldom, and after a day or so no more."""
    now = timezone.now()
    ours = Notice.objects.filter(digest=digest.id, state="sending")
    tries = max(ours.values_list("tries", flat=True), default=1)
    ours.filter(tries__gte=MOST_TRIES).update(state="given-up", state_at=now, trouble=words[:200])
    pause = min(timedelta(minutes=2 ** min(tries - 1, 10)), LONGEST_PAUSE)
    ours.update(state="waiting", state_at=now, next_try_at=now + pause, trouble=words[:200])


@write_transaction
def note_unsure(digest: Digest, words: str) -> None:
    Notice.objects.filter(digest=digest.id, state="sending").update(
        state="unsure", state_at=timezone.now(), trouble=words[:200]
    )


def settle_old_claims() -> int:
    """A worker died while it sent: whether the mail went out is not known, so it is not sent again."""
    old = Notice.objects.filter(state="sending", state_at__lt=timezone.now() - CLAIM_LASTS)
    if not old.exists():
        return 0
    settled = _settle(timezone.now())
    logger.warning("%d notices: their worker ended while it sent them; they are not sent again", settled)
    return settled


@write_transaction
def _settle(now: datetime) -> int:
    old = Notice.objects.filter(state="sending", state_at__lt=now - CLAIM_LASTS)
    return old.update(state="unsure", state_at=now, trouble="the worker ended while it sent this")
