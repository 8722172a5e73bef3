"""Hands one mail to the mail server of the settings, and tells what is known of its fate."""

from __future__ import annotations

import contextlib
import smtplib
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from workflows.notices.text import Mail


class Fate(StrEnum):
    SENT = "sent"
    REFUSED = "refused"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Outcome:
    fate: Fate
    words: str = ""


def send(mail: Mail, address: str, message_id: str) -> Outcome:
    """Never raises what a mail server or the way to it may bring about. No transaction is open meanwhile."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"
    headers = {
        "Message-ID": f"<{message_id}@{domain}>", "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All",
    }  # fmt: skip
    connection = get_connection()
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        return Outcome(Fate.REFUSED, f"The mail server cannot be reached: {_words(error)}")
    message = EmailMessage(mail.subject, mail.body, to=[address], headers=headers, connection=connection)
    try:
        message.send()
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        return Outcome(Fate.REFUSED, f"The mail server refused it: {_words(error)}")
    except (OSError, smtplib.SMTPException) as error:
        return Outcome(Fate.UNSURE, f"The mail server went away: {_words(error)}")
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            connection.close()
    return Outcome(Fate.SENT)


def _words(error: Exception) -> str:
    """Without the address: these words are shown and logged."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return ", ".join(str(code) for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return str(error.smtp_code)
    return (getattr(error, "strerror", None) or type(error).__name__)[:120]
