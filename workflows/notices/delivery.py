"""What the mail tasks do: one digest, one first mail, and who is due for either."""

from __future__ import annotations

import logging
import uuid

from django.conf import settings
from django.contrib.auth.models import User

from workflows.notices import addresses, outbox
from workflows.notices.events import gather_notices, is_mail_set_up
from workflows.notices.sending import Fate, send
from workflows.notices.text import write_confirmation, write_digest

logger = logging.getLogger(__name__)
DELIVER_TASK = "workflows.tasks.deliver"
CONFIRM_TASK = "workflows.tasks.send_code"


def sweep_mail() -> list[tuple[str, int]]:
    """Once per sweep: new notices go into the outbox; which task has to run for whom."""
    if not is_mail_set_up():
        return []
    gather_notices()
    outbox.settle_old_claims()
    due = [(DELIVER_TASK, user_id) for user_id in outbox.find_due()]
    return due + [(CONFIRM_TASK, user_id) for user_id in addresses.find_wanted_codes()]


def deliver(user_id: int) -> Fate | None:
    """Send what waits for this person as one mail. None: nothing was to be sent."""
    digest = outbox.claim_digest(user_id) if is_mail_set_up() else None
    if digest is None:
        return None
    outcome = send(write_digest(digest.items, settings.SITE_URL), digest.address, digest.id)
    if outcome.fate is Fate.SENT:
        outbox.note_sent(digest)
    elif outcome.fate is Fate.REFUSED:
        outbox.note_refused(digest, outcome.words)
    else:
        outbox.note_unsure(digest, outcome.words)
    if outcome.fate is not Fate.SENT:
        logger.warning("mail %s of user %d: %s", digest.id, user_id, outcome.words)
    return outcome.fate


def send_code(user_id: int) -> Fate | None:
    """Send the link that proves an address."""
    claimed = addresses.claim_code(user_id) if is_mail_set_up() else None
    if claimed is None:
        return None
    address, code = claimed
    name = User.objects.values_list("username", flat=True).get(pk=user_id)
    outcome = send(write_confirmation(name, code, settings.SITE_URL), address, uuid.uuid4().hex)
    if outcome.fate is not Fate.SENT:
        logger.warning("first mail of user %d: %s", user_id, outcome.words)
        addresses.want_code_again(user_id)
    return outcome.fate
