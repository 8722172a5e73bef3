"""The parts of the embedded server, its lock and its address, without starting it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from executors.processes import process_start
from executors.unix_socket import is_answering
from jobmon_site import embedded, locking
from jobmon_site.environment import SettingError
from jobmon_site.home import Home
from jobmon_site.supervisor import Part, Plan, last_lines, open_log, write_private
from tests.ports import find_ports
from tests.waiting import wait_until


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home", tmp_path / "home")
    embedded.prepare_folders(found, found.spool)
    return found


def test_a_plan_survives_its_way_to_the_supervisor() -> None:
    part = Part("web", ["python", "-m", "x"], {"A": "ü"}, "/log", 2, "announce", 3.5, [4, 5])
    plan = Plan([part], "/code", "/home/server.json", "/home/parts.json", {"url": "http://x", "port": 1}, "hello\n")
    assert Plan.load(plan.dump()) == plan


def test_parts_get_only_what_they_need_of_the_environment() -> None:
    given = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "JOBMON_DB": "mysql",
        "SGE_ROOT": "/sge",
        "AWS_SECRET_ACCESS_KEY": "s",
        "SSH_AUTH_SOCK": "/s",
        "PYTHONPATH": "/evil",
    }
    assert embedded.pick_environment(given) == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "JOBMON_DB": "mysql",
        "SGE_ROOT": "/sge",
    }
    assert embedded.bare_environment(given) == {"PATH": "/bin"}


def test_redis_hears_on_its_private_socket_only(home: Home) -> None:
    part = embedded.redis_part(home, "/redis-server", {}, [3])
    options = dict(zip(part.argv[1::2], part.argv[2::2], strict=True))
    assert options["--port"] == "0"
    assert options["--unixsocket"] == str(home.redis_socket)
    assert options["--unixsocketperm"] == "700"
    assert options["--save"] == ""
    assert options["--appendonly"] == "no"
    assert options["--maxmemory-policy"] == "noeviction"


def test_the_lock_does_not_reach_the_jobs(home: Home) -> None:
    """Jobs outlive the server; if they held the lock, it could not start again before they end."""
    assert embedded.shepherd_part(home, home.spool, home.local, 1, 1.0, {}).descriptors == []
    assert embedded.web_part(home, 7, {}, [3]).descriptors == [3, 7]


def test_the_redis_program_is_found_and_runs() -> None:
    done = subprocess.run([embedded.find_redis(), "--version"], capture_output=True, text=True, timeout=30)
    assert "server v=" in done.stdout


@pytest.fixture
def taken() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_gives_way_to_a_free_one_unless_it_was_asked_for(taken: int) -> None:
    with embedded.listen("", taken) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.getsockname()[1] != taken
    with pytest.raises(SettingError, match="JOBMON_PORT"):
        embedded.listen(str(taken))


def test_a_free_port_that_was_asked_for_is_taken(taken: int) -> None:
    free = find_ports(1)
    with embedded.listen(str(free)) as listener:
        assert listener.getsockname()[1] == free


def test_the_lock_is_taken_once(home: Home) -> None:
    home.server_file.write_text(json.dumps({"url": "http://127.0.0.1:4711"}))
    first = locking.take_lock(home)
    assert not home.server_file.exists(), "an old address is worse than none"
    write_private(home.server_file, {"url": "http://127.0.0.1:4711"})
    with pytest.raises(SettingError, match=f"already running.*http://127.0.0.1:4711, pid {os.getpid()}"):
        locking.take_lock(home)
    os.close(first)
    os.close(locking.take_lock(home))


def test_a_dead_servers_lock_is_waited_for(home: Home) -> None:
    """The parts of a server that died hold the lock until the last of them is gone."""
    holder = start_holder(home)
    home.lock_file.write_text(json.dumps({"pid": os.getpid(), "start": "0"}))  # the same pid, another process
    try:
        with pytest.raises(SettingError, match="held by an unknown process"):
            locking.take_lock(home, wait=0.3)
        holder.send_signal(signal.SIGTERM)
        os.close(locking.take_lock(home, wait=30))
    finally:
        holder.kill()
        holder.wait()


def test_a_part_that_will_not_go_is_killed(home: Home) -> None:
    holder = start_holder(home)
    holder.send_signal(signal.SIGSTOP)
    write_private(home.parts_file, {"worker": {"pid": holder.pid, "start": process_start(holder.pid)}})
    try:
        os.close(locking.take_lock(home, wait=0.3))
        assert holder.wait(60) == -signal.SIGKILL
    finally:
        holder.kill()
        holder.wait()


def test_a_process_that_only_has_the_number_of_a_part_is_left_alone(home: Home) -> None:
    holder = start_holder(home)
    write_private(home.parts_file, {"worker": {"pid": holder.pid, "start": "1"}})
    try:
        with pytest.raises(SettingError):
            locking.take_lock(home, wait=0.2)
        assert holder.poll() is None
    finally:
        holder.kill()
        holder.wait()


def start_holder(home: Home) -> subprocess.Popen[bytes]:
    """A process that inherits the lock."""
    descriptor = os.open(home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    code = "import signal; print('up', flush=True); signal.pause()"
    holder = subprocess.Popen([sys.executable, "-c", code], pass_fds=[descriptor], stdout=subprocess.PIPE)
    os.close(descriptor)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"up\n"
    return holder


def test_the_database_of_a_shared_home_stays_on_one_machine(tmp_path: Path) -> None:
    shared = Home(tmp_path / "shared", tmp_path / "local")
    embedded.prepare_folders(shared, shared.spool)
    locking.claim_host(shared, "node1")
    locking.claim_host(shared, "node1")
    with pytest.raises(SettingError, match=r"on the machine node1.*this is node2"):
        locking.claim_host(shared, "node2")


def test_a_home_on_a_local_disk_belongs_to_no_machine(home: Home) -> None:
    locking.claim_host(home, "one")
    locking.claim_host(home, "two")
    assert not home.host_file.exists()


def test_a_process_is_known_by_number_and_start() -> None:
    start = process_start(os.getpid())
    assert start is not None
    assert start.isdigit()
    child = subprocess.Popen(["sleep", "60"])
    assert process_start(child.pid) is not None
    child.kill()
    wait_until(lambda: process_start(child.pid) is None, what="a zombie counts as gone")
    child.wait()
    assert process_start(child.pid) is None


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"old\n" * 3_000_000)
    os.close(open_log(log))
    assert log.stat().st_size == 0
    assert (tmp_path / "web.log.1").stat().st_size == 12_000_000
    log.write_text("new\n")
    os.close(open_log(log))
    assert log.read_text() == "new\n"


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(100)) + b"\xff end")
    assert last_lines(log, 2) == "line 99\n\ufffd end"
    assert last_lines(tmp_path / "none") == ""


def test_a_socket_without_a_server_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 100) / "server.sock"
    assert not is_answering("socket", path)
    path.parent.mkdir()
    assert not is_answering("socket", path)
