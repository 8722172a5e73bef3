"""The one-command server: starts, stops, dies and comes back as promised."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import shutil
import signal
import socket
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from tests.ports import find_ports
from tests.services import PARTS, EmbeddedServer, is_living
from tests.waiting import wait_until

Make = Callable[..., EmbeddedServer]


def test_it_says_where_it_is_in_a_private_file(embedded_server: EmbeddedServer) -> None:
    content = embedded_server.server_file
    assert content["url"] == f"http://127.0.0.1:{content['port']}"
    assert content["pid"] == embedded_server.process.pid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", content["started_at"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", content["version"])
    for name in ("server.json", "token", "secret_key"):
        assert stat.S_IMODE((embedded_server.home / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(embedded_server.home.stat().st_mode) == 0o700
    assert embedded_server.url in embedded_server.output
    assert str(embedded_server.home) in embedded_server.output


def test_the_api_wants_the_token_even_on_this_machine(embedded_server: EmbeddedServer) -> None:
    assert embedded_server.request("/api/v1/")[0] == 401
    assert embedded_server.request("/api/v1/", "jm_deadbeefnothing")[0] == 401
    assert embedded_server.get("/api/v1/")["url"] == embedded_server.url


def test_another_name_in_the_host_header_is_refused(embedded_server: EmbeddedServer) -> None:
    assert embedded_server.request("/api/v1/", embedded_server.token, Host="evil.example")[0] == 400


def test_the_sign_in_link_works_once(embedded_server: EmbeddedServer) -> None:
    link = embedded_server.url + embedded_server.sign_in_link
    owner, cookies = _make_browser()
    page = owner.open(link, timeout=30).read().decode()
    assert not _is_signed_in(owner, embedded_server), "a preview of the link must not spend it"
    _press_the_button(owner, link, page)
    assert _is_signed_in(owner, embedded_server)
    port = embedded_server.server_file["port"]
    assert f"jobmon_session_{port}" in {cookie.name for cookie in cookies}

    stranger, _ = _make_browser()
    page = stranger.open(link, timeout=30).read().decode()
    _press_the_button(stranger, link, page)
    assert not _is_signed_in(stranger, embedded_server)


def _make_browser() -> tuple[urllib.request.OpenerDirector, http.cookiejar.CookieJar]:
    cookies = http.cookiejar.CookieJar()
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies)), cookies


def _is_signed_in(browser: urllib.request.OpenerDirector, server: EmbeddedServer) -> bool:
    try:
        with browser.open(server.url + "/", timeout=30) as answer:
            return "/login" not in answer.url
    except urllib.error.HTTPError:
        return False


def _press_the_button(browser: urllib.request.OpenerDirector, link: str, page: str) -> None:
    fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page))
    assert "code" in fields
    data = urllib.parse.urlencode(fields).encode()
    browser.open(urllib.request.Request(link, data, {"Referer": link}), timeout=30).read()


def test_parts_hear_only_on_loopback_and_on_private_sockets(embedded_server: EmbeddedServer) -> None:
    inodes = {target for pid in embedded_server.parts.values() for target in _descriptors(pid)}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.append(fields[1])
    assert listening == [f"0100007F:{embedded_server.server_file['port']:04X}"]
    for found in (embedded_server.home / "redis.sock", embedded_server.home / "shepherd" / "shepherd.sock"):
        assert stat.S_IMODE(found.stat().st_mode) & 0o077 == 0, found
    _demand_no_remote_control(embedded_server)


def _demand_no_remote_control(server: EmbeddedServer) -> None:
    """Celery's would end the worker at the word of whoever reaches Redis. One that obeys listens to a pattern of channels."""
    broker = redis.Redis(unix_socket_path=str(server.home / "redis.sock"))
    wait_until(
        lambda: any(client["cmd"] == "brpop" for client in broker.client_list()), 60, "the worker waits for bells"
    )
    assert (broker.pubsub_numpat(), broker.pubsub_channels("*pidbox*")) == (0, [])


