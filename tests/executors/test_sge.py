"""A real Grid Engine: the contract, every ending, and its daemons killed."""

# ruff: noqa: F811 - fixtures are taken by their names
from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from executors.base import ExecutorUnavailable, JobSpec, Phase, SubmitResult
from executors.sge_parse import build_submission
from executors.shell import run as run_command
from tests.executors.batch_harness import (  # noqa: F401 - fixtures
    SgeHarness,
    make_sge,
    ref,
    tmp_path,
)
from tests.executors.cluster import (
    AS_USER,
    RECOVERY,
    SECOND_DELIVERY,
    SgeCluster,
    log_commands,
)
from tests.executors.contract import HOSTILE, ShellContract, evidence, run
from tests.executors.contract_secret_files import SecretFilesContract
from tests.waiting import wait_until

pytestmark = [pytest.mark.sge, pytest.mark.first, pytest.mark.timeout(600)]


@pytest.fixture
def harness(make_sge: Any) -> SgeHarness:
    return make_sge()


class TestContract(ShellContract):
    """Grid Engine."""


class TestSecretFiles(SecretFilesContract):
    """Grid Engine."""


class TestEndings:
    @pytest.mark.parametrize("code", [0, 1, 99, 100, 137])
    def test_codes_that_mean_something_to_grid_engine_mean_nothing(self, harness: SgeHarness, code: int) -> None:
        """99 would run the job again and 100 put it into the error state."""
        spec = harness.spec(f"exit {code}")
        (found,) = run(harness, spec)
        assert found.exit is not None
        assert found.exit.code == code
        info = harness.wait_for_accounting([spec])[spec.name]
        assert (info.exit_code, info.signal, info.over, info.words) == (int(code != 0), None, None, "")

    def test_usage_is_measured(self, harness: SgeHarness) -> None:
        spec = harness.spec("head -c 50000000 /dev/zero >/dev/null; sleep 1.5")
        (found,) = run(harness, spec)
        usage = harness.wait_for_accounting([spec])[spec.name].usage
        assert usage.wallclock >= 1
        assert usage.maxvmem > 2**20
        assert usage.io >= 50_000_000
        assert found.usage is not None
        assert found.usage.wallclock >= 1.5

    def test_deleted_by_somebody_else(self, harness: SgeHarness) -> None:
        spec = harness.spec(harness.lasts())
        job = harness.executor.submit([spec]).accepted[spec.name]
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        harness.cluster.command("qdel", job)
        harness.wait_for_end([spec.name])
        assert evidence(harness, spec).exit is None
        info = harness.wait_for_accounting([spec])[spec.name]
        assert (info.exit_code, info.signal, info.over) == (137, 9, None)

    def test_over_its_run_time(self, harness: SgeHarness) -> None:
        spec = harness.spec(harness.lasts(), max_runtime=2)
        harness.executor.submit([spec])
        harness.wait_for_end([spec.name])
        assert evidence(harness, spec).exit is None
        assert harness.wait_for_accounting([spec])[spec.name].over == "runtime"

    def test_over_its_memory(self, make_sge: Any) -> None:
        """Several processes together; a single one is refused its memory by the kernel and fails by itself."""
        harness = make_sge(memory_resources=("h_vmem",))
        eat = "{ head -c 130000000 /dev/zero; sleep 100; } | tail >/dev/null &"
        spec = harness.spec(f"{eat} {eat} wait", mem_free=0.2)
        harness.executor.submit([spec])
        harness.wait_for_end([spec.name])
        info = harness.wait_for_accounting([spec])[spec.name]
        assert info.over == "memory"
        assert info.usage.maxvmem > 200_000_000

    def test_the_whole_job_is_ended_with_its_children(self, harness: SgeHarness, tmp_path: Path) -> None:
        spec = harness.spec("setsid sleep 1000 & echo $! >child; wait", working_dir=str(tmp_path))
        harness.executor.submit([spec])
        child = wait_until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().strip())
        harness.executor.cancel([ref(spec)])
        wait_until(lambda: not os.path.exists(f"/proc/{child}/status") or "State:\tZ" in _status(child))


