"""A real Slurm: the contract, every ending, and its daemons killed."""

# ruff: noqa: F811 - fixtures are taken by their names
from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from executors.base import ExecutorUnavailable, JobSpec, Phase, TokenKind
from executors.shell import run as run_command
from executors.slurm_parse import build_submission
from tests.executors.batch_harness import (  # noqa: F401 - fixtures
    SlurmHarness,
    make_slurm,
    ref,
    tmp_path,
)
from tests.executors.cluster import (
    AS_USER,
    RECOVERY,
    SlurmCluster,
    log_commands,
    write_waiting_program,
)
from tests.executors.contract import HOSTILE, ShellContract, check_late_submission, evidence, run
from tests.executors.contract_secret_files import SecretFilesContract
from tests.waiting import wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.first]


@pytest.fixture
def harness(make_slurm: Any) -> SlurmHarness:
    return make_slurm()


class TestContract(ShellContract):
    """Slurm."""


class TestSecretFiles(SecretFilesContract):
    """Slurm."""


@pytest.fixture(params=["sacct", "scontrol"])
def either(request: pytest.FixtureRequest, make_slurm: Any) -> SlurmHarness:
    """With accounting, and with slurmctld's own memory only."""
    return make_slurm(accounting=request.param)


class TestEndings:
    @pytest.mark.parametrize("code", [0, 1, 99, 100, 137])
    def test_codes(self, either: SlurmHarness, code: int) -> None:
        spec = either.spec(f"exit {code}")
        (found,) = run(either, spec)
        assert found.exit is not None
        assert found.exit.code == code
        info = either.wait_for_accounting([spec])[spec.name]
        assert (info.exit_code, info.signal, info.over) == (int(code != 0), None, None)

    def test_usage_is_measured(self, make_slurm: Any) -> None:
        harness = make_slurm(accounting="sacct")
        spec = harness.spec("head -c 50000000 /dev/zero >/dev/null; sleep 2", mem_free=0.1)
        run(harness, spec)
        usage = harness.wait_for_accounting([spec])[spec.name].usage
        assert usage.wallclock >= 1
        assert usage.maxvmem > 2**20

    def test_cancelled_by_somebody_else_still_records_its_exit(self, either: SlurmHarness, tmp_path: Path) -> None:
        """Slurm gives a job time: TERM reaches the command, and the wrapper writes how it ended."""
        spec = either.spec(f"trap 'exit 44' TERM; touch {tmp_path}/ready; while :; do sleep 0.1; done")
        job = either.executor.submit([spec]).accepted[spec.name]
        either.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until((tmp_path / "ready").exists, 60, "its trap is set")
        either.cluster.command("scancel", job)
        either.wait_for_end([spec.name])
        found = evidence(either, spec)
        assert found.exit is not None
        assert found.exit.code == 44
        assert "CANCELLED" in either.wait_for_accounting([spec])[spec.name].words

    def test_over_its_memory(self, either: SlurmHarness) -> None:
        spec = either.spec("{ head -c 400000000 /dev/zero; sleep 3; } | tail >/dev/null", mem_free=0.1)
        either.executor.submit([spec])
        either.wait_for_end([spec.name])
        info = either.wait_for_accounting([spec])[spec.name]
        knows_only_of_the_signal = either.executor.config.accounting == "scontrol" and info.signal == 9
        assert info.over == "memory" or knows_only_of_the_signal

    @pytest.mark.slow
    def test_over_its_run_time(self, either: SlurmHarness) -> None:
        """Slurm's clock has whole minutes."""
        spec = either.spec(either.lasts(), max_runtime=5)
        either.executor.submit([spec])
        either.wait_for_end([spec.name])
        assert either.wait_for_accounting([spec])[spec.name].over == "runtime"

    def test_server_variables_do_not_reach_the_job(self, harness: SlurmHarness) -> None:
        os.environ["JOBMON_TEST_SECRET"] = "do not tell"
        try:
            spec = harness.spec("env")
            run(harness, spec)
        finally:
            del os.environ["JOBMON_TEST_SECRET"]
        assert b"SECRET" not in (harness.executor.store.tail(spec.instance_id, "stdout", 100_000) or b"SECRET")


class TestRefusal:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"project": "nosuch"}, "Invalid account"),
            ({"queue": "nosuch"}, "Invalid partition name"),
            ({"mem_free": 100_000.0}, "Requested node configuration is not available"),
        ],
    )
    def test_refused_in_its_own_words(self, harness: SlurmHarness, given: dict[str, Any], words: str) -> None:
        bad, good = harness.spec("true", **given), harness.spec("true")
        result = harness.executor.submit([bad, good])
        assert set(result.accepted) == {good.name}
        assert words in result.rejected[bad.name]

    def test_what_slurm_accepts_but_can_never_run_is_stuck(self, harness: SlurmHarness) -> None:
        spec = harness.spec("true", slots=500)
        result = harness.executor.submit([spec])
        if spec.name in result.accepted:
            harness.wait_for_phase(spec.name, Phase.STUCK)
            assert harness.executor.poll()[spec.name].message
        else:
            assert "not available" in result.rejected[spec.name]


