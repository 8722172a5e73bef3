"""The server is killed, stopped, emptied and restarted at random while people do everything twice, the disk fills, the
clock jumps, the database and the batch system misbehave. A failing seed is printed; `python -m tests.chaos` replays it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.clock import SteppedClock
from tests.chaos.report import Report
from tests.chaos.servers import chaos_server
from tests.chaos.session import Session, Shape
from tests.chaos.troubles import SmallDisk
from tests.services import Unavailable

SEED = int(os.environ.get("JOBMON_TEST_CHAOS_SEED", "20"))
# Each is passed on every way of a job; `in_kill` needs a kill that finds something alive, `after_void_link` an attempt
# that is given up before its submitter wakes, `in_recovery` an attempt under way when everything dies.
DEPENDS_ON_TIMING = {"in_kill", "after_void_link", "in_recovery"}


SHORT = Shape(jobs=40, waves=2, together=10, faults=12)


def run_session(folder: Path, seed: int, shape: Shape, executor: str = "local") -> tuple[Report, set[str]]:
    """The report, and the fault points on the way of the jobs."""
    with chaos_server(folder, executor) as target:
        report = Report(seed, target.title, missing=target.missing, keeps_ledger=target.work.keeps_ledger)
        Session(target, folder, report, shape, say=print).run()
        print(report.as_text())
        if not report.is_clean:
            print(target.server.last_words())
        return report, set(target.points)


@pytest.mark.timeout(900)
@pytest.mark.first
def test_twenty_rounds(tmp_path: Path) -> None:
    report, points = run_session(tmp_path / "chaos", SEED, SHORT)
    assert report.is_clean, "\n".join(report.problems)
    assert report.rounds >= 20
    assert points - DEPENDS_ON_TIMING <= report.points.keys()


def test_the_disk_can_be_filled_and_the_clock_stepped_here(tmp_path: Path) -> None:
    """Where they cannot, the rounds above lack these faults: that must not pass unseen."""
    try:
        SteppedClock(tmp_path / "clock")
        with SmallDisk(tmp_path / "disk").mounted() as disk:
            (tmp_path / "disk" / "before").write_bytes(b"x" * 10_000)
            disk.begin("full-disk")
            with pytest.raises(OSError, match="No space left"):
                (tmp_path / "disk" / "more").write_bytes(b"x" * 10_000_000)
            disk.end()
            (tmp_path / "disk" / "more").write_bytes(b"x" * 10_000_000)
    except Unavailable as error:
        pytest.skip(f"chaos without {error}")