def _status(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"


class TestRefusal:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"project": "nosuch"}, 'the requested project "nosuch" does not exist'),
            ({"queue": "nosuch.q"}, 'unknown queue "nosuch.q"'),
            ({"mem_free": 100_000.0}, "no suitable queues"),
            ({"slots": 5000}, "no suitable queues"),
        ],
    )
    def test_refused_in_its_own_words(self, harness: SgeHarness, given: dict[str, Any], words: str) -> None:
        bad, good = harness.spec("true", **given), harness.spec("true")
        result = harness.executor.submit([bad, good])
        assert set(result.accepted) == {good.name}
        assert words in result.rejected[bad.name]

    def test_unknown_parallel_environment(self, make_sge: Any) -> None:
        harness = make_sge(parallel_environment="nosuch")
        spec = harness.spec("true", slots=2)
        assert "parallel environment" in harness.executor.submit([spec]).rejected[spec.name]

    def test_unknown_resource_and_the_check_that_tells_of_it(self, make_sge: Any) -> None:
        harness = make_sge(memory_resources=("nosuch",))
        spec = harness.spec("true")
        assert 'unknown resource "nosuch"' in harness.executor.submit([spec]).rejected[spec.name]
        assert "nosuch" in harness.executor.check()

    def test_check_is_content_with_a_good_site(self, harness: SgeHarness) -> None:
        assert harness.executor.check() is None

    def test_parallel_jobs_get_their_slots_and_divided_memory(self, harness: SgeHarness) -> None:
        spec = harness.spec("echo $NSLOTS; exec sleep 1000", slots=3, mem_free=0.3)
        job = harness.executor.submit([spec]).accepted[spec.name]
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until(lambda: harness.executor.store.tail(spec.instance_id, "stdout", 10) == b"3\n")
        assert "mem_free=96M" in harness.cluster.command("qstat", "-j", job)


class TestStates:
    def test_error_state_is_stuck_with_its_reason_asked_for_once(self, make_sge: Any, tmp_path: Path) -> None:
        programs, log = log_commands(SgeCluster.binaries, ["qsub", "qstat", "qdel"], tmp_path / "programs")
        harness = make_sge(bin_dir=programs)
        spec = harness.submit_pending()
        job = harness.executor.find([ref(spec)])[spec.name]
        harness.cluster.command("qalter", "-wd", "/nonexistent/folder", job)
        harness.open_queue()
        harness.wait_for_phase(spec.name, Phase.STUCK)
        assert "/nonexistent/folder" in harness.executor.poll()[spec.name].message
        log.write_text("")
        for _ in range(3):
            assert "/nonexistent/folder" in harness.executor.poll()[spec.name].message
        assert log.read_text() == "qstat\n" * 3

    def test_held_and_suspended(self, harness: SgeHarness) -> None:
        spec = harness.submit_pending("sleep 1000")
        job = harness.executor.find([ref(spec)])[spec.name]
        harness.cluster.command("qhold", job)
        harness.wait_for_phase(spec.name, Phase.HELD)
        harness.cluster.command("qrls", job)
        harness.open_queue()
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        harness.cluster.command("qmod", "-sj", job)
        harness.wait_for_phase(spec.name, Phase.HELD)
        assert harness.executor.poll()[spec.name].message == "suspended"

    def test_jobs_of_others_are_neither_listed_nor_cancelled(self, make_sge: Any) -> None:
        mine, other = make_sge(), make_sge()
        spec = other.spec(other.lasts())
        other.executor.submit([spec])
        other.wait_for_phase(spec.name, Phase.RUNNING)
        assert mine.executor.poll() == {}
        mine.executor.cancel([ref(spec)])
        assert spec.name in other.executor.poll()

    def test_a_job_from_before_the_intent_is_not_ours(self, harness: SgeHarness) -> None:
        spec = harness.submit_pending()
        late = ref(spec, intended_at=time.time() + 10_000)
        assert harness.executor.find([late]) == {}
        harness.executor.cancel([late])
        assert spec.name in harness.executor.poll()


