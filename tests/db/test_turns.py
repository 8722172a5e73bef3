"""Who writes again and again lets others write in between: the locks are files, so this is about processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from tests.waiting import wait_until
from workflows import binding, transactions
from workflows.models import IdSequence

# Writes a dot for each turn that it has had, and holds each for as long as it takes to read a file some thousand times.
GREEDY = """
import os, sys
from workflows import transactions
while True:
    lock = transactions._take_turn(sys.argv[1])
    for _ in range(3000):
        open(sys.argv[1]).close()
    os.write(1, b".")
    os.close(lock)
"""


@contextmanager
def greedy_writer(lock: Path, turns: Path) -> Iterator[None]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "jobmon_site.settings"}
    with turns.open("wb") as told:
        process = subprocess.Popen([sys.executable, "-c", GREEDY, str(lock)], stdout=told, env=environment)
    try:
        wait_until(lambda: turns.stat().st_size > 2, what="the greedy writer writes")
        yield
    finally:
        process.kill()
        process.wait()


def test_a_greedy_writer_lets_others_have_their_turn(tmp_path: Path) -> None:
    lock, turns = tmp_path / "writer", tmp_path / "turns"
    ours = 20
    theirs = 0
    with greedy_writer(lock, turns):
        for _ in range(ours):
            before = turns.stat().st_size
            held = transactions._take_turn(str(lock))
            theirs += turns.stat().st_size - before  # only while we wait: a busy machine may not let us wait at once
            os.close(held)
    assert theirs <= 10 * ours


@pytest.fixture
def lock_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "writer")
    monkeypatch.setattr(transactions, "_lock_file", lambda: path)
    return path


@pytest.mark.django_db(transaction=True)
def test_a_long_writer_stays_away_only_while_somebody_waits(lock_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions._lock, "held", 0.02, raising=False)
    assert transactions.give_way() == 0
    held = transactions._take_turn(lock_path)  # somebody else's turn
    try:
        assert transactions.give_way() == 0.02
        monkeypatch.setattr(transactions, "LONGEST_ABSENCE", 0.01)
        assert transactions.give_way() == 0.01
    finally:
        os.close(held)


@pytest.mark.django_db(transaction=True)
def test_a_turn_is_timed_and_left(lock_path: str) -> None:
    with transactions._writer_turn():
        assert transactions._is_somebody_waiting(lock_path)
    assert not transactions._is_somebody_waiting(lock_path)
    assert transactions.last_turn_seconds() > 0
    connection.close()


@pytest.mark.parametrize(
    ("size", "seconds", "following"),
    [
        (5000, 0.1, 5000),
        (5000, 0.41, 2500),
        (1200, 3.0, 1000),
        (1000, 3.0, 1000),
        (1000, 0.2, 1000),
        (1000, 0.05, 2000),
    ],
)
def test_a_slow_disk_makes_transactions_smaller(size: int, seconds: float, following: int) -> None:
    assert binding.choose_size(size, seconds) == following


@pytest.mark.django_db(transaction=True)
def test_a_transaction_whose_connection_is_gone_runs_again() -> None:
    """It was cut, and the database was away for so long that no other could be made at once."""
    calls: list[int] = []

    @transactions.write_transaction
    def act() -> int:
        calls.append(1)
        if len(calls) == 1:
            connection.close()
            gone = (2006, "Server has gone away") if connection.vendor == "mysql" else ("database is locked",)
            raise OperationalError(*gone)
        return IdSequence.objects.count()

    assert act() >= 0
    assert len(calls) == 2
