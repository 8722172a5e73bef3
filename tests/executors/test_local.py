"""The contract on the local machine, and what holds only there."""

from __future__ import annotations

import errno
import os
import pwd
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from executors import local as local_executor
from executors import processes
from executors.base import ExecutorUnavailable, JobSpec, Phase, Resources, TokenKind
from executors.local import LocalExecutor, SequentialExecutor
from executors.local_spool import LocalSpool
from executors.script import install_wrapper
from tests.executors.contract import ShellContract, evidence, ref, run
from tests.executors.contract_secret_files import SecretFilesContract
from tests.executors.harness import LOCAL_KINDS, STANDS_STILL, LocalHarness, wait_until

Make = Callable[..., LocalHarness]


@pytest.fixture(params=LOCAL_KINDS, ids=lambda kind: kind.queue)
def harness(request: pytest.FixtureRequest, make_local: Make) -> LocalHarness:
    return make_local(kind=request.param)


class TestContract(ShellContract):
    """Local and sequential."""


class TestSecretFiles(SecretFilesContract):
    """Local and sequential."""


def ledger_command(ledger: Path, slots: int, seconds: float = 0.05) -> str:
    """Appends its start and its end, with its slots, to one file; single small appends do not mix."""
    return f"echo +{slots} >>{ledger}; sleep {seconds}; echo -{slots} >>{ledger}"


def peak_of(ledger: Path) -> int:
    total = peak = 0
    for line in ledger.read_text().splitlines():
        total += int(line)
        peak = max(peak, total)
    assert total == 0
    return peak