class TestArrays:
    def test_an_array_is_one_submission_and_one_listing(self, make_sge: Any, tmp_path: Path) -> None:
        check_array(make_sge, tmp_path, 200)

    @pytest.mark.slow
    def test_a_thousand_tasks(self, make_sge: Any, tmp_path: Path) -> None:
        check_array(make_sge, tmp_path, 1000)

    def test_a_part_of_an_array_is_cancelled(self, harness: SgeHarness) -> None:
        specs = harness.array([harness.lasts()] * 6)
        harness.executor.submit(specs)
        harness.executor.cancel([ref(spec) for spec in specs[1:4]])
        harness.wait_for_end([spec.name for spec in specs[1:4]])
        assert set(harness.executor.poll()) == {specs[0].name, specs[4].name, specs[5].name}

    def test_voided_members_never_run(self, harness: SgeHarness) -> None:
        specs = harness.array(["true"] * 5)
        harness.executor.store.void([specs[2].instance_id], "test")
        assert set(harness.executor.submit(specs).accepted) == {spec.name for spec in specs} - {specs[2].name}
        harness.wait_for_end([spec.name for spec in specs])
        ended = [evidence(harness, spec).exit is not None for spec in specs]
        assert ended == [True, True, False, True, True]

    def test_an_array_of_one(self, harness: SgeHarness) -> None:
        (spec,) = harness.array(["exit 4"])
        (found,) = run(harness, spec)
        assert found.exit is not None
        assert found.exit.code == 4


def check_array(make: Any, folder: Path, count: int) -> None:
    programs, log = log_commands(SgeCluster.binaries, ["qsub", "qstat", "qdel"], folder / "programs")
    harness = make(bin_dir=programs)
    specs = harness.array([f"echo {number} >>{folder}/ledger; exit {number % 2}" for number in range(count)])
    harness.executor.submit(specs)
    assert log.read_text() == "qsub\n"
    assert set(harness.executor.poll()) <= {spec.name for spec in specs}
    assert log.read_text() == "qsub\nqstat\n"
    wait_until(lambda: len(harness.executor.store.hints()) == count, 280, "the end of all", 1.0)
    found = harness.executor.store.read(spec.instance_id for spec in specs)
    assert [found[spec.instance_id].exit.code for spec in specs] == [number % 2 for number in range(count)]
    assert sorted(map(int, (folder / "ledger").read_text().split())) == list(range(count))
    assert len(harness.wait_for_accounting(specs)) == count


