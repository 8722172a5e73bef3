"""How many exports one person may have running at once. Each holds a lock on a file of this machine as long as it sends;
with the process the lock goes too, so that nobody is kept out by what a crash has left."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User

logger = logging.getLogger(__name__)


class TooManyExports(Exception):
    """This person's exports are all running; the words say so."""


class HeldLines:
    """The lines of an export with its place. Django closes it when all is sent, or the reader has gone away."""

    def __init__(self, lines: Iterable[str], place: int | None) -> None:
        self._lines = iter(lines)
        self._place = place

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def close(self) -> None:
        if self._place is not None:
            os.close(self._place)
            self._place = None

    def __del__(self) -> None:
        self.close()


def hold(user: User, lines: Iterable[str]) -> HeldLines:
    """The lines, with a place for them. Raises TooManyExports."""
    most = settings.QUOTA_EXPORTS
    if not most:
        return HeldLines(lines, None)
    try:
        place = _take(Path(settings.EXPORT_PLACES), user.pk, most)
    except OSError as error:
        logger.warning("exports are not counted: %s", error)
        return HeldLines(lines, None)
    if place is None:
        raise TooManyExports(
            f"You have {most} exports running, as many as one person may have at once. Wait until one has ended."
            if most > 1
            else "Another export of yours is running; one person may have one at a time. Wait until it has ended."
        )
    return HeldLines(lines, place)


def _take(folder: Path, user_id: int, most: int) -> int | None:
    """A descriptor that holds one of this person's places; None: all are taken. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(most):
        place = os.open(folder / f"{user_id}.{number}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(place)
        else:
            return place
    return None
