"""Pure: what a mail says. Plain text; links instead of commands and logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workflows.directions import FENCE, fenced

MOST_LINES = 50
CONFIRM_SUBJECT = "Jobmon: confirm your address"
_CONFIRM = """\
Somebody, most likely you ({name}), asked Jobmon at {site} to send mail about workflows to this address.

To confirm that it is yours, open this page and press the button. You have to be signed in as {name}:

  {link}

The link works for 24 hours. If you did not ask for this, do nothing: no further mail will come here.
"""
_DIGEST = """\
{lines}
What you are told, and how often: {site}/account/mail/
"""


@dataclass(frozen=True, slots=True)
class Item:
    """One event: a sentence and the path of its page."""

    words: str
    path: str


@dataclass(frozen=True, slots=True)
class Mail:
    subject: str
    body: str


def one_line(text: str) -> str:
    """Names come from users: a line break in one must not make a header or a line of its own."""
    return " ".join("".join(letter if letter.isprintable() or letter == FENCE else " " for letter in text).split())


def write_digest(items: Sequence[Item], site: str) -> Mail:
    """One mail for all of these."""
    shown = items[:MOST_LINES]
    lines = "".join(f"{one_line(item.words)}\n  {site}{item.path}\n\n" for item in shown)
    if len(items) > MOST_LINES:
        lines += f"… and {len(items) - MOST_LINES} more: {site}/workflows/?mine=1\n\n"
    first = one_line(items[0].words)
    subject = first if len(items) == 1 else f"{len(items)} events: {first}"
    return Mail(f"Jobmon: {subject[:150]}", _DIGEST.format(lines=lines, site=site))


def write_confirmation(name: str, code: str, site: str) -> Mail:
    link = f"{site}/account/mail/confirm/?code={code}"
    return Mail(CONFIRM_SUBJECT, _CONFIRM.format(name=one_line(fenced(name)), site=site, link=link))
