"""Whether the database has come as far as its spool. A database that was restored from a backup has not: it believes in
jobs that have long run, and would run them again. Until `manage.py recover` has looked, nothing starts.

The number in the database rises with every sweep. The spool gets that of a few sweeps before, so that a machine that
loses its last moments with its power needs nobody; a backup is older than that."""

from __future__ import annotations

import logging
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import F

from workflows.models import DatabaseEpoch
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
LAG = 2
LOOK_EVERY = 1.0
_fine_until: dict[Path, float] = {}


@dataclass(frozen=True, slots=True)
class Epoch:
    """`identity` names the database; `number` says how far it has come."""

    identity: str
    number: int


def _file() -> Path:
    return Path(settings.SPOOL) / "epoch"


def read_spool() -> Epoch | None:
    """What the spool remembers; None: nothing yet. Raises OSError."""
    try:
        identity, number = _file().read_text(encoding="ascii").split()
        return Epoch(identity, int(number))
    except (FileNotFoundError, ValueError, UnicodeDecodeError):
        return None


def read_database() -> Epoch | None:
    row = DatabaseEpoch.objects.filter(pk=1).values_list("identity", "number").first()
    return Epoch(*row) if row is not None else None


def is_behind() -> bool:
    """Whether the spool has seen more of this database than the database itself, or another database."""
    remembered = read_spool()
    if remembered is None:
        return False
    now = read_database()
    return now is None or now.identity != remembered.identity or now.number < remembered.number


def may_start() -> bool:
    """Asked before anything starts. A good answer holds for a second: nobody restores under a running worker."""
    path, now = _file(), time.monotonic()
    if now < _fine_until.get(path, 0.0):
        return True
    if is_behind():
        return False
    _fine_until[path] = now + LOOK_EVERY
    return True


def forget() -> None:
    """Look anew at the next question."""
    _fine_until.clear()


def move_on() -> None:
    """Once per sweep: one step further here, and then in the spool."""
    if is_behind():
        logger.error("ALARM: %s", sentence())
        return
    _write(_step(), LAG)


def catch_up() -> None:
    """The end of a recovery: the database is again the one that belongs to the spool."""
    remembered = read_spool()
    if remembered is not None:
        _adopt(remembered)
    _write(_step(), 0)


def sentence() -> str:
    return (
        f"The database is older than the spool {settings.SPOOL}, as after a restore from a backup: nothing more is "
        "submitted before `manage.py recover` has looked at what ran since (docs/backup.md). What was submitted goes on."
    )


@write_transaction
def _step() -> Epoch:
    DatabaseEpoch.objects.get_or_create(pk=1, defaults={"identity": secrets.token_hex(8)})
    DatabaseEpoch.objects.filter(pk=1).update(number=F("number") + 1)
    identity, number = DatabaseEpoch.objects.values_list("identity", "number").get(pk=1)
    return Epoch(identity, number)


@write_transaction
def _adopt(remembered: Epoch) -> None:
    DatabaseEpoch.objects.update_or_create(
        pk=1, defaults={"identity": remembered.identity, "number": remembered.number + LAG}
    )


def _write(epoch: Epoch, lag: int) -> None:
    """Another process may write a lower number after ours: the spool lags a little more, that is all."""
    if epoch.number <= lag:
        return
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".epoch.{os.getpid()}.{secrets.token_hex(4)}")
    temporary.write_text(f"{epoch.identity} {epoch.number - lag}\n", encoding="ascii")
    temporary.replace(path)
