"""The local wrapper, run by hand: its token, its exit record, its environment."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from executors.base import Evidence, JobSpec, TokenKind
from executors.local_spool import LocalSpool
from executors.script import SHELL, install_wrapper, job_environment, refuse_environment, refuse_text


@pytest.fixture
def spool(tmp_path: Path) -> LocalSpool:
    made = LocalSpool(tmp_path / "spool")
    made.create()
    return made


def arguments(spool: LocalSpool, number: int, nonce: str = "nonce") -> list[str]:
    files = [spool.file(number, name) for name in ("out", "err")]
    words = [spool.prefix(number), nonce, "host", "name", f"{time.time():.3f}", "/", *files]
    return [SHELL, str(install_wrapper(spool.root)), *words]


def run(spool: LocalSpool, command: str, environment: dict[str, str] | None = None) -> Evidence:
    spool.prepare(1, command)
    done = subprocess.run(arguments(spool, 1), env=environment or {}, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0
    return spool.read([1])[1]


def test_is_installed_once_per_version(spool: LocalSpool) -> None:
    path = install_wrapper(spool.root)
    before = path.stat()
    assert install_wrapper(spool.root) == path
    assert path.stat().st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o500


@pytest.mark.parametrize("code", [0, 1, 99, 100, 126, 127, 255])
def test_exit_code(spool: LocalSpool, code: int) -> None:
    found = run(spool, f"exit {code}")
    assert found.exit is not None
    assert found.exit.code == code
    assert found.usage is not None
    assert found.usage.cpu is not None


def test_cpu_of_the_command_is_in_the_times(spool: LocalSpool) -> None:
    found = run(spool, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    assert found.usage is not None
    assert found.usage.cpu is not None
    assert found.usage.cpu > 0.02


def test_loser_runs_nothing_and_exits_0(spool: LocalSpool) -> None:
    spool.prepare(1, "touch has_run")
    stands = spool.void([1], "test")[1]
    subprocess.run(arguments(spool, 1), check=True)
    assert spool.read([1])[1] == Evidence(token=stands)
    assert not Path(spool.file(1, "out")).exists()


def test_second_start_runs_nothing(spool: LocalSpool) -> None:
    first = run(spool, "echo once")
    subprocess.run(arguments(spool, 1, "other"), check=True)
    assert spool.read([1])[1] == first
    assert spool.tail(1, "stdout", 100) == b"once\n"


def test_of_ten_wrappers_at_once_one_runs(spool: LocalSpool) -> None:
    spool.prepare(1, "echo once")
    started = [subprocess.Popen(arguments(spool, 1, f"n{number}")) for number in range(10)]
    assert [process.wait() for process in started] == [0] * 10
    assert spool.tail(1, "stdout", 100) == b"once\n"


def test_no_folder_no_run(spool: LocalSpool) -> None:
    done = subprocess.run(arguments(spool, 1), capture_output=True, check=False)
    assert done.returncode == 0
    assert spool.read([1]) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signal_to_the_whole_group_still_leaves_an_exit(spool: LocalSpool, number: signal.Signals) -> None:
    spool.prepare(1, f"kill -{number.value} 0; sleep 1000")
    subprocess.run(arguments(spool, 1), start_new_session=True, check=True)
    found = spool.read([1])[1]
    assert found.token is not None
    assert found.token.kind is TokenKind.START
    assert found.exit is not None
    assert found.exit.code == 128 + number


def test_signals_are_not_trapped_in_the_command(spool: LocalSpool) -> None:
    assert run(spool, "kill -TERM $$; exit 0").exit.code == 143  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["__jobmon_code", "IFS", "PS4", "CDPATH", "PATH"])
def test_strange_environment_does_not_change_the_outcome(spool: LocalSpool, name: str) -> None:
    found = run(spool, "exit 6", {name: "/ 0 x"})
    assert found.exit is not None
    assert found.exit.code == 6


def spec(**given: object) -> JobSpec:
    return JobSpec(
        **({"instance_id": 8, "run_id": 1, "name": "jm-8", "batch": "jm-8", "index": 0, "command": "true"} | given)
    )  # type: ignore[arg-type]


def test_environment_is_what_was_given_and_little_more() -> None:
    found = job_environment(spec(environment=(("A", "1"), ("PATH", "/mine"), ("OPTIND", "x"))))
    assert found == {
        "A": "1", "PATH": "/mine", "LANG": "C.UTF-8", "JOBMON_JOB_INSTANCE_ID": "8", "JOBMON_ATTEMPT": "jm-8",
    }  # fmt: skip


def test_number_cannot_be_overridden() -> None:
    assert job_environment(spec(environment=(("JOBMON_JOB_INSTANCE_ID", "9"),)))["JOBMON_JOB_INSTANCE_ID"] == "8"


@pytest.mark.parametrize("name", ["", "A B", "1A", "A-B", "BASH_FUNC_ls%%", "É", "A\n"])
def test_names_a_shell_would_drop_are_refused(name: str) -> None:
    assert refuse_environment({name: "x"}) is not None


def test_ordinary_text_is_fine() -> None:
    assert refuse_text(spec(command="echo 'ü' | cat\n", working_dir="/tmp", environment=(("A", "日本"),))) is None
    assert refuse_environment({"A": "x" * 100_000}) is None
