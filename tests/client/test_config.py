"""Configuration: what wins, what it is worth, and what is refused."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from jobmon.config import DEFAULT_SERVER, load_config, write_rc
from jobmon.exceptions import ConfigError
from jobmon.local_server import find_local_server


def write_private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def leave_server(folder: Path, url: str = "http://127.0.0.1:8123", token: str = "local-token-0001") -> None:
    write_private(folder / "server.json", json.dumps({"url": url, "pid": 1}))
    write_private(folder / "token", token + "\n")


def test_default_when_there_is_nothing() -> None:
    found = load_config()
    assert (found.server.value, found.server.origin) == (DEFAULT_SERVER, "default")
    assert (found.token.value, found.token.origin) == ("", "none found")


def test_each_source_wins_over_the_next(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_server(home / ".jobmon")
    found = load_config()
    assert (found.server.value, found.token.value) == ("http://127.0.0.1:8123", "local-token-0001")
    assert found.server.origin == str(home / ".jobmon" / "server.json")
    assert found.token.origin == str(home / ".jobmon" / "token")

    write_private(home / ".jobmonrc", "[jobmon]\nserver = http://rc.test:1\ntoken = rc-token\n")
    found = load_config()
    assert (found.server.value, found.token.value) == ("http://rc.test:1", "rc-token")
    assert found.server.origin == found.token.origin == str(home / ".jobmonrc")

    monkeypatch.setenv("JOBMON_SERVER", "https://env.test/jobs/")
    monkeypatch.setenv("JOBMON_TOKEN", "env-token")
    found = load_config()
    assert (found.server.value, found.token.value) == ("https://env.test/jobs", "env-token")
    assert (found.server.origin, found.token.origin) == ("environment JOBMON_SERVER", "environment JOBMON_TOKEN")

    found = load_config(server="http://argument.test", token="argument-token")
    assert (found.server.value, found.token.value) == ("http://argument.test", "argument-token")
    assert found.server.origin == found.token.origin == "argument"


def test_token_of_one_server_is_never_shown_to_another(home: Path) -> None:
    leave_server(home / ".jobmon")
    write_private(home / ".jobmonrc", "[jobmon]\nserver = http://rc.test:1\ntoken = rc-token\n")
    for elsewhere in ("http://elsewhere.test", "http://127.0.0.1:8124"):
        found = load_config(server=elsewhere)
        assert found.token.value == ""
        assert "http://rc.test:1" in found.token.origin
    assert load_config(server="http://localhost:8123").token.value == "local-token-0001"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_token_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    rc = write_private(home / ".jobmonrc", "[jobmon]\ntoken = rc-token\n", mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {rc}"):
        load_config()
    rc.unlink()
    leave_server(home / ".jobmon")
    (home / ".jobmon" / "token").chmod(mode)
    with pytest.raises(ConfigError, match="others can read"):
        load_config()


def test_readable_rc_file_without_token_is_fine(home: Path) -> None:
    write_private(home / ".jobmonrc", "[jobmon]\nserver = http://rc.test:1\n", 0o644)
    assert load_config().server.value == "http://rc.test:1"


@pytest.mark.parametrize("text", ["server = x", "[jobmon]\nserver\n", "[jobmon]\nserver = nonsense\n", "\xff"])
def test_broken_rc_file_is_named(home: Path, text: str) -> None:
    (home / ".jobmonrc").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"\.jobmonrc"):
        load_config()


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "http://x:99999", "http://u:p@x", "http://x?y=1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no server address"):
        load_config(server=url)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"url": 7}'])
def test_half_written_server_file_is_passed_over(home: Path, content: str) -> None:
    write_private(home / ".jobmon" / "server.json", content)
    assert load_config().server.origin == "default"


def test_server_file_on_local_disk_is_found_if_it_is_ours(tmp_path: Path) -> None:
    elsewhere = tmp_path / "var_tmp" / f"jobmon-{os.getuid()}"
    elsewhere.mkdir(parents=True)
    leave_server(elsewhere)
    found = find_local_server(tmp_path / "nothing", look_in_var_tmp=True, var_tmp=tmp_path / "var_tmp")
    assert found is not None
    assert (found.url, found.token_file) == ("http://127.0.0.1:8123", elsewhere / "token")
    assert find_local_server(tmp_path / "nothing", look_in_var_tmp=False, var_tmp=tmp_path / "var_tmp") is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of somebody else")
def test_server_file_of_somebody_else_is_passed_over(tmp_path: Path) -> None:
    elsewhere = tmp_path / f"jobmon-{os.getuid()}"
    leave_server(elsewhere)
    os.chown(elsewhere / "server.json", 12345, 12345)
    assert find_local_server(tmp_path / "nothing", look_in_var_tmp=True, var_tmp=tmp_path) is None
    os.chown(elsewhere / "server.json", 0, 0)
    assert find_local_server(tmp_path / "nothing", look_in_var_tmp=True, var_tmp=tmp_path) is not None
    os.chown(elsewhere, 12345, 12345)
    assert find_local_server(tmp_path / "nothing", look_in_var_tmp=True, var_tmp=tmp_path) is None


def test_home_named_in_server_file_holds_the_token(home: Path, tmp_path: Path) -> None:
    write_private(tmp_path / "other" / "token", "other-token")
    content = json.dumps({"url": "http://127.0.0.1:8123", "home": str(tmp_path / "other")})
    write_private(home / ".jobmon" / "server.json", content)
    assert load_config().token.value == "other-token"


def test_write_rc_keeps_other_values_and_is_private(home: Path) -> None:
    path = write_private(home / ".jobmonrc", "[jobmon]\nretry_seconds = 7\ntoken = old\n[other]\na = %b\n")
    write_rc(path, {"server": "http://new.test", "token": "new%token"})
    found = load_config()
    assert (found.server.value, found.token.value) == ("http://new.test", "new%token")
    assert found.retry_seconds.value == "7"
    assert "a = %b" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_retry_seconds_is_checked(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("JOBMON_RETRY_SECONDS", value)
    with pytest.raises(ConfigError, match="retry_seconds"):
        load_config()


def test_masked_token_does_not_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBMON_TOKEN", "jm_abcdefghijklmnopqrstuvwxyz")
    assert load_config().masked_token == "jm_abc…"
    monkeypatch.setenv("JOBMON_TOKEN", "short")
    assert load_config().masked_token == "…"