class TestStates:
    def test_held_and_suspended(self, harness: SlurmHarness) -> None:
        spec = harness.submit_pending("sleep 1000")
        job = harness.executor.find([ref(spec)])[spec.name]
        harness.cluster.command("scontrol", "hold", job)
        harness.wait_for_phase(spec.name, Phase.HELD)
        assert "JobHeld" in harness.executor.poll()[spec.name].message
        harness.cluster.command("scontrol", "release", job)
        harness.open_queue()
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        harness.cluster.command("scontrol", "suspend", job)
        harness.wait_for_phase(spec.name, Phase.HELD)
        harness.cluster.command("scontrol", "resume", job)

    def test_jobs_of_others_are_neither_listed_nor_cancelled(self, make_slurm: Any) -> None:
        mine, other = make_slurm(), make_slurm()
        spec = other.spec(other.lasts())
        other.executor.submit([spec])
        other.wait_for_phase(spec.name, Phase.RUNNING)
        assert mine.executor.poll() == {}
        mine.executor.cancel([ref(spec)])
        assert spec.name in other.executor.poll()

    def test_a_job_from_before_the_intent_is_not_ours(self, harness: SlurmHarness) -> None:
        spec = harness.submit_pending()
        assert harness.executor.find([ref(spec, intended_at=time.time() + 10_000)]) == {}


class TestArrays:
    def test_an_array_is_one_submission_and_one_listing(self, make_slurm: Any, tmp_path: Path) -> None:
        check_array(make_slurm, tmp_path, 100)

    @pytest.mark.slow
    def test_a_thousand_tasks(self, make_slurm: Any, tmp_path: Path) -> None:
        check_array(make_slurm, tmp_path, 1000)

    def test_a_part_of_an_array_is_cancelled(self, harness: SlurmHarness) -> None:
        specs = harness.array([harness.lasts()] * 6)
        harness.executor.submit(specs)
        harness.executor.cancel([ref(spec) for spec in specs[1:4]])
        harness.wait_for_end([spec.name for spec in specs[1:4]])
        assert set(harness.executor.poll()) == {specs[0].name, specs[4].name, specs[5].name}

    def test_voided_members_never_run(self, harness: SlurmHarness) -> None:
        specs = harness.array(["true"] * 4)
        harness.executor.store.void([specs[2].instance_id], "test")
        harness.executor.submit(specs)
        harness.wait_for_end([spec.name for spec in specs])
        assert [evidence(harness, spec).exit is not None for spec in specs] == [True, True, False, True]


def check_array(make: Any, folder: Path, count: int) -> None:
    programs, log = log_commands(SlurmCluster.binaries, ["sbatch", "squeue", "scancel", "sacct"], folder / "programs")
    harness = make(bin_dir=programs)
    specs = harness.array([f"echo {number} >>{folder}/ledger; exit {number % 2}" for number in range(count)])
    harness.executor.submit(specs)
    assert log.read_text() == "sbatch\n"
    assert set(harness.executor.poll()) <= {spec.name for spec in specs}
    assert log.read_text() == "sbatch\nsqueue\n"
    wait_until(lambda: len(harness.executor.store.hints()) == count, 280, "the end of all", 1.0)
    found = harness.executor.store.read(spec.instance_id for spec in specs)
    assert [found[spec.instance_id].exit.code for spec in specs] == [number % 2 for number in range(count)]
    assert sorted(map(int, (folder / "ledger").read_text().split())) == list(range(count))
    assert len(harness.wait_for_accounting(specs)) == count


