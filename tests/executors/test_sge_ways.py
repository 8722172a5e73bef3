"""Grid Engine's own ways: site defaults, jobs that it runs again, numbers that begin again, a qmaster that hangs."""

# ruff: noqa: F811 - fixtures are taken by their names
from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executors.base import ExecutorUnavailable, Listed, Phase, TokenKind
from tests.executors.batch_harness import (  # noqa: F401 - fixtures
    SgeHarness,
    make_sge,
    ref,
    tmp_path,
)
from tests.executors.cluster import (
    RECOVERY,
    SgeCluster,
    write_waiting_program,
)
from tests.executors.contract import check_late_submission, evidence, run
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.first, pytest.mark.timeout(300)]


@pytest.fixture
def harness(make_sge: Any) -> SgeHarness:
    return make_sge()


@contextmanager
def site_defaults(cluster: SgeCluster, *lines: str) -> Iterator[None]:
    """The cell's file of options for every qsub."""
    path = cluster.root / "default" / "common" / "sge_request"
    path.write_text("\n".join(lines) + "\n")
    try:
        yield
    finally:
        path.unlink()


def test_the_sites_defaults_do_not_reach_our_jobs(harness: SgeHarness, tmp_path: Path) -> None:
    """Each of these alone would spoil a submission: another name, a queue that is not there, a hold, reruns, mails."""
    with site_defaults(harness.cluster, "-N other", "-q nosuch.q", "-h", "-r y", f"-o {tmp_path}/stray", "-v A=1,B=2"):
        assert 'unknown queue "nosuch.q"' in harness.cluster.command("qsub", "-b", "y", "/bin/true", user=True)
        spec = harness.spec('echo "[$A$B]"')
        (found,) = run(harness, spec)
    assert found.exit is not None
    assert found.exit.code == 0
    assert harness.executor.store.tail(spec.instance_id, "stdout", 10) == b"[]\n"
    assert not (tmp_path / "stray").exists()


def test_a_job_that_is_run_again_starts_nothing(harness: SgeHarness, tmp_path: Path) -> None:
    """Ours may not be rerun; somebody who changes that gets a second start, which loses the token and ends."""
    spec = harness.spec(f"echo started >>{tmp_path}/ledger; exec sleep 1000")
    job = harness.executor.submit([spec]).accepted[spec.name]
    harness.wait_for_phase(spec.name, Phase.RUNNING)
    before = evidence(harness, spec).token
    harness.cluster.command("qmod", "-rj", job)
    assert harness.executor.poll()[spec.name].phase is Phase.RUNNING  # refused: `-r n`
    harness.cluster.command("qalter", "-r", "y", job)
    harness.cluster.command("qmod", "-rj", job)
    harness.wait_for_end([spec.name])
    assert (tmp_path / "ledger").read_text() == "started\n"
    found = evidence(harness, spec)
    assert (found.token, found.exit) == (before, None)
    assert harness.wait_for_accounting([spec])[spec.name].exit_code == 0  # of the second start: no proof of success


def test_numbers_that_begin_again(harness: SgeHarness) -> None:
    """They end at 9,999,999. An old job with the number of a new one is neither found nor believed."""
    old = harness.spec("exit 3")
    run(harness, old)
    _restart_numbering_at(harness.cluster, 9_999_997)
    specs = [harness.spec(f"exit {number}") for number in range(6)]
    accepted = harness.executor.submit(specs).accepted
    numbers = [int(accepted[spec.name]) for spec in specs]
    assert max(numbers) > 9_999_990
    assert min(numbers) < 10
    harness.wait_for_end([spec.name for spec in specs])
    infos = harness.wait_for_accounting([*specs, old])
    assert [infos[spec.name].exit_code for spec in specs] == [0, 1, 1, 1, 1, 1]
    assert infos[old.name].exit_code == 1
    codes = [found.exit.code for spec in specs if (found := evidence(harness, spec)).exit is not None]
    assert codes == list(range(6))


def _restart_numbering_at(cluster: SgeCluster, number: int) -> None:
    for daemon in ("execd", "qmaster"):
        cluster.kill(daemon)
    (cluster.root / "spool" / "qmaster" / "jobseqnum").write_text(f"{number}\n")
    cluster.up()


def test_records_of_a_number_used_twice_are_told_apart(harness: SgeHarness) -> None:
    """By name, and by the time of submission."""
    spec = harness.spec("exit 0")
    run(harness, spec)
    harness.wait_for_accounting([spec])
    later = ref(spec, intended_at=2e9)
    assert harness.executor.exit_info([later]) == {}


def test_a_submission_that_wakes_after_its_void_runs_nothing(make_sge: Any, tmp_path: Path) -> None:
    """The process that submits is held up; meanwhile somebody gives the attempt up."""
    harness = make_sge(bin_dir=write_waiting_program(SgeCluster, "qsub", tmp_path))
    check_late_submission(harness, tmp_path)


