"""Pieces of logs that workers read as their owners: however fast somebody pages through one, workers have time for jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from workflows import owner_logs
from workflows.models import LogPiece
from workflows.owner_logs import MOST_OF_ATTEMPT, MOST_WAITING, Wanted, answer, ask

pytestmark = pytest.mark.django_db
LONG_AGO = 2 * timedelta(hours=1)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine must not decide."""
    monkeypatch.setattr(owner_logs, "ASK_AGAIN", LONG_AGO / 2)


def ask_for(attempt: int, offset: int) -> int | None:
    return ask(Wanted(attempt, "stdout", offset, 1000))


def test_one_log_takes_few_places() -> None:
    asked = [ask_for(1, offset) for offset in range(MOST_OF_ATTEMPT)]
    assert None not in asked
    assert ask_for(1, 99) is None, "nothing is rung for"
    assert not LogPiece.objects.filter(offset=99).exists()
    assert ask_for(2, 0) is not None, "another log has its own places"
    answer(asked[0] or 0, data=b"x")
    assert ask_for(1, 99) is not None, "the place of one that was read is free"


def test_all_logs_together_take_few_places() -> None:
    assert None not in [ask_for(attempt, 0) for attempt in range(MOST_WAITING)]
    assert ask_for(100, 0) is None
    LogPiece.objects.update(asked_at=timezone.now() - LONG_AGO)
    assert ask_for(100, 0) is not None, "bells that were lost hold no place for long"


def test_what_waits_itself_is_not_counted_against_itself() -> None:
    for offset in range(MOST_OF_ATTEMPT):
        ask_for(1, offset)
    first = LogPiece.objects.order_by("pk")[0]
    LogPiece.objects.filter(pk=first.pk).update(asked_at=timezone.now() - LONG_AGO)
    assert ask_for(1, 0) == first.pk