def _descriptors(pid: int) -> list[str]:
    """What the open descriptors of a process are; some are closed while one looks."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(path))
    return found


def test_parts_know_no_secret_they_do_not_need(make_embedded_server: Make) -> None:
    server = make_embedded_server(MY_CLOUD_PASSWORD="hunter2", JOBMON_SECRET_KEY="x" * 60).start()
    for name, pid in server.parts.items():
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"hunter2" not in environment, name
        assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        if name in ("redis", "shepherd"):
            assert b"JOBMON_SECRET_KEY" not in environment, name
    code = server.sign_in_link.partition("code=")[2]
    assert code.encode() not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_clean_stop_leaves_no_process_and_no_server_file(
    embedded_server: EmbeddedServer, number: signal.Signals
) -> None:
    assert sorted(embedded_server.parts) == sorted(PARTS)
    embedded_server.process.send_signal(number)
    assert embedded_server.process.wait(60) == 0
    assert embedded_server.living == []
    assert not (embedded_server.home / "server.json").exists()


def test_a_part_that_hangs_does_not_hold_up_a_second_request_to_stop(embedded_server: EmbeddedServer) -> None:
    os.kill(embedded_server.parts["worker"], signal.SIGSTOP)
    embedded_server.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Stopping" in embedded_server.output, what="it says that it stops")

    def has_ended_after_another_ctrl_c() -> bool:
        if embedded_server.process.poll() is None:
            embedded_server.process.send_signal(signal.SIGINT)
        return embedded_server.process.poll() is not None

    wait_until(has_ended_after_another_ctrl_c, 60, "it has stopped", pause=0.5)
    assert embedded_server.process.returncode == 0
    assert embedded_server.living == []


def test_nothing_outlives_a_killed_supervisor(embedded_server: EmbeddedServer) -> None:
    assert len(embedded_server.living) == len(PARTS)
    embedded_server.process.kill()
    embedded_server.process.wait()
    wait_until(lambda: embedded_server.living == [], 60, "all parts are gone")


def test_it_starts_again_at_once_after_a_crash(make_embedded_server: Make) -> None:
    port = find_ports(1)  # not the usual one, which the server of another test would take while this one is down
    server = make_embedded_server(JOBMON_PORT=str(port)).start()
    token = server.token
    server.process.kill()
    server.process.wait()
    server.start()
    assert server.server_file["port"] == port
    assert server.token == token
    assert server.request("/api/v1/", token)[0] == 200


def test_a_hung_leftover_of_a_crash_is_ended(embedded_server: EmbeddedServer) -> None:
    hung = embedded_server.parts["worker"]
    os.kill(hung, signal.SIGSTOP)
    embedded_server.process.kill()
    embedded_server.process.wait()
    embedded_server.start()
    assert not is_living(hung)


def test_a_second_server_on_the_same_home_is_refused(
    embedded_server: EmbeddedServer, make_embedded_server: Make
) -> None:
    second = make_embedded_server(embedded_server.home)
    second.output_file = embedded_server.home.parent / "second.output"
    assert second.launch().wait(60) == 1
    assert "already running" in second.output
    assert embedded_server.url in second.output
    assert "Traceback" not in second.output
    assert embedded_server.request("/api/v1/", embedded_server.token)[0] == 200
    second.process = None
    second._seen.clear()


def test_two_homes_are_two_servers(make_embedded_server: Make, tmp_path: Path) -> None:
    if os.environ.get("JOBMON_TEST_DATABASE") == "mariadb":
        pytest.skip("two homes share one database when it is MariaDB; shown on SQLite")
    one, two = make_embedded_server(tmp_path / "one").start(), make_embedded_server(tmp_path / "two").start()
    assert one.url != two.url
    assert one.request("/api/v1/", two.token)[0] == 401


@pytest.fixture
def taken_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_was_asked_for_and_is_taken_is_refused(make_embedded_server: Make, taken_port: int) -> None:
    server = make_embedded_server(JOBMON_PORT=str(taken_port))
    assert server.launch().wait(60) == 1
    assert f"port {taken_port}" in server.output
    assert "JOBMON_PORT" in server.output
    assert "Traceback" not in server.output


def test_a_part_that_cannot_start_is_named_with_its_last_words(make_embedded_server: Make) -> None:
    server = make_embedded_server()
    (server.home / "shepherd").parent.mkdir(mode=0o700)
    (server.home / "shepherd").write_text("in the way")
    assert server.launch().wait(60) == 1
    assert "The shepherd part" in server.output
    assert "shepherd.log" in server.output
    assert server.living == []


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_dies_is_started_again(embedded_server: EmbeddedServer, name: str) -> None:
    old = embedded_server.kill_part(name)
    embedded_server.wait_for_restart(name, old)
    wait_until(lambda: embedded_server.request("/api/v1/", embedded_server.token)[0] == 200, what="the site answers")
    assert f"The {name} part ended (signal 9)" in embedded_server.output
    assert embedded_server.process.poll() is None


def test_a_restart_of_the_web_part_refuses_no_connection(embedded_server: EmbeddedServer) -> None:
    """The socket belongs to the supervisor: a request that comes while there is no web part waits for the next one."""
    old = embedded_server.kill_part("web")
    assert embedded_server.request("/api/v1/", embedded_server.token)[0] == 200
    assert embedded_server.parts["web"] != old


def test_a_home_with_a_long_name_and_odd_characters(make_embedded_server: Make, tmp_path: Path) -> None:
    home = tmp_path / ("long and odd % ? # " + "x" * 90)
    server = make_embedded_server(home).start()
    assert server.request("/api/v1/", server.token)[0] == 200
    pid = server.parts["redis"]
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    sockets = list({name for name in _unix_sockets() if name.endswith("redis.sock") and name.encode() in arguments})
    assert len(sockets) == 1
    assert stat.S_IMODE(Path(sockets[0]).parent.stat().st_mode) == 0o700
    assert server.stop() == 0
    shutil.rmtree(Path(sockets[0]).parent)


def _unix_sockets() -> list[str]:
    lines = Path("/proc/net/unix").read_text().splitlines()
    return [fields[7] for line in lines if len(fields := line.split(maxsplit=7)) == 8]


def test_a_sweep_finds_all_that_the_page_of_executors_shows(embedded_server: EmbeddedServer) -> None:
    """A real Redis, a real disk: pages are tested with facts of this very shape."""
    swept = "SELECT facts FROM system_state WHERE name = 'sweep'"
    rows = wait_until(lambda: embedded_server.query(swept), 60, "the first sweep")
    facts = json.loads(rows[0][0])
    names = {"disk_total", "disk_free", "database", "redis_version", "redis_memory", "redis_clients", "local_slots"}
    assert set(facts) == names
    assert facts["redis_clients"] >= 1


def test_it_is_small_when_idle(embedded_server: EmbeddedServer) -> None:
    """300 MB for everything together, shared pages counted once."""
    pids = [embedded_server.process.pid, *embedded_server.parts.values()]
    sizes = {pid: _pss_kilobytes(pid) for pid in pids}
    assert sum(sizes.values()) < 300 * 1024, json.dumps(sizes)


def _pss_kilobytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError(f"no Pss of {pid}")
