"""What every executor must do. A subclass gives a `harness` fixture (see `Harness`); nothing here knows a back end."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pytest

from executors.base import AttemptRef, Evidence, Executor, ExecutorUnavailable, JobSpec, Phase, TokenKind
from tests.waiting import wait_until

HOSTILE = [
    "a'b", 'a"b', "a`id`b", "$(id)", "${HOME}", "a;b", "a|b", "a&b", "a>b", "a b  c", "*", "?[a-z]", "~root",
    "-rf", "--", "a\\b", "\\n", "%s%n", "#$ -r y", "#SBATCH --wrap", "!history", "ünïcödé", "日本語", "😀",
    "a\tb", "{a,b}", "host:/path", "a,X=1", "(sub)", "<in", "a=b", "''", '""', "\\'", "trailing\\",
    "\x01\x1b[31m", "\u202ereversed", "$'\\x41'", "@-", "\x7f",
]  # fmt: skip


class Harness(Protocol):
    """One executor with a back end of its own and words for its jobs."""

    executor: Executor

    @property
    def uid(self) -> int:
        """Of the account that its jobs run as."""

    def spec(self, command: str, **resources: object) -> JobSpec:
        """A new attempt; `resources` are fields of Resources, or of JobSpec."""

    def wait_for_end(self, names: Sequence[str]) -> None:
        """Until none of them is listed any more; fails after a deadline."""

    def wait_for_phase(self, name: str, phase: Phase) -> None:
        """Of one that runs, until its token is there as well."""

    def exits(self, code: int) -> str:
        """A command that ends with this code."""

    def dies(self, signal: int) -> str:
        """A command that is ended by this signal."""

    def lasts(self) -> str:
        """A command that does not end by itself while a test runs."""

    def submit_pending(self) -> JobSpec:
        """An attempt that is submitted and stays pending until `let_start`."""

    def let_start(self, spec: JobSpec) -> None: ...

    def break_back_end(self) -> None:
        """From now on nobody answers."""


def ref(spec: JobSpec, executor_id: str | None = None) -> AttemptRef:
    return AttemptRef(spec.instance_id, spec.name, executor_id, intended_at=0.0)


def evidence(harness: Harness, spec: JobSpec) -> Evidence:
    return harness.executor.store.read([spec.instance_id]).get(spec.instance_id, Evidence())


def run(harness: Harness, *specs: JobSpec) -> list[Evidence]:
    """Submit, wait, and answer what is known of each."""
    result = harness.executor.submit(specs)
    assert set(result.accepted) == {spec.name for spec in specs}
    harness.wait_for_end([spec.name for spec in specs])
    return [evidence(harness, spec) for spec in specs]


def hinted(harness: Harness) -> set[int]:
    return {hint.instance_id for hint in harness.executor.store.hints()}


class ExecutorContract:
    """Holds for all executors, the dummy included."""

    def test_success_leaves_start_exit_and_hint(self, harness: Harness) -> None:
        spec = harness.spec(harness.exits(0))
        (found,) = run(harness, spec)
        assert found.token is not None
        assert found.token.kind is TokenKind.START
        assert found.exit is not None
        assert (found.exit.code, found.exit.signal) == (0, None)
        assert spec.instance_id in hinted(harness)

    @pytest.mark.parametrize("code", [1, 2, 99, 100, 126, 127])
    def test_exit_code_is_recorded(self, harness: Harness, code: int) -> None:
        (found,) = run(harness, harness.spec(harness.exits(code)))
        assert found.exit is not None
        assert (found.exit.code, found.exit.signal) == (code, None)

    @pytest.mark.parametrize("signal", [9, 11, 15])
    def test_signal_is_recorded(self, harness: Harness, signal: int) -> None:
        (found,) = run(harness, harness.spec(harness.dies(signal)))
        assert found.exit is not None
        assert (found.exit.code, found.exit.signal) == (128 + signal, signal)

    def test_exit_code_137_reads_as_signal_9(self, harness: Harness) -> None:
        (found,) = run(harness, harness.spec(harness.exits(137)))
        assert found.exit is not None
        assert (found.exit.code, found.exit.signal) == (137, 9)

    def test_many_attempts_in_one_call(self, harness: Harness) -> None:
        specs = [harness.spec(harness.exits(number % 3)) for number in range(12)]
        codes = [found.exit and found.exit.code for found in run(harness, *specs)]
        assert codes == [number % 3 for number in range(12)]

    def test_submitting_twice_starts_once(self, harness: Harness) -> None:
        spec = harness.spec(harness.lasts())
        harness.executor.submit([spec])
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        first = evidence(harness, spec).token
        harness.executor.submit([spec])
        assert list(harness.executor.poll()).count(spec.name) == 1
        harness.executor.cancel([ref(spec)])
        harness.wait_for_end([spec.name])
        assert evidence(harness, spec).token == first

    def test_running_attempt_is_listed_and_found(self, harness: Harness) -> None:
        spec, other = harness.spec(harness.lasts()), harness.spec(harness.lasts())
        accepted = harness.executor.submit([spec]).accepted
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        listed = harness.executor.poll()[spec.name]
        assert listed.executor_id == accepted[spec.name]
        assert harness.executor.find([ref(spec), ref(other)]) == {spec.name: accepted[spec.name]}

    def test_cancel_ends_a_running_attempt(self, harness: Harness) -> None:
        spec = harness.spec(harness.lasts())
        accepted = harness.executor.submit([spec]).accepted
        harness.wait_for_phase(spec.name, Phase.RUNNING)
        for _ in range(3):
            harness.executor.cancel([ref(spec, accepted[spec.name])])
        harness.wait_for_end([spec.name])
        found = evidence(harness, spec)
        assert found.exit is None or found.exit.code != 0

    def test_cancel_drops_a_pending_attempt(self, harness: Harness) -> None:
        spec = harness.submit_pending()
        harness.executor.cancel([ref(spec)])
        harness.wait_for_end([spec.name])
        harness.let_start(spec)
        assert evidence(harness, spec).token is None

    def test_cancel_of_something_unknown_is_fine(self, harness: Harness) -> None:
        harness.executor.cancel([ref(harness.spec(harness.exits(0)))])

    def test_cancel_after_the_end_changes_nothing(self, harness: Harness) -> None:
        spec = harness.spec(harness.exits(0))
        (before,) = run(harness, spec)
        harness.executor.cancel([ref(spec)])
        assert evidence(harness, spec) == before

    def test_void_before_start_prevents_the_start(self, harness: Harness) -> None:
        spec = harness.submit_pending()
        stands = harness.executor.store.void([spec.instance_id], "test")
        assert stands[spec.instance_id].kind is TokenKind.VOID
        harness.let_start(spec)
        harness.wait_for_end([spec.name])
        found = evidence(harness, spec)
        assert found.token == stands[spec.instance_id]
        assert found.exit is None

    def test_void_before_submission_prevents_the_start(self, harness: Harness) -> None:
        spec = harness.spec(harness.exits(0))
        stands = harness.executor.store.void([spec.instance_id], "test")
        harness.executor.submit([spec])
        harness.wait_for_end([spec.name])
        assert evidence(harness, spec) == Evidence(token=stands[spec.instance_id])

    def test_start_before_void_stands(self, harness: Harness) -> None:
        spec = harness.spec(harness.exits(3))
        run(harness, spec)
        stands = harness.executor.store.void([spec.instance_id], "test")
        assert stands[spec.instance_id].kind is TokenKind.START
        found = evidence(harness, spec)
        assert found.exit is not None
        assert found.exit.code == 3

    def test_unknown_attempt_has_no_evidence(self, harness: Harness) -> None:
        assert harness.executor.store.read([999_999_999]) == {}

    def test_cleared_hints_do_not_come_back(self, harness: Harness) -> None:
        spec = harness.spec(harness.exits(0))
        run(harness, spec)
        harness.executor.store.clear_hints(harness.executor.store.hints())
        assert spec.instance_id not in hinted(harness)

    def test_nobody_answers_is_unavailable_and_not_empty(self, harness: Harness) -> None:
        spec = harness.spec(harness.exits(0))
        harness.break_back_end()
        with pytest.raises(ExecutorUnavailable):
            harness.executor.poll()
        with pytest.raises(ExecutorUnavailable):
            harness.executor.find([ref(spec)])
        with pytest.raises(ExecutorUnavailable):
            harness.executor.submit([spec])
        with pytest.raises(ExecutorUnavailable):
            harness.executor.cancel([ref(spec)])


class ShellContract(ExecutorContract):
    """Holds for the executors that run real commands. The harness's attempts may name `stdout_path` and so on."""

    def test_output_goes_to_its_files(self, harness: Harness) -> None:
        spec = harness.spec("echo to out; echo to err >&2")
        run(harness, spec)
        store = harness.executor.store
        assert store.tail(spec.instance_id, "stdout", 100) == b"to out\n"
        assert store.tail(spec.instance_id, "stderr", 100) == b"to err\n"

    def test_named_output_files_and_their_folders_are_made(self, harness: Harness, tmp_path: os.PathLike[str]) -> None:
        out, err = (os.path.join(tmp_path, "new folder", "deep", name) for name in ("job.o1", "job.e1"))
        run(harness, harness.spec("echo to out; echo to err >&2", stdout_path=out, stderr_path=err))
        assert _content(out) == b"to out\n"
        assert _content(err) == b"to err\n"

    def test_one_file_for_both_streams_keeps_both(self, harness: Harness, tmp_path: os.PathLike[str]) -> None:
        path = os.path.join(tmp_path, "both")
        run(harness, harness.spec("echo one; echo two >&2; echo three", stdout_path=path, stderr_path=path))
        assert _content(path) == b"one\ntwo\nthree\n"

    def test_working_folder(self, harness: Harness, tmp_path: os.PathLike[str]) -> None:
        spec = harness.spec("pwd -P", working_dir=str(tmp_path))
        run(harness, spec)
        found = harness.executor.store.tail(spec.instance_id, "stdout", 4096)
        assert found == os.fsencode(os.path.realpath(tmp_path)) + b"\n"

    def test_environment_has_what_was_given_and_its_number(self, harness: Harness) -> None:
        spec = harness.spec(
            'printf "%s|" "$JOBMON_JOB_INSTANCE_ID" "$GREETING" "$EMPTY" "${EMPTY-unset}"',
            environment=(("GREETING", "good  day"), ("EMPTY", "")),
        )
        run(harness, spec)
        expected = f"{spec.instance_id}|good  day|||".encode()
        assert harness.executor.store.tail(spec.instance_id, "stdout", 1000) == expected

    def test_hostile_strings_arrive_byte_for_byte(self, harness: Harness, tmp_path: os.PathLike[str]) -> None:
        """As a part of the command (in a quoted here-document) and as the value of a variable."""
        specs = [
            harness.spec(
                f"cat <<'END_OF_TEXT'\n{text}\nEND_OF_TEXT\nprintf '%s' \"$VALUE\"", environment=(("VALUE", text),)
            )
            for text in HOSTILE
        ]
        run(harness, *specs)
        for text, spec in zip(HOSTILE, specs, strict=True):
            wanted = f"{text}\n{text}".encode()
            assert harness.executor.store.tail(spec.instance_id, "stdout", 1000) == wanted

    def test_hostile_paths_are_used_as_they_are(self, harness: Harness, tmp_path: os.PathLike[str]) -> None:
        folders = [os.path.join(tmp_path, text.replace("/", "_")) for text in HOSTILE]
        for folder in folders:
            os.mkdir(folder)
        specs = [
            harness.spec(
                "echo seen >here", working_dir=folder, stdout_path=folder + "/out", stderr_path=folder + "/err"
            )
            for folder in folders
        ]
        run(harness, *specs)
        for folder in folders:
            assert sorted(os.listdir(folder)) == ["err", "here", "out"], folder
        assert len(os.listdir(tmp_path)) >= len(folders)

    def test_standard_input_is_empty(self, harness: Harness) -> None:
        (found,) = run(harness, harness.spec('test -z "$(cat)"'))
        assert found.exit is not None
        assert found.exit.code == 0

    def test_command_that_does_not_exist(self, harness: Harness) -> None:
        spec = harness.spec("no_such_command_here")
        (found,) = run(harness, spec)
        assert found.exit is not None
        assert found.exit.code == 127
        assert b"no_such_command_here" in (harness.executor.store.tail(spec.instance_id, "stderr", 1000) or b"")

    def test_missing_working_folder_is_said_in_stderr(self, harness: Harness, tmp_path: os.PathLike[str]) -> None:
        spec = harness.spec("true", working_dir=os.path.join(tmp_path, "not there"))
        (found,) = run(harness, spec)
        assert found.exit is not None
        assert found.exit.code == 126
        assert b"not there" in (harness.executor.store.tail(spec.instance_id, "stderr", 1000) or b"")


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def check_late_submission(harness: Harness, folder: Path) -> None:
    """A submission that is held up (see `write_waiting_program`) while somebody gives the attempt up."""
    spec = harness.spec(f"echo ran >>{folder}/ledger")
    thread = threading.Thread(target=harness.executor.submit, args=([spec],))
    thread.start()
    wait_until(lambda: (folder / "waiting").exists(), 60, "the submission is held up")
    stands = harness.executor.store.void([spec.instance_id], "test")
    (folder / "go").touch()
    thread.join()
    assert stands[spec.instance_id].kind is TokenKind.VOID
    wait_until(lambda: spec.name not in harness.executor.poll(), 60, "the end of the late job")
    assert evidence(harness, spec).token == stands[spec.instance_id]
    assert not (folder / "ledger").exists()