class TestCrashes:
    def test_slurmctld_killed_while_a_job_runs(self, harness: SlurmHarness, tmp_path: Path) -> None:
        spec = harness.spec(f"until [ -e {tmp_path}/go ]; do sleep 0.2; done; exit 5")
        job = harness.executor.submit([spec]).accepted[spec.name]
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        changed, state = time.time(), harness.cluster.root / "state" / "job_state"
        harness.cluster.command("scontrol", "update", f"jobid={job}", "timelimit=60")  # a change is saved, soon
        wait_until(lambda: state.exists() and state.stat().st_mtime > changed, 60, "its state is saved")
        harness.cluster.kill("slurmctld")
        with pytest.raises(ExecutorUnavailable):
            harness.executor.poll()
        (tmp_path / "go").touch()
        found = wait_until(lambda: evidence(harness, spec).exit)
        assert found.code == 5
        harness.cluster.up()
        wait_until(lambda: not harness.executor.poll(), RECOVERY, "the end in the listing", 0.5)
        assert harness.wait_for_accounting([spec])[spec.name].exit_code == 1

    def test_jobs_that_slurmctld_forgets_run_at_most_once(self, harness: SlurmHarness, tmp_path: Path) -> None:
        """Killed before it has saved its state, it forgets jobs, kills them as orphans and uses their numbers again."""
        specs = [harness.spec(f"echo {number} >>{tmp_path}/ledger; sleep 1") for number in range(20)]
        harness.executor.submit(specs)
        harness.cluster.kill("slurmctld")
        harness.cluster.up()
        wait_until(lambda: not harness.executor.poll(), 240, "the end of all", 0.5)
        stands = harness.executor.store.void([spec.instance_id for spec in specs], "test")
        started = [number for number, spec in enumerate(specs) if self._has_started(stands, spec)]
        ledger = tmp_path / "ledger"
        lines = [int(word) for word in ledger.read_text().split()] if ledger.exists() else []
        assert len(lines) == len(set(lines))
        assert set(lines) <= set(started)

    def _has_started(self, stands: dict[int, Any], spec: JobSpec) -> bool:
        return stands[spec.instance_id].kind is TokenKind.START

    def test_slurmd_killed_while_a_job_runs(self, harness: SlurmHarness, tmp_path: Path) -> None:
        spec = harness.spec(f"until [ -e {tmp_path}/go ]; do sleep 0.2; done; exit 6")
        harness.executor.submit([spec])
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        harness.cluster.kill("slurmd")
        (tmp_path / "go").touch()
        assert wait_until(lambda: evidence(harness, spec).exit).code == 6
        harness.cluster.up()
        wait_until(lambda: not harness.executor.poll(), RECOVERY, "the end in the listing", 0.5)


class TestStartedLateOrTwice:
    def test_a_job_that_is_requeued_starts_nothing(self, harness: SlurmHarness, tmp_path: Path) -> None:
        """Ours may not be requeued; somebody who changes that gets a second start, which loses the token and ends."""
        spec = harness.spec(f"echo started >>{tmp_path}/ledger; exec sleep 1000")
        job = harness.executor.submit([spec]).accepted[spec.name]
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        before = evidence(harness, spec).token
        assert "disabled" in harness.cluster.command("scontrol", "requeue", job)
        harness.cluster.command("scontrol", "update", f"jobid={job}", "requeue=1")
        harness.cluster.command("scontrol", "requeue", job)
        harness.wait_for_phase(spec.name, Phase.PENDING)
        harness.cluster.command("scontrol", "update", f"jobid={job}", "starttime=now")
        harness.wait_for_end([spec.name])
        assert "Restarts=1" in harness.cluster.command("scontrol", "show", "job", job)
        assert (tmp_path / "ledger").read_text() == "started\n"
        assert evidence(harness, spec).token == before

    def test_a_submission_that_wakes_after_its_void_runs_nothing(self, make_slurm: Any, tmp_path: Path) -> None:
        harness = make_slurm(bin_dir=write_waiting_program(SlurmCluster, "sbatch", tmp_path))
        check_late_submission(harness, tmp_path)


class TestHostileStrings:
    def test_sbatch_itself_takes_them_as_they_are(self, make_slurm: Any, tmp_path: Path) -> None:
        """Through the real parser of sbatch: a comment is an option of any text."""
        harness = make_slurm(allowed_options=("comment",))
        harness.close_queue()
        specs = [harness.spec("true", extra=(("comment", text),)) for text in HOSTILE]
        result = harness.executor.submit(specs)
        assert len(result.accepted) > 25
        assert set(result.accepted) | set(result.rejected) == {spec.name for spec in specs}
        for text, spec in zip(HOSTILE, specs, strict=True):
            if spec.name in result.accepted:
                shown = harness.cluster.command("scontrol", "show", "job", result.accepted[spec.name])
                assert f"   Comment={text} \n" in shown, (text, shown)

    def test_test_only(self, make_slurm: Any, tmp_path: Path) -> None:
        harness = make_slurm(allowed_options=("comment",))
        harness.executor.submit([harness.spec("true")])
        wrapper = next(harness.executor.config.spool.glob("batch-wrapper-*.sh"))
        for text in HOSTILE:
            spec = harness.spec("true", extra=(("comment", text),))
            if harness.executor.refuse(spec.resources) is None:
                argv = build_submission(harness.executor.config, [spec], wrapper, tmp_path / text.replace("/", "_"))
                shown = run_command(
                    [*AS_USER, argv[0], "--test-only", *argv[1:]],
                    timeout=30,
                    environment=harness.executor.config.environment,
                )
                assert shown.code == 0, (text, shown)
