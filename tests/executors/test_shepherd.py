"""The shepherd dies, is stopped, restarted; its jobs and their outcomes do not care."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from executors import processes, unix_socket
from executors.base import Evidence, ExecutorUnavailable, Phase, Token, TokenKind
from executors.local import SequentialExecutor, shepherd_command
from executors.local_journal import Entry, Journal, replay
from executors.local_recovery import Fate, judge
from executors.script import job_environment
from executors.shepherd import JOURNAL_NAME, SOCKET_NAME
from tests.executors.contract import evidence, ref, run
from tests.executors.harness import STANDS_STILL, LocalHarness, wait_until
from tests.executors.test_local import STUBBORN, is_alive, ledger_command, peak_of

Make = Callable[..., LocalHarness]


def gate(folder: Path, code: int) -> str:
    """A command that waits until the test opens the gate."""
    return f"while [ ! -e {folder}/gate ]; do sleep 0.02; done; exit {code}"


def start_gated(local: LocalHarness, folder: Path, code: int, **given: object) -> object:
    spec = local.spec(gate(folder, code), **given)
    local.executor.submit([spec])
    local.wait_for_phase(spec.name, Phase.RUNNING)
    return spec


class TestDeath:
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_running_job_is_adopted_and_its_exit_code_kept(
        self, make_local: Make, tmp_path: Path, number: signal.Signals
    ) -> None:
        local = make_local()
        spec = start_gated(local, tmp_path, 42)
        code = local.stop(number)
        assert code == (0 if number != signal.SIGKILL else -signal.SIGKILL)
        assert local.processes_of(spec)
        local.start()
        assert local.executor.poll()[spec.name].phase is Phase.RUNNING
        (tmp_path / "gate").touch()
        local.wait_for_end([spec.name])
        assert evidence(local, spec).exit.code == 42
        usage = evidence(local, spec).usage
        assert usage.cpu is not None
        assert usage.wallclock > 0

    def test_job_that_ends_while_nobody_watches_is_hinted_afterwards(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        spec = start_gated(local, tmp_path, 3)
        local.stop(signal.SIGKILL)
        (tmp_path / "gate").touch()
        wait_until(lambda: evidence(local, spec).exit, "the exit record")
        wait_until(lambda: not local.processes_of(spec), "the end of the wrapper, which wrote it")
        assert local.spool.hints() == []
        before = evidence(local, spec)
        local.start()
        assert local.executor.poll() == {}
        assert [hint.instance_id for hint in local.spool.hints()] == [spec.instance_id]
        assert evidence(local, spec) == before
        local.spool.clear_hints(local.spool.hints())
        local.restart()
        assert local.spool.hints() == []

    def test_killed_between_usage_and_hint_keeps_both(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        local.stop()
        local.start({"JOBMON_FAULTS": "before_hint:kill"})
        spec = start_gated(local, tmp_path, 3)
        (tmp_path / "gate").touch()
        local.process.wait(60)
        before = evidence(local, spec)
        assert before.exit.code == 3
        assert before.usage.maxvmem is not None
        assert local.spool.hints() == []
        local.start()
        assert local.executor.poll() == {}
        assert [hint.instance_id for hint in local.spool.hints()] == [spec.instance_id]
        assert evidence(local, spec) == before

    def test_adopted_jobs_hold_their_slots(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(slots=3)
        spec = start_gated(local, tmp_path, 0, slots=2)
        local.restart()
        assert local.ping()["used_slots"] == 2
        wide, narrow = local.spec("true", slots=2), local.spec("true")
        local.executor.submit([wide, narrow])
        local.wait_for_end([narrow.name])
        assert local.executor.poll()[wide.name].phase is Phase.PENDING
        (tmp_path / "gate").touch()
        local.wait_for_end([spec.name, wide.name])

    def test_adopted_sequential_job_stays_alone(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(kind=SequentialExecutor)
        spec = start_gated(local, tmp_path, 0)
        local.restart()
        following = local.spec("true")
        local.executor.submit([following])
        assert local.executor.poll()[following.name].phase is Phase.PENDING
        (tmp_path / "gate").touch()
        local.wait_for_end([spec.name, following.name])

    def test_run_time_limit_holds_across_a_restart(self, make_local: Make) -> None:
        local = make_local()
        local.stop()
        local.start(STANDS_STILL)
        spec = local.spec("sleep 1000", max_runtime=2)
        local.executor.submit([spec])
        local.wait_for_token(spec.instance_id)
        local.restart()
        local.wait_for_end([spec.name])
        assert (evidence(local, spec).exit.code, evidence(local, spec).over) == (143, "runtime")

    def test_adopted_job_can_be_cancelled_with_its_whole_tree(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        spec = local.spec(STUBBORN, working_dir=str(tmp_path))
        local.executor.submit([spec])
        wait_until((tmp_path / "ready").exists, "the tree")
        local.restart()
        local.executor.cancel([ref(spec)])
        local.wait_for_end([spec.name])
        assert evidence(local, spec).exit.code == 137
        assert local.processes_of(spec) == []

    def test_memory_of_an_adopted_job_is_sampled(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        python = f"import os, time\nb = bytearray(100_000_000)\nopen('{tmp_path}/big', 'w')\n"
        python += f"while not os.path.exists('{tmp_path}/gate'): time.sleep(0.02)"
        spec = local.spec(f"{os.sys.executable} -I -S - <<'END'\n{python}\nEND")
        local.executor.submit([spec])
        wait_until((tmp_path / "big").exists, "the memory")
        local.restart()
        (tmp_path / "gate").touch()
        local.wait_for_end([spec.name])
        assert 100_000_000 < evidence(local, spec).usage.maxvmem < 200_000_000

    def test_wrapper_killed_while_nobody_watches_leaves_nothing_running(self, make_local: Make) -> None:
        local = make_local()
        spec = local.spec("sleep 1000")
        local.executor.submit([spec])
        local.wait_for_phase(spec.name, Phase.RUNNING)
        wait_until(lambda: len(local.processes_of(spec)) >= 2, "the command")
        local.stop(signal.SIGKILL)
        wrapper = evidence(local, spec).token.process_group_id
        os.kill(wrapper, signal.SIGKILL)
        wait_until(lambda: not is_alive(wrapper), "the end of the wrapper")
        local.start()
        assert local.executor.poll() == {}
        assert local.processes_of(spec) == []
        assert [hint.instance_id for hint in local.spool.hints()] == [spec.instance_id]

    @pytest.mark.parametrize("point", ["before_spawn", "after_spawn"])
    def test_killed_around_the_start(self, make_local: Make, tmp_path: Path, point: str) -> None:
        """Before: it never starts, and void wins. After: it is adopted, though its successor knows no pid."""
        local = make_local()
        local.stop()
        local.start({"JOBMON_FAULTS": f"{point}:kill"})
        spec = local.spec(gate(tmp_path, 7))
        with pytest.raises(ExecutorUnavailable):
            while True:
                local.executor.submit([spec])
                local.executor.poll()
        local.process.wait(60)
        local.start()
        if point == "before_spawn":
            wait_until(lambda: not local.executor.poll(), "forgetting it")
            assert local.spool.void([spec.instance_id], "test")[spec.instance_id].kind is TokenKind.VOID
        else:
            wait_until(lambda: evidence(local, spec).token, "its token")
            local.wait_for_phase(spec.name, Phase.RUNNING)
            (tmp_path / "gate").touch()
            local.wait_for_end([spec.name])
            assert evidence(local, spec).exit.code == 7

    def test_killed_during_recovery(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        spec = start_gated(local, tmp_path, 5)
        local.stop(signal.SIGKILL)
        environment = {"JOBMON_FAULTS": "in_recovery:kill"}
        done = subprocess.run(local._arguments, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
        local.start()
        (tmp_path / "gate").touch()
        local.wait_for_end([spec.name])
        assert evidence(local, spec).exit.code == 5

    def test_twenty_restarts_lose_and_double_nothing(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(slots=3)
        chance = random.Random(20)
        starts, ledger = tmp_path / "starts", tmp_path / "ledger"
        specs = []
        for _ in range(20):
            batch = [
                local.spec(
                    f"echo $JOBMON_JOB_INSTANCE_ID >>{starts}; "
                    f"{ledger_command(ledger, 1, chance.choice([0.01, 0.3]))}; exit {chance.randrange(5)}"
                )
                for _ in range(4)
            ]
            specs += batch
            local.executor.submit(batch)
            numbers = [spec.instance_id for spec in batch]
            wait_until(lambda numbers=numbers: local.spool.read(numbers), "a start")
            local.restart(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        wait_until(lambda: not local.executor.poll(), "the end of all")
        found = local.spool.read(spec.instance_id for spec in specs)
        started = [int(line) for line in starts.read_text().split()]
        assert len(started) == len(set(started))
        assert {number for number, e in found.items() if e.token.kind is TokenKind.START} == set(started)
        wanted = {s.instance_id: int(s.command.rsplit(" ", 1)[1]) for s in specs if s.instance_id in set(started)}
        assert {number: found[number].exit.code for number in started} == wanted
        assert {hint.instance_id for hint in local.spool.hints()} == set(started)
        assert peak_of(ledger) <= 3
        assert local.ping()["used_slots"] == 0
        assert len(started) >= 20


class TestTokens:
    def test_attempt_that_was_started_before_runs_nothing(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local()
        spec = local.spec("exit 0")
        token = Path(local.spool.file(spec.instance_id, "token"))
        local.executor.submit([spec])
        local.wait_for_end([spec.name])
        before = token.read_bytes()
        local.spool.clear_hints(local.spool.hints())
        local.executor._client.ask(
            "submit", attempts=[local.executor._render(spec, job_environment(spec, {"HOME": "/"}))]
        )
        local.wait_for_end([spec.name])
        assert token.read_bytes() == before
        assert local.spool.hints() == []

    def test_race_of_void_and_start_has_one_winner(self, make_local: Make) -> None:
        local = make_local(slots=4)
        specs = [local.spec("exit 9") for _ in range(60)]
        for spec in specs:
            local.executor.submit([spec])
            stands = local.spool.void([spec.instance_id], "test")[spec.instance_id]
            local.wait_for_end([spec.name])
            found = evidence(local, spec)
            assert found.token.kind is stands.kind
            assert (found.exit is not None) == (stands.kind is TokenKind.START)


class TestOneOfThem:
    def test_second_shepherd_for_a_spool_gives_up(self, make_local: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        from executors import shepherd

        local = make_local()
        assert shepherd.take_lock(local.root / shepherd.LOCK_NAME, wait=0.0) is None

    def test_shepherd_of_another_spool_is_not_believed(self, make_local: Make, tmp_path: Path) -> None:
        from executors.local import LocalExecutor
        from executors.local_spool import LocalSpool

        local = make_local()
        stranger = LocalExecutor("local", LocalSpool(tmp_path / "other"), local.sockets, slots=2, memory=4.0)
        with pytest.raises(ExecutorUnavailable, match="this shepherd serves"):
            stranger.poll()

    def test_wrong_folder_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        command = shepherd_command(tmp_path / "file" / "spool", tmp_path, 1, 1.0)
        done = subprocess.run(command, env={}, capture_output=True, timeout=60, check=False)
        assert done.returncode == 2
        assert b"cannot start" in done.stderr

    def test_socket_is_private(self, make_local: Make) -> None:
        local = make_local()
        assert (local.sockets / SOCKET_NAME).stat().st_mode & 0o077 == 0


class TestConversation:
    def connect(self, local: LocalHarness) -> socket.socket:
        return unix_socket.connect(local.sockets / SOCKET_NAME, 60.0)

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"[" * 100_000,
            b"nonsense",
            b"[]",
            b"{}",
            b'{"op": "submit"}',
            b"\xff\xfe",
            b'{"op": "none", "root": "/"}',
        ],
    )
    def test_nonsense_is_answered_and_harms_nobody(self, make_local: Make, line: bytes) -> None:
        local = make_local()
        with self.connect(local) as connection:
            connection.sendall(line + b"\n")
            assert "error" in json.loads(connection.makefile().readline())
        assert local.executor.poll() == {}

    def test_half_a_request_changes_nothing(self, make_local: Make) -> None:
        local = make_local()
        with self.connect(local) as connection:
            connection.sendall(b'{"op": "submit", "root"')
        (found,) = run(local, local.spec("true"))
        assert found.exit is not None

    def test_requests_in_pieces_and_two_at_once(self, make_local: Make) -> None:
        local = make_local()
        request = json.dumps({"op": "list", "root": str(local.root)}).encode() + b"\n"
        with self.connect(local) as connection:
            for byte in request:
                connection.sendall(bytes([byte]))
            connection.sendall(request * 2)
            lines = connection.makefile()
            assert [json.loads(lines.readline()) for _ in range(3)] == [{"attempts": []}] * 3

    def test_large_submission_and_slow_reader(self, make_local: Make, tmp_path: Path) -> None:
        local = make_local(slots=1)
        start_gated(local, tmp_path, 0)
        local.executor.submit([local.spec("true", environment=(("A", "x" * 20_000),)) for _ in range(200)])
        request = json.dumps({"op": "list", "root": str(local.root)}).encode() + b"\n"
        with self.connect(local) as slow:
            slow.sendall(request * 50)  # far more answers than the socket holds; nobody reads yet
            assert len(local.executor.poll()) == 201
            lines = slow.makefile()
            assert {len(json.loads(lines.readline())["attempts"]) for _ in range(50)} == {201}
        local.executor.cancel([ref(spec) for spec in local._specs.made])
        wait_until(lambda: not local.executor.poll(), "the end of all")

    def test_stopped_shepherd_is_unavailable(self, make_local: Make) -> None:
        from executors.local import LocalExecutor

        local = make_local()
        hasty = LocalExecutor("local", local.spool, local.sockets, slots=2, memory=4.0, timeout=0.3)
        local.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(ExecutorUnavailable):
                hasty.poll()
        finally:
            local.process.send_signal(signal.SIGCONT)


def entry(number: int, nonce: str = "n", boot: str = "b") -> Entry:
    return Entry(number, 1, f"name-{number}", "local", 1, 10, None, nonce, boot, 1000.0)


class TestJournal:
    def test_replay_answers_what_has_no_end(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "journal", [])
        for number in (1, 2, 3):
            journal.starting(entry(number))
        journal.ended(2)
        journal.close()
        assert replay(tmp_path / "journal") == [entry(1), entry(3)]

    def test_torn_last_line_is_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        journal = Journal(path, [entry(1)])
        journal.starting(entry(2))
        journal.close()
        path.write_bytes(path.read_bytes()[:-1])
        for cut in range(1, 60):
            path.write_bytes(path.read_bytes()[:-1])
            assert replay(path) == [entry(1)], cut

    def test_no_journal_is_an_empty_one(self, tmp_path: Path) -> None:
        assert replay(tmp_path / "none") == []

    def test_rewriting_keeps_only_what_lives(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        journal = Journal(path, [])
        for number in range(100):
            journal.starting(entry(number))
        journal.rewrite([entry(99)])
        journal.ended(99)
        journal.close()
        assert replay(path) == []
        assert path.stat().st_size < 500

    def test_long_journal_is_rewritten_while_it_is_used(
        self, make_local: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal = Journal(tmp_path / "journal", [])
        monkeypatch.setattr("executors.local_journal.COMPACT_BYTES", 500)
        assert not journal.is_long()
        for number in range(5):
            journal.starting(entry(number))
        assert journal.is_long()
        journal.rewrite([])
        assert not journal.is_long()
        journal.close()

    def test_without_room_for_a_new_one_the_old_one_goes_on(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        path.write_bytes(Path(Journal(tmp_path / "whole", [entry(1)])._path).read_bytes() + b'starting {"torn')
        (tmp_path / "journal.new").mkdir()  # nothing can be written there
        journal = Journal(path, [entry(1)])
        journal.starting(entry(2))
        journal.close()
        assert replay(path) == [entry(1), entry(2)]

    def test_shepherd_drops_what_is_no_journal(self, make_local: Make) -> None:
        local = make_local()
        local.stop()
        (local.root / JOURNAL_NAME).write_bytes(b'\x00\xffstarting {}\nstarting []\nended x\nstarting {"a": 1}\n')
        local.start()
        assert local.executor.poll() == {}


START = Token(TokenKind.START, nonce="n")


class TestJudge:
    @pytest.mark.parametrize(
        ("found", "is_alive", "boot", "fate"),
        [
            (Evidence(), True, "b", Fate.LIVES),
            (Evidence(START), True, "b", Fate.LIVES),
            (Evidence(), False, "b", Fate.UNSETTLED),
            (Evidence(), False, "other", Fate.NEVER),
            (Evidence(START), False, "b", Fate.ENDED),
            (Evidence(START), False, "other", Fate.ENDED),
            (Evidence(Token(TokenKind.START, nonce="")), False, "b", Fate.ENDED),
            (Evidence(Token(TokenKind.START, nonce="another")), False, "b", Fate.NEVER),
            (Evidence(Token(TokenKind.VOID, nonce="n")), False, "b", Fate.NEVER),
        ],
    )
    def test_fate(self, found: Evidence, is_alive: bool, boot: str, fate: Fate) -> None:
        assert judge(entry(1), found, is_alive, boot) is fate

    def test_what_has_not_started_in_time_never_will(self, make_local: Make) -> None:
        """Its wrapper may be a process that has not come to its first line yet: it would run without being listed."""
        local = make_local()
        spec = local.spec("true")
        local.spool.prepare(spec.instance_id, spec.command)
        local.stop()
        Journal(local.root / JOURNAL_NAME, [entry(spec.instance_id, boot=processes.boot_id())]).close()
        local.start()
        wait_until(lambda: not local.executor.poll(), "the end of waiting")
        token = evidence(local, spec).token
        assert token is not None
        assert token.kind is TokenKind.VOID

    def test_reboot_ends_what_ran(self, make_local: Make, tmp_path: Path) -> None:
        """After a boot another process has the pid of the wrapper; it must not be taken for it, nor be touched."""
        local = make_local()
        spec = local.spec("true")
        run(local, spec)
        local.spool.clear_hints(local.spool.hints())
        local.stop()
        bystander = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
        try:
            token = Path(local.spool.file(spec.instance_id, "token"))
            token.write_text(f"start old host {bystander.pid} {spec.name} 1000.0\n")
            journal = Journal(local.root / JOURNAL_NAME, [entry(spec.instance_id, "old", "earlier boot")])
            journal.close()
            local.start()
            assert local.executor.poll() == {}
            assert [hint.instance_id for hint in local.spool.hints()] == [spec.instance_id]
            assert processes.read_process(bystander.pid).is_zombie is False
        finally:
            bystander.kill()
            bystander.wait()
