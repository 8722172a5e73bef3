"""What the harness reads beside the ledgers, and when it calls itself satisfied: nothing may pass unseen."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.local_spool import LocalSpool
from executors.script import ATTEMPT_VARIABLE, INSTANCE_VARIABLE
from tests.chaos import killer
from tests.chaos.__main__ import main
from tests.chaos.facts import find_late_wrappers
from tests.chaos.harm import LivingJobs, find_victims, list_attempts
from tests.chaos.logs import LogWatch, find_accidents
from tests.chaos.plan import Fault
from tests.chaos.report import Report
from tests.services import EmbeddedServer
from tests.waiting import wait_until

TIME = "2026-11-23 21:55:02,520 "
TRACEBACK = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
FULL = "OSError: [Errno 28] No space left on device\n"


def make_report() -> Report:
    return Report(7, "test", jobs=60, next_wave=1)


def test_alarms_and_tracebacks_in_a_log_are_found() -> None:
    alarm = f"{TIME}ERROR ALARM: upstreams were miscounted"
    assert find_accidents(f"{TIME}INFO all is well\n{alarm}\n{TIME}INFO on we go\n") == [alarm]
    assert find_accidents(f"{TIME}ERROR x\n{TRACEBACK}ValueError: no\n") == [f"{TIME}ERROR x … ValueError: no"]
    assert find_accidents(f"{TRACEBACK}ValueError: no\n")
    assert find_accidents(f"{TIME}ERROR Internal Server Error: /api/v1/jobs/\n")
    assert find_accidents(f"{TIME}WARNING alarming numbers of jobs\n") == []


def test_a_chain_of_errors_is_one_accident() -> None:
    chain = f"{TIME}ERROR x\n{FULL}\nDuring handling of the above exception:\n\n{TRACEBACK}ValueError: no\n"
    assert find_accidents(chain) == [f"{TIME}ERROR x … ValueError: no"]


def test_a_fault_explains_its_own_errors_only() -> None:
    assert find_accidents(TRACEBACK + FULL, {"full-disk"}) == []
    assert find_accidents(TRACEBACK + FULL, {"kill worker", "restart-database"}) != []
    assert find_accidents(TRACEBACK + "ValueError: no\n", {"full-disk"}) != []
    gone = TRACEBACK + "django.db.utils.OperationalError: (2006, 'Server has gone away')\n"
    assert find_accidents(gone, {"cut-connections"}) == []
    assert find_accidents(gone, {"full-disk"}) != []
    assert find_accidents(f"{TIME}ALARM\n", {"full-disk"}) != []


def test_a_log_is_read_once_and_also_when_it_was_put_aside(tmp_path: Path) -> None:
    log, watch = tmp_path / "worker.log", LogWatch(tmp_path)
    log.write_text("one\n")
    assert list(watch.read_new()) == [("worker.log", "one\n")]
    log.write_text("one\ntwo\n")
    log.rename(tmp_path / "worker.log.1")
    log.write_text("3\n")
    assert list(watch.read_new()) == [("worker.log", "two\n"), ("worker.log", "3\n")]
    assert list(watch.read_new()) == [("worker.log", "")]


def test_a_kind_of_fault_that_never_met_anything_is_a_problem() -> None:
    report = make_report()
    report.missed["kill beat"] = report.missed["kill web"] = report.faults["kill web"] = 1
    report.note_vacuous()
    assert report.kinds == {"vacuous": 1}
    assert "kill beat" in report.problems[0]


def test_a_session_in_which_no_wrapper_met_a_void_is_not_clean() -> None:
    report = make_report()
    report.late_wrappers, report.sees_late_wrappers = 1, True
    report.note_vacuous()
    assert report.is_clean
    report.late_wrappers = 0
    report.note_vacuous()
    assert not report.is_clean


def test_a_session_without_jobs_is_not_clean() -> None:
    assert not Report(7, "test").is_clean


def test_a_report_goes_on_where_it_was() -> None:
    report = make_report()
    report.missed["flush"], report.points["in_kill"] = 2, 3
    report.note_problem(0, "unfinished", "job_1 is R")
    assert Report.from_json(report.as_json()) == report
    assert report.as_json()["lost"] == 1


def test_what_has_no_ledger_does_not_say_that_nothing_was_doubled() -> None:
    assert dict(Report(7, "dummy", keeps_ledger=False).rows())["jobs doubled"] == "not measured"


def test_the_program_fails_when_nothing_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["chaos", "--nightly", str(tmp_path)])
    monkeypatch.setattr("tests.chaos.__main__.EXECUTORS", ())
    assert main() == 1


def test_a_wrapper_that_came_after_the_void_is_seen_in_the_journal_and_the_token(tmp_path: Path) -> None:
    spool = LocalSpool(tmp_path)
    spool.create()
    spool.void([1, 2], "test")
    assert find_late_wrappers(tmp_path) == set()
    (tmp_path / "shepherd.journal").write_text('starting {"instance_id": 2}\nended 2\nended 3\n')
    assert find_late_wrappers(tmp_path) == {2}


@pytest.mark.parametrize("kind", ["kill", "stop", "flush"])
def test_what_is_not_there_is_not_harmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The server was never started."""
    monkeypatch.setattr(killer, "STRIKE_SECONDS", 0.2)
    strike = killer.Killer(EmbeddedServer(tmp_path / "home"), tmp_path / "fired").do(Fault(kind, 0.0, "worker"))
    assert not strike.has_struck