class TestCrashes:
    def test_qmaster_killed_while_jobs_run(self, harness: SgeHarness, tmp_path: Path) -> None:
        long = harness.spec(harness.lasts())
        short = harness.spec(f"until [ -e {tmp_path}/go ]; do sleep 0.2; done; exit 5")
        accepted = harness.executor.submit([long, short]).accepted
        for spec in (long, short):
            harness.wait_for_phase(spec.name, Phase.RUNNING)
        harness.cluster.kill("qmaster")
        with pytest.raises(ExecutorUnavailable, match="qmaster"):
            harness.executor.poll()
        (tmp_path / "go").touch()
        wait_until(lambda: evidence(harness, short).exit)
        harness.cluster.up()
        wait_until(lambda: set(harness.executor.poll()) == {long.name}, RECOVERY, "the truth in the listing", 0.5)
        assert harness.executor.find([ref(long)]) == {long.name: accepted[long.name]}
        info = harness.wait_for_accounting([short])[short.name]
        assert info.exit_code == 1
        found = evidence(harness, short)
        assert found.exit is not None
        assert found.exit.code == 5

    def test_qmaster_killed_during_submission(self, harness: SgeHarness, tmp_path: Path) -> None:
        """What is in neither answer is found by its name, or voided: nothing runs twice, nothing runs later."""
        harness.cluster.pause_deliveries()
        self._check_submission(harness, tmp_path, RECOVERY)

    @pytest.mark.slow
    def test_qmaster_killed_while_jobs_are_on_their_way(self, harness: SgeHarness, tmp_path: Path) -> None:
        self._check_submission(harness, tmp_path, SECOND_DELIVERY)

    def _check_submission(self, harness: SgeHarness, folder: Path, seconds: float) -> None:
        specs = [harness.spec(f"echo {number} >>{folder}/ledger") for number in range(60)]
        accepted = self._submit_and_kill(harness, specs)
        harness.cluster.up()
        refs = [ref(spec) for spec in specs]
        wait_until(lambda: not harness.executor.poll(), seconds, "the end of all", 0.5)
        found = harness.executor.find(refs)
        assert all(found[name] == job for name, job in accepted.items() if name in found)
        stands = harness.executor.store.void([spec.instance_id for spec in specs], "test")
        started = [spec for spec in specs if stands[spec.instance_id].kind == "start"]
        assert {spec.name for spec in started} >= accepted.keys()
        lines = (folder / "ledger").read_text().split()
        assert len(lines) == len(set(lines)) == len(started)

    def _submit_and_kill(self, harness: SgeHarness, specs: list[JobSpec]) -> dict[str, str]:
        outcome: list[SubmitResult | ExecutorUnavailable] = []

        def submit() -> None:
            try:
                outcome.append(harness.executor.submit(specs))
            except ExecutorUnavailable as error:
                outcome.append(error)

        thread = threading.Thread(target=submit)
        thread.start()
        wait_until(lambda: len(harness.executor.poll()) >= 5 or not thread.is_alive(), pause=0.01)
        harness.cluster.kill("qmaster")
        thread.join()
        assert isinstance(outcome[0], ExecutorUnavailable)
        return outcome[0].accepted

    def test_execd_killed_while_a_job_runs(self, harness: SgeHarness, tmp_path: Path) -> None:
        spec = harness.spec(f"until [ -e {tmp_path}/go ]; do sleep 0.2; done; exit 6")
        harness.executor.submit([spec])
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        harness.cluster.kill("execd")
        (tmp_path / "go").touch()
        found = wait_until(lambda: evidence(harness, spec).exit)
        assert found.code == 6
        assert spec.name in harness.executor.poll()
        harness.cluster.up()
        wait_until(lambda: not harness.executor.poll(), RECOVERY, "the end in the listing", 0.5)
        assert harness.wait_for_accounting([spec])[spec.name].exit_code == 1


class TestHostileStrings:
    def test_qsub_itself_takes_them_as_they_are(self, make_sge: Any, tmp_path: Path) -> None:
        """Through the real parser of qsub, which prints what it understood."""
        harness = make_sge(allowed_options=("A",), verify=False)
        allowed = [text for text in HOSTILE if harness.executor.refuse(_asks(harness, text).resources) is None]
        seen = 0
        for text in allowed:
            folder = tmp_path / text.replace("/", "_")
            argv = build_submission(harness.executor.config, [_asks(harness, text)], Path("/wrapper"), folder)
            assert argv[1] == "-clear"  # it would undo an option in front of it
            shown = run_command(
                [*AS_USER, *argv[:2], "-verify", *argv[2:]],
                timeout=30,
                environment=harness.executor.config.environment,
            )
            if "job_args:" not in shown.stdout:
                assert shown.code != 0, (text, shown)  # refused, with words of its own
                continue
            lines = dict(line.split(":", 1) for line in shown.stdout.splitlines() if ":" in line)
            assert lines["job_args"].strip() == f"/wrapper,{folder}", (text, shown)
            assert lines["script_file"].strip() == "/bin/sh"
            assert lines["account"].strip() == text
            seen += 1
        assert seen > 10


def _asks(harness: SgeHarness, text: str) -> JobSpec:
    return harness.spec("true", extra=(("A", text),))
