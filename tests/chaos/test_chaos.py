"""The server is killed, stopped, emptied and restarted at random while people do everything twice. A failing seed is
printed; `python -m tests.chaos` replays it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.killer import POINTS
from tests.chaos.report import Report
from tests.chaos.servers import chaos_server
from tests.chaos.session import Session, Shape

SEED = int(os.environ.get("JOBMON_TEST_CHAOS_SEED", "20"))
# Each is passed on every way of a job; `in_kill` needs a kill that finds something alive, `after_void_link` an attempt
# that is given up before its submitter wakes, `in_recovery` an attempt under way when everything dies.
DEPENDS_ON_TIMING = {"in_kill", "after_void_link", "in_recovery"}


def run_session(folder: Path, seed: int, shape: Shape) -> Report:
    with chaos_server(folder) as server:
        database = "MariaDB" if "JOBMON_DB" in server.environment else "SQLite"
        report = Session(server, folder, Report(seed, database), shape, say=print).run()
        print(report.as_text())
        if not report.is_clean:
            print(server.last_words())
    return report


@pytest.mark.timeout(900)
@pytest.mark.xdist_group("chaos")
def test_twenty_rounds(tmp_path: Path) -> None:
    report = run_session(tmp_path / "chaos", SEED, Shape())
    assert report.is_clean, "\n".join(report.problems)
    assert report.rounds >= 20
    always = {point.partition(":")[0] for point in POINTS} - DEPENDS_ON_TIMING
    assert always <= report.points


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@pytest.mark.xdist_group("chaos")
def test_two_hundred_long_rounds(tmp_path: Path) -> None:
    """300 jobs each, 5 faults per 100 jobs of the wave that outlive it or not."""
    report = run_session(tmp_path / "chaos", SEED + 1, Shape(jobs=300, waves=50, faults=60))
    assert report.is_clean, "\n".join(report.problems)
    assert report.rounds >= 200