def test_a_qmaster_that_hangs_is_unavailable_and_loses_nothing(make_sge: Any) -> None:
    harness = make_sge(query_timeout=2.0, submit_timeout=2.0)
    spec = harness.spec("exit 4")
    pid = int(harness.cluster.pid_file("qmaster").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ExecutorUnavailable, match="no answer within"):
            harness.executor.poll()
        with pytest.raises(ExecutorUnavailable, match="no answer within"):
            harness.executor.submit([spec])
    finally:
        os.kill(pid, signal.SIGCONT)
    patient = harness.executor
    wait_until(lambda: _answers(patient), RECOVERY, "qmaster answers again")
    stands = patient.store.void([spec.instance_id], "test")[spec.instance_id]
    wait_until(lambda: spec.name not in patient.poll(), 60, "it is not listed")
    ended = evidence(harness, spec).exit
    assert (ended.code if ended else None) == (4 if stands.kind is TokenKind.START else None)


def _answers(executor: Any) -> bool:
    try:
        executor.poll()
    except ExecutorUnavailable:
        return False
    return True


@contextmanager
def silent_scheduler(cluster: SgeCluster) -> Iterator[None]:
    """One that keeps what it finds to itself, as many sites want it."""
    path = cluster.folder / "scheduler"
    try:
        for flag in ("false", "true"):
            shown = cluster.command("qconf", "-ssconf")
            path.write_text(re.sub(r"(?m)^(schedd_job_info +)\w+$", rf"\g<1>{flag}", shown))
            cluster.command("qconf", "-Msconf", str(path))
            if flag == "false":
                yield
    finally:
        path.unlink()


def test_why_jobs_wait(make_sge: Any) -> None:
    """More memory than any host has; an array; a job of a closed queue. And a scheduler that may not say."""
    harness = make_sge(verify=False)
    big = harness.spec("true", mem_free=900_000.0)
    tasks = harness.array(["true"] * 3, mem_free=800_000.0, slots=2)
    harness.executor.submit([big, *tasks])

    def ask() -> dict[str, str]:
        asked = [one for name, one in harness.executor.poll().items() if name in (big.name, tasks[1].name)]
        told = harness.executor.explain_queue(asked)
        assert told.advice == ""
        return dict(told.by_name)

    found = wait_until(lambda: all(found.values()) and found if (found := ask()) else None, 60, "both are explained")
    assert re.search(r"host \S+ offers less mem_free than 819T \([0-9.]+[MG]\)", found[big.name])
    assert "the parallel environment smp has only 0 slots for it" in found[tasks[1].name]
    harness.close_queue()
    wait_until(lambda: "is disabled" in ask()[big.name], 60, "the queue is closed")
    harness.open_queue()
    listed = [harness.executor.poll()[big.name]]
    with silent_scheduler(harness.cluster):
        told = wait_until(
            lambda: one if (one := harness.executor.explain_queue(listed)).advice else None, 60, "silence"
        )
        assert "schedd_job_info is false" in told.advice
        assert told.by_name == {big.name: ""}
    wait_until(lambda: "offers less mem_free" in ask_again(harness, listed), 60, "it tells again")


def ask_again(harness: SgeHarness, listed: list[Listed]) -> str:
    return harness.executor.explain_queue(listed).by_name[listed[0].name]


def test_so_many_tasks_of_an_array_at_once(make_sge: Any) -> None:
    harness = make_sge(concurrent_tasks=2)
    specs = harness.array([harness.lasts()] * 5)
    harness.executor.submit(specs)

    def running() -> list[str]:
        return [name for name, one in harness.executor.poll().items() if one.phase is Phase.RUNNING]

    wait_until(lambda: len(running()) == 2, 60, "two run")
    harness.executor.cancel([ref(spec) for spec in specs if spec.name in running()])
    wait_until(lambda: len(running()) == 2 and len(harness.executor.poll()) == 3, 60, "the next two run")


def test_tasks_deleted_while_they_wait_leave_no_record(harness: SgeHarness) -> None:
    """Absent, no token, no record: that is all there will ever be, and it is not taken for an ending."""
    harness.close_queue()
    specs = harness.array(["true"] * 4)
    job = harness.executor.submit(specs).accepted[specs[0].name].partition(".")[0]
    harness.cluster.command("qdel", job, "-t", "2-3")
    assert set(harness.executor.poll()) == {specs[0].name, specs[3].name}
    harness.open_queue()
    harness.wait_for_end([specs[0].name, specs[3].name])
    harness.wait_for_accounting([specs[0], specs[3]])
    assert harness.executor.exit_info([ref(spec) for spec in specs[1:3]]) == {}
    assert harness.executor.store.read(spec.instance_id for spec in specs[1:3]) == {}