class TestCapacity:
    def test_slots_are_shared_by_both_queues_and_never_exceeded(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(slots=4)
        other = SequentialExecutor("sequential", local.spool, local.sockets, slots=4, memory=4.0)
        ledger = tmp_path / "ledger"
        wide = [local.spec(ledger_command(ledger, n % 3 + 1), slots=n % 3 + 1) for n in range(24)]
        single = [local.spec(ledger_command(ledger, 2), slots=2) for _ in range(6)]
        local.executor.submit(wide[:12])
        other.submit(single)
        local.executor.submit(wide[12:])
        local.wait_for_end([spec.name for spec in wide])
        wait_until(lambda: not other.poll(), "the sequential ones")
        assert 1 < peak_of(ledger) <= 4
        assert all(found.exit for found in local.spool.read(s.instance_id for s in wide + single).values())

    def test_memory_is_never_exceeded(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(slots=8, memory=4.0)
        ledger = tmp_path / "ledger"
        run(local, *[local.spec(ledger_command(ledger, 3), mem_free=1.5) for _ in range(8)])
        assert peak_of(ledger) <= 6  # two of them: 3 GB of 4

    def test_sequential_runs_one_at_a_time_in_order_of_instances(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(kind=SequentialExecutor, slots=4)
        ledger = tmp_path / "ledger"
        order = tmp_path / "order"
        specs = [
            local.spec(f"echo $JOBMON_JOB_INSTANCE_ID >>{order}; {ledger_command(ledger, 1, 0.01)}") for _ in range(8)
        ]
        run(local, *reversed(specs))
        numbers = [int(line) for line in order.read_text().split()]
        # The first to arrive may start before the others are there; from then on the lowest is next.
        assert numbers[0] == specs[-1].instance_id or numbers == sorted(numbers)
        assert numbers[1:] == sorted(numbers[1:])
        assert peak_of(ledger) == 1

    def test_refusal_is_a_sentence(self, make_local: Make) -> None:
        executor = make_local(slots=2, memory=4.0).executor
        assert executor.refuse(Resources(slots=2, mem_free=4.0)) is None
        assert executor.refuse(Resources(slots=8)) == (
            "asks for 8 slots; executor local has 2. Ask for less, or give it more with JOBMON_LOCAL_SLOTS."
        )
        assert "JOBMON_LOCAL_MEMORY" in (executor.refuse(Resources(mem_free=4.5)) or "")

    def test_what_can_never_run_is_rejected_without_a_file(self, make_local: Make) -> None:
        local = make_local(slots=2)
        spec, fine = local.spec("true", slots=3), local.spec("true")
        result = local.executor.submit([spec, fine])
        assert "asks for 3 slots" in result.rejected[spec.name]
        assert fine.name in result.accepted
        assert not Path(local.spool.file(spec.instance_id, "command")).exists()


class TestRejection:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"command": "a\0b"}, "NUL"),
            ({"command": "a\ud800b"}, "not valid text"),
            ({"stdout_path": "relative/out"}, "absolute"),
            ({"working_dir": "relative"}, "absolute"),
            ({"environment": (("A", "x\0y"),)}, "NUL"),
            ({"environment": (("A-B", "x"),)}, "A-B"),
            ({"environment": (("A", "x" * 200_000),)}, "too long"),
            ({"environment": tuple((f"A{n}", "x" * 100_000) for n in range(20))}, "too large"),
            ({"stdout_path": "/proc/nothing/here/out"}, "/proc/nothing/here"),
        ],
    )
    def test_what_no_process_can_carry(self, make_local: Make, given: dict[str, object], words: str) -> None:
        local = make_local()
        spec = local.spec(**({"command": "true"} | given))  # type: ignore[arg-type]
        result = local.executor.submit([spec])
        assert words in result.rejected[spec.name]
        assert not result.accepted

    def test_output_file_that_cannot_be_opened(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        (tmp_path / "out").mkdir()
        spec = local.spec("true", stdout_path=str(tmp_path / "out"))
        (found,) = run(local, spec)
        assert found.exit is not None
        assert found.exit.code == 126
        assert b"cannot write to the output files" in Path(local.spool.file(spec.instance_id, "err")).read_bytes()


class TestIsolation:
    LEAKS = {
        "PYTHONPATH": "/leak", "PYTHONHOME": "", "LD_LIBRARY_PATH": "/leak", "BASH_ENV": "/leak", "ENV": "/leak",
        "DJANGO_SETTINGS_MODULE": "leak", "SECRET_KEY": "leak", "PATH": "/leak:/usr/bin:/bin", "HOME": "/leak",
        "BASH_FUNC_ls%%": "() { echo leak; }", "TMPDIR": "/leak",
    }  # fmt: skip

    def test_only_what_was_given_is_in_the_environment(self, make_local: Make) -> None:
        local = make_local(environment=self.LEAKS)
        spec = local.spec("exec /usr/bin/env -0", environment=(("MINE", "x"), ("IFS", "x"), ("OPTIND", "no number")))
        run(local, spec)
        content = Path(local.spool.file(spec.instance_id, "out")).read_bytes()
        names = {item.partition(b"=")[0].decode() for item in content.split(b"\0") if item}
        by_the_shell = {"PWD", "SHLVL", "_", "OLDPWD"}
        login = {"PATH", "HOME", "SHELL", "USER", "LOGNAME", "LC_CTYPE"}
        assert names - by_the_shell == login | {"MINE", "JOBMON_JOB_INSTANCE_ID", "JOBMON_ATTEMPT", "JOBMON_START"}
        assert b"leak" not in content

    def test_text_is_utf8_unless_the_job_says_otherwise(self, make_local: Make) -> None:
        local = make_local()
        given = local.spec('echo "$LANG $LC_CTYPE."', environment=(("LANG", "de_DE.ISO-8859-1"),))
        none = local.spec("locale charmap")
        run(local, given, none)
        assert local.spool.tail(given.instance_id, "stdout", 100) == b"de_DE.ISO-8859-1 .\n"
        assert local.spool.tail(none.instance_id, "stdout", 100) == b"UTF-8\n"

    def test_no_shell_has_to_look_the_account_up(self, make_local: Make) -> None:
        local = make_local()
        spec = local.spec('echo "$HOME $USER $LOGNAME $SHELL"')
        run(local, spec)
        account = pwd.getpwuid(os.getuid())
        words = f"{account.pw_dir} {account.pw_name} {account.pw_name} /bin/bash\n"
        assert local.spool.tail(spec.instance_id, "stdout", 1000) == words.encode()

    def test_no_descriptor_leaks(self, make_local: Make) -> None:
        local = make_local()
        # Run by exec, so that neither bash's own descriptor for its script nor that of the listing is there.
        spec = local.spec("exec /bin/ls -l /proc/self/fd")
        run(local, spec)
        lines = Path(local.spool.file(spec.instance_id, "out")).read_text().splitlines()
        targets = {line.split(" -> ")[1] for line in lines if " -> " in line}
        folder = str(local.spool.folder(spec.instance_id))
        extra = {t for t in targets if t != "/dev/null" and not t.startswith((folder, "/proc/"))}
        assert extra == set()
        assert len(targets) >= 3

    def test_signals_are_not_ignored_in_jobs(self, make_local: Make) -> None:
        local = make_local()
        spec = local.spec("exec /bin/cat /proc/self/status")
        run(local, spec)
        lines = Path(local.spool.file(spec.instance_id, "out")).read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        internal = 1 << 31 | 1 << 32  # 32 and 33 belong to the C library; its posix_spawn leaves them ignored
        assert int(status["SigIgn"], 16) & ~internal == 0
        assert int(status["SigBlk"], 16) == 0

    def test_socket_path_may_be_long(self, tmp_path: Path) -> None:
        folder = tmp_path / ("long" * 40) / ("longer" * 30)
        folder.mkdir(parents=True)
        local = LocalHarness(folder)
        try:
            (found,) = run(local, local.spec("true"))
            assert found.exit is not None
        finally:
            local.close()


STUBBORN = """
trap '' TERM
setsid sh -c 'trap "" TERM; while :; do sleep 1000; done' &
env -i setsid sleep 1000 &
(trap '' TERM; sleep 1000) &
(setsid sh -c 'echo $$ >daemon.new; mv daemon.new daemon; exec sleep 1000' &)
while [ ! -e daemon ]; do sleep 0.02; done
echo ready >ready
while :; do sleep 1000; done
"""


class TestEnding:
    def test_run_time_limit_ends_politely_first(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(grace=30.0, environment=STANDS_STILL)
        command = "trap 'echo goodbye; exit 5' TERM; sleep 1000 & echo >ready; wait"
        spec = local.spec(command, working_dir=str(tmp_path), max_runtime=1)
        local.submit_and_hold(spec, (tmp_path / "ready").exists)
        local.wait_for_end([spec.name])
        found = evidence(local, spec)
        assert found.over == "runtime"
        assert found.exit is not None
        assert found.exit.code == 5
        assert local.spool.tail(spec.instance_id, "stdout", 100) == b"goodbye\n"

    def test_run_time_limit_without_a_trap_reads_as_sigterm(self, make_local: Make) -> None:
        local = make_local()
        (found,) = run(local, local.spec("sleep 1000", max_runtime=1))
        assert found.over == "runtime"
        assert found.exit is not None
        assert found.exit.code == 143

    def test_run_time_limit_kills_what_ignores_it(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(environment=STANDS_STILL)
        spec = local.spec(STUBBORN, working_dir=str(tmp_path), max_runtime=1)
        local.submit_and_hold(spec, (tmp_path / "ready").exists)
        before = children_of_session(local, spec)
        local.wait_for_end([spec.name])
        found = evidence(local, spec)
        assert found.over == "runtime"
        assert found.exit is not None
        assert found.exit.code == 137
        assert [pid for pid in [*before, daemon(tmp_path)] if is_alive(pid)] == []

    def test_cancel_kills_what_ignores_it(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        spec = local.spec(STUBBORN, working_dir=str(tmp_path))
        local.executor.submit([spec])
        wait_until((tmp_path / "ready").exists, "the whole tree")
        before = children_of_session(local, spec)
        assert len(before) >= 5
        local.executor.cancel([ref(spec)])
        local.wait_for_end([spec.name])
        found = evidence(local, spec)
        assert found.over is None
        assert found.exit is not None
        assert found.exit.code == 137
        assert [pid for pid in [*before, daemon(tmp_path)] if is_alive(pid)] == []

    def test_ending_one_leaves_the_others(self, make_local: Make) -> None:
        local = make_local(slots=2)
        one, two = local.spec("sleep 1000"), local.spec("sleep 1000")
        local.executor.submit([one, two])
        for spec in (one, two):
            local.wait_for_phase(spec.name, Phase.RUNNING)
        local.executor.cancel([ref(one)])
        local.wait_for_end([one.name])
        assert local.executor.poll()[two.name].phase is Phase.RUNNING
        assert local.processes_of(two)

    def test_an_attempt_of_that_name_of_another_server_lives_on(self, make_local: Make) -> None:
        """Two servers of one person on one machine both have an attempt jm1-15."""
        local = make_local()
        spec = local.spec("sleep 1000")
        marked = {"PATH": os.environ["PATH"], "JOBMON_ATTEMPT": spec.name}
        theirs = subprocess.Popen(["/bin/sleep", "1000"], env=marked, start_new_session=True)
        try:
            local.executor.submit([spec])
            local.wait_for_phase(spec.name, Phase.RUNNING)
            local.restart()
            local.executor.cancel([ref(spec)])
            local.wait_for_end([spec.name])
            assert theirs.poll() is None
        finally:
            theirs.kill()
            theirs.wait()

    def test_kill_of_the_wrapper_leaves_nothing_running(self, make_local: Make) -> None:
        """Without its wrapper nobody would record the end: a second attempt could run beside the first."""
        local = make_local()
        spec = local.spec("sleep 1000")
        local.executor.submit([spec])
        local.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until(lambda: len(local.processes_of(spec)) >= 2, "the command")
        token = evidence(local, spec).token
        assert token is not None
        assert token.process_group_id is not None
        os.kill(token.process_group_id, signal.SIGKILL)
        local.wait_for_end([spec.name])
        assert local.processes_of(spec) == []
        assert evidence(local, spec).exit is None
        assert spec.instance_id in {hint.instance_id for hint in local.spool.hints()}

    def test_group_kill_by_the_command_still_leaves_an_exit_record(self, make_local: Make) -> None:
        local = make_local()
        (found,) = run(local, local.spec("kill -TERM 0; sleep 1000"))
        assert found.exit is not None
        assert found.exit.code == 143

    def test_background_processes_of_a_finished_job_do_not_hold_it(self, make_local: Make) -> None:
        local = make_local()
        (found,) = run(local, local.spec("sleep 1000 >/dev/null 2>&1 & exit 4"))
        assert found.exit is not None
        assert found.exit.code == 4


class TestUsage:
    def test_memory_cpu_and_time_are_measured(self, make_local: Make) -> None:
        local = make_local()
        python = "b = bytearray(200_000_000); b[::4096] = b'x' * len(b[::4096]); sum(range(6_000_000))"
        spec = local.spec(f'{os.sys.executable} -I -S -c "{python}"; sleep 0.3')
        run(local, spec)
        usage = evidence(local, spec).usage
        assert usage is not None
        assert usage.maxvmem is not None
        assert 200_000_000 < usage.maxvmem < 300_000_000
        assert usage.cpu is not None
        assert usage.wallclock is not None
        assert 0.05 < usage.cpu < usage.wallclock + 0.5
        assert usage.wallclock > 0.3
        assert usage.io is not None


class TestFiles:
    def test_an_attempt_leaves_four_files_and_its_hint_is_one_of_them(self, make_local: Make) -> None:
        local = make_local()
        spec = local.spec("true")
        run(local, spec)
        number = spec.instance_id
        names = {name for name in os.listdir(local.spool.folder(number)) if name.startswith(f"{number}.")}
        assert names == {f"{number}.{name}" for name in ("command", "token", "out", "err")}
        token = Path(local.spool.file(number, "token"))
        hint = local.spool.ended / f"{spec.run_id}.{number}"
        assert hint.stat().st_ino == token.stat().st_ino
        assert token.read_text().splitlines()[-1].startswith("usage wallclock=")

    def test_whoever_sees_a_hint_sees_the_usage(self, make_local: Make) -> None:
        local = make_local()
        specs = [local.spec("true") for _ in range(20)]
        local.executor.submit(specs)
        seen: set[int] = set()

        def is_complete() -> bool:
            for hint in local.spool.hints():
                usage = local.spool.read([hint.instance_id])[hint.instance_id].usage
                assert usage is not None
                assert usage.maxvmem is not None
                seen.add(hint.instance_id)
            return len(seen) == len(specs)

        wait_until(is_complete, "all hints")

    def test_command_is_in_nobodys_arguments(self, make_local: Make) -> None:
        local = make_local()
        spec = local.spec("secret=hunter2; while :; do sleep 1000; done")
        local.executor.submit([spec])
        local.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until(lambda: len(local.processes_of(spec)) >= 3, "the command")
        arguments = [word for pid in local.processes_of(spec) for word in processes.read_arguments(pid)]
        assert arguments
        assert not any(b"hunter2" in word for word in arguments)

    def test_without_a_working_folder_it_is_the_home_folder(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        given = local.spec("pwd -P", environment=(("HOME", str(tmp_path)),))
        none = local.spec("pwd -P")
        run(local, given, none)
        home = os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
        for spec, folder in ((given, os.path.realpath(tmp_path)), (none, home)):
            assert local.spool.tail(spec.instance_id, "stdout", 4096) == os.fsencode(folder) + b"\n"


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> object:
        """A file system of 256 KiB. Needs root."""
        folder = tmp_path / "small"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"cannot mount a small file system: {done.stderr.decode().strip()}")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)

    def fill(self, folder: Path) -> None:
        with open(folder / "filler", "ab", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 512)

    def test_no_exit_code_is_lost(self, make_local: Make, small_disk: Path) -> None:
        local = make_local(root=small_disk / "spool")
        spec = local.spec(f"while [ ! -e {small_disk}/filler.done ]; do sleep 0.05; done; exit 3")
        local.executor.submit([spec])
        local.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until(lambda: evidence(local, spec).token and evidence(local, spec).token.nonce, "the whole token")
        (small_disk / "filler.done.tmp").touch()
        self.fill(small_disk)
        os.rename(small_disk / "filler.done.tmp", small_disk / "filler.done")
        local.wait_for_end([spec.name])
        found = evidence(local, spec)
        assert found.exit is not None
        assert found.exit.code == 3
        assert spec.instance_id in {hint.instance_id for hint in local.spool.hints()}

    def test_token_that_cannot_be_written_is_taken_back(self, tmp_path: Path, small_disk: Path) -> None:
        wrapper = install_wrapper(tmp_path)
        spool = LocalSpool(small_disk)
        spool.prepare(1, f"touch {tmp_path}/has_run")
        self.fill(small_disk)
        arguments = ["nonce", "host", "id", "1.0", "/", str(tmp_path / "out"), str(tmp_path / "err")]
        done = subprocess.run(["/bin/sh", str(wrapper), spool.prefix(1), *arguments], check=False)
        assert done.returncode == 1
        assert not (tmp_path / "has_run").exists()
        assert spool.read([1]) == {}

    def test_nothing_starts_and_nobody_is_blamed(self, make_local: Make, small_disk: Path) -> None:
        local = make_local(root=small_disk / "spool")
        spec = local.spec("true")
        self.fill(small_disk)
        with pytest.raises(ExecutorUnavailable, match="No space left"):
            local.executor.submit([spec])
        assert evidence(local, spec).token is None
        (small_disk / "filler").unlink()
        assert local.spool.void([spec.instance_id], "test")[spec.instance_id].kind is TokenKind.VOID


def children_of_session(local: LocalHarness, spec: JobSpec) -> list[int]:
    """All processes of the job, those with an emptied environment included."""
    token = evidence(local, spec).token
    assert token is not None
    assert token.process_group_id is not None
    listed = processes.list_marked("JOBMON_ATTEMPT")
    return processes.find_members(listed, token.process_group_id, spec.name)


def daemon(folder: Path) -> int:
    """The process that left its session and its parents: only its environment says whose it is."""
    return int((folder / "daemon").read_text())


def is_alive(pid: int) -> bool:
    process = processes.read_process(pid)
    return process is not None and not process.is_zombie


def test_kinds_have_their_own_queue() -> None:
    assert (LocalExecutor.queue, SequentialExecutor.queue) == ("local", "sequential")


class Watched(LocalSpool):
    """Calls `look` before each attempt that it prepares, twice where it first has to make the folder."""

    look: Callable[[int], None]

    def prepare(self, instance_id: int, command: str) -> bool:
        self.look(instance_id)
        return super().prepare(instance_id, command)


class TestSlowDisk:
    def test_what_is_prepared_first_does_not_wait_for_the_last(
        self, make_local: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_executor, "LONGEST_PIECE", 0.0)
        local = make_local(slots=1)
        specs = [local.spec("sleep 1000"), local.spec("exit 0"), local.spec("exit 0")]
        spool = Watched(local.root)
        listed: dict[int, set[str]] = {}
        spool.look = lambda number: listed.update({number: set(local.executor.poll())})
        executor = LocalExecutor("local", spool, local.sockets, slots=1, memory=4.0)
        names = [spec.name for spec in specs]
        assert list(executor.submit(specs).accepted) == names
        assert list(listed.values()) == [set(), {names[0]}, set(names[:2])]

    def test_what_was_handed_over_before_the_disk_failed_is_told(
        self, make_local: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(local_executor, "LONGEST_PIECE", 0.0)
        local = make_local(slots=1)
        specs = [local.spec("sleep 1000"), local.spec("sleep 1000")]
        spool = Watched(local.root)

        def fail_after_the_first(_: int) -> None:
            if local.executor.poll():
                raise OSError(errno.ENOSPC, "No space left on device")

        spool.look = fail_after_the_first
        executor = LocalExecutor("local", spool, local.sockets, slots=1, memory=4.0)
        with pytest.raises(ExecutorUnavailable, match="No space") as caught:
            executor.submit(specs)
        assert list(caught.value.accepted) == [specs[0].name]
