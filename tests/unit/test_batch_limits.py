"""What a batch executor is told of its site's limits, and what it tells the engine of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.base import Resources, Site
from executors.registry import create
from executors.spool import Spool


def make(folder: Path, **settings: str) -> object:
    return create("sge", Spool(folder), {f"JOBMON_SGE_{name}": text for name, text in settings.items()})


def test_the_engine_learns_the_limits(tmp_path: Path) -> None:
    executor = make(
        tmp_path, MAX_LIVE="70", MAX_MEMORY="256.5", MAX_RUNTIME="86400", ACCOUNTING_WAIT="7", REASON_INTERVAL="5"
    )
    assert executor.site == Site(70, 256.5, 86400, has_accounting=True, accounting_wait=7.0, reason_interval=5.0)


def test_without_settings_there_are_none_and_the_wait_is_short(tmp_path: Path) -> None:
    assert make(tmp_path).site == Site(
        5000, None, None, has_accounting=True, accounting_wait=20.0, reason_interval=60.0
    )


@pytest.mark.parametrize("seconds", ["-1", "inf", "nan"])
def test_a_pause_that_is_none(tmp_path: Path, seconds: str) -> None:
    with pytest.raises(ValueError, match=r"reason_interval: .* 0 for never"):
        make(tmp_path, REASON_INTERVAL=seconds)


def test_nothing_waits_longer_than_the_grace(tmp_path: Path) -> None:
    assert make(tmp_path, GRACE="5").site.accounting_wait == 5.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Resources(mem_free=8.0), None),
        (Resources(mem_free=8.5), "mem_free: 8.5 GB is more than sge gives (8 GB)"),
        (Resources(mem_free=1.0, max_runtime=3600), None),
        (Resources(mem_free=1.0, max_runtime=3601), "max_runtime: 3601 s is more than sge gives (3600 s)"),
        (Resources(mem_free=1.0, max_runtime=None), None),
    ],
)
def test_more_than_the_limits_is_refused(tmp_path: Path, given: Resources, words: str | None) -> None:
    assert make(tmp_path, MAX_MEMORY="8", MAX_RUNTIME="3600").refuse(given) == words


@pytest.mark.parametrize("name", ["MAX_LIVE", "MAX_MEMORY", "MAX_RUNTIME"])
def test_a_limit_of_nothing_is_a_mistake(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name.lower()}: .* must be above 0"):
        make(tmp_path, **{name: "0"})


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    said = make(tmp_path, BIN_DIR="/nowhere").check()
    assert said == "sge: there is no /nowhere/qsub; set JOBMON_SGE_BIN_DIR"


def test_the_check_speaks_of_the_spool_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    executor = create("sge", Spool(tmp_path / "file" / "spool"), {})
    assert "the spool needs a file system" in executor.check()
