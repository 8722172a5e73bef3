"""What the supervisor does about parts that die, early or late, and about those that live and give no sign of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobmon_site import supervisor
from jobmon_site.supervisor import MAX_BACKOFF_SECONDS, STABLE_SECONDS, START_TRIES, Child, Part, Plan
from tests.waiting import wait_until

DIES = """\
echo started >> {count}
[ $(wc -l < {count}) -gt {times} ] || exit 7
[ -z "$JOBMON_READY_FD" ] || eval "printf 1 >&$JOBMON_READY_FD"
exec sleep 600
"""


@pytest.fixture
def child() -> Child:
    made = Child(Part("worker", ["true"], {}, "/dev/null", 2, "announce"))
    made.started = 1000.0
    return made


def test_a_part_that_had_worked_comes_back_at_once(child: Child) -> None:
    for _ in range(5):
        assert child.plan_restart(child.started + STABLE_SECONDS + 1) <= 0.5


def test_a_part_that_dies_at_once_waits_longer_each_time(child: Child) -> None:
    delays = [child.plan_restart(child.started + 1) for _ in range(12)]
    assert delays == sorted(delays)
    assert delays[0] <= 0.5
    assert delays[-1] == MAX_BACKOFF_SECONDS


def test_a_long_life_makes_good_for_short_ones(child: Child) -> None:
    for _ in range(8):
        child.plan_restart(child.started + 1)
    assert child.plan_restart(child.started + STABLE_SECONDS + 1) <= 0.5


def start_supervisor(folder: Path, *parts: Part) -> subprocess.Popen[str]:
    plan = Plan(list(parts), str(folder), str(folder / "server.json"), str(folder / "parts.json"), {}, "up")
    memory = os.memfd_create("plan", 0)
    os.write(memory, plan.dump())
    os.lseek(memory, 0, os.SEEK_SET)
    program = [sys.executable, "-I", "-S", supervisor.__file__, str(memory)]
    process = subprocess.Popen(program, pass_fds=[memory], stdout=subprocess.PIPE, text=True, cwd=folder)
    os.close(memory)
    return process


def make_part(folder: Path, times: int, **given: object) -> Part:
    """One that dies so many times before it comes up."""
    script = folder / "part"
    script.write_text(DIES.format(count=folder / "count", times=times))
    environment = {"PATH": os.environ["PATH"]}
    return Part("worker", ["bash", str(script)], environment, str(folder / "log"), 2, "announce", 5.0, **given)  # type: ignore[arg-type]


def starts(folder: Path) -> int:
    path = folder / "count"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_an_accident_during_the_start_does_not_end_it(tmp_path: Path) -> None:
    process = start_supervisor(tmp_path, make_part(tmp_path, times=START_TRIES - 1))
    try:
        wait_until(lambda: (tmp_path / "server.json").exists(), 60, "the start is over")
        assert starts(tmp_path) == START_TRIES
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.count("before it was up; it starts again") == START_TRIES - 1


def test_a_part_that_cannot_start_ends_the_start(tmp_path: Path) -> None:
    process = start_supervisor(tmp_path, make_part(tmp_path, times=99))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert starts(tmp_path) == START_TRIES
    assert "The worker part ended with exit code 7" in output
    assert not (tmp_path / "server.json").exists()


def test_a_part_that_stands_still_is_replaced(tmp_path: Path) -> None:
    """It was up, and never renewed its heartbeat."""
    part = make_part(tmp_path, times=0, heartbeat=str(tmp_path / "beat"), silence_seconds=1.0)
    process = start_supervisor(tmp_path, part)
    try:
        wait_until(lambda: starts(tmp_path) >= 2, 60, "the silent part is started anew")
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert "gives no sign of life" in output
    assert "signal 9" in output


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    part = Part("worker", ["sleep", "600"], {"PATH": os.environ["PATH"]}, str(tmp_path / "log"), 2, "announce")
    made = Child(Part(**{**vars(part), "heartbeat": str(tmp_path / "beat"), "silence_seconds": 60.0}))
    made.start(str(tmp_path))
    yield made
    made.signal(signal.SIGKILL)
    assert made.process is not None
    made.process.wait()


def test_silence_is_counted_from_the_last_change_of_the_heartbeat(sleeper: Child) -> None:
    beat, begun = Path(sleeper.part.heartbeat), sleeper.heard_at
    assert not sleeper.is_silent(begun + 59)
    beat.touch()
    os.utime(beat, ns=(0, 1))  # a clock that was set back, too, is a sign of life
    assert not sleeper.is_silent(begun + 100)
    assert not sleeper.is_silent(begun + 159)
    assert sleeper.is_silent(begun + 161)


def test_a_part_without_a_limit_is_never_silent(child: Child) -> None:
    assert not child.is_silent(1e9)


@pytest.mark.parametrize("answers", [True, False])
def test_redis_gives_signs_by_answering(tmp_path: Path, answers: bool) -> None:
    path = tmp_path / "redis.sock"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def answer() -> None:
        with suppress(OSError):  # nobody listens any more
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):  # whoever asked may have given up
                    connection.recv(100)
                    connection.sendall(b"+PONG\r\n")

    part = Part("redis", ["sleep", "600"], {"PATH": os.environ["PATH"]}, str(tmp_path / "log"), 0, f"redis:{path}")
    made = Child(Part(**{**vars(part), "silence_seconds": 15.0}))
    made.start(str(tmp_path))
    thread = threading.Thread(target=answer, daemon=True)
    if answers:
        thread.start()
    try:
        if answers:  # in time, if the machine lets it
            wait_until(lambda: not made.is_silent(made.started + 20), what="a sign")
        else:
            assert made.is_silent(made.started + 20)
    finally:
        made.signal(signal.SIGKILL)
        assert made.process is not None
        made.process.wait()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_the_plan_keeps_what_is_new(tmp_path: Path) -> None:
    part = make_part(tmp_path, times=0, heartbeat="/beat", silence_seconds=2.0)
    plan = Plan([part], "/", "/s", "/p", {}, "")
    assert json.loads(plan.dump())["parts"][0]["heartbeat"] == "/beat"
    assert Plan.load(plan.dump()).parts == [part]