@pytest.fixture
def prefix() -> str:
    return f"jm{secrets.token_hex(4)}-"


@pytest.fixture
def attempt(prefix: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A wrapper with a command below it, as one server would have started it."""
    wrapper = tmp_path / "wrapper-0.sh"
    wrapper.write_text("sleep 300\necho $? >ended\n")
    environment = {**os.environ, ATTEMPT_VARIABLE: f"{prefix}7", INSTANCE_VARIABLE: "7"}
    process = subprocess.Popen(["/bin/sh", wrapper], env=environment, cwd=tmp_path, start_new_session=True)
    yield process
    for one in list_attempts(prefix):
        os.kill(one.pid, 9)
    process.wait()


def test_a_job_is_killed_and_its_wrapper_tells(attempt: subprocess.Popen[bytes], prefix: str, tmp_path: Path) -> None:
    wait_until(lambda: find_victims(prefix), what="the command runs")
    jobs = LivingJobs(prefix)
    jobs.begin("kill-job")
    assert jobs.has_struck()
    assert attempt.wait(30) == 0
    assert (tmp_path / "ended").read_text() == "137\n"
    assert jobs.harmed == {7}


def test_a_wrapper_is_killed_and_its_job_lives_on(attempt: subprocess.Popen[bytes], prefix: str) -> None:
    wait_until(lambda: find_victims(prefix), what="the command runs")
    jobs = LivingJobs(prefix)
    jobs.begin("kill-wrapper")
    assert attempt.wait(30) == -9
    assert jobs.harmed == {7}
    assert len(list_attempts(prefix)) == 1


def test_a_wrapper_that_was_stopped_goes_on_and_is_no_excuse(attempt: subprocess.Popen[bytes], prefix: str) -> None:
    wait_until(lambda: find_victims(prefix), what="the command runs")
    stat = Path(f"/proc/{attempt.pid}/stat")
    jobs = LivingJobs(prefix)
    jobs.begin("stop-wrapper")
    wait_until(lambda: ") T " in stat.read_text(), what="it stands still")
    jobs.end()
    wait_until(lambda: ") T " not in stat.read_text(), what="it goes on")
    assert jobs.harmed == set()


def test_where_nothing_lives_nothing_is_struck(prefix: str) -> None:
    jobs = LivingJobs(prefix)
    jobs.begin("kill-job")
    assert not jobs.has_struck()
