"""A fake server per test, a home of its own, and the `jobmon` command in a process or in this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from jobmon.api import Client
from jobmon.cli import cli
from tests.client.fake_server import TOKEN, FakeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: nothing of this machine's configuration reaches a test."""
    for name in [name for name in os.environ if name.startswith("JOBMON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JOBMON_HOME", str(tmp_path / ".jobmon"))
    return tmp_path


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture
def client(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the fake server, which is also the configured one."""
    monkeypatch.setenv("JOBMON_SERVER", server.url)
    monkeypatch.setenv("JOBMON_TOKEN", TOKEN)
    monkeypatch.setenv("JOBMON_RETRY_SECONDS", "20")
    found = Client()
    yield found
    found.close()


@pytest.fixture
def jobmon(client: Client) -> Callable[..., Result]:
    """Run the command in this process: `jobmon("workflow", "show", "1")`."""

    def run(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, list(words), input=stdin, catch_exceptions=False)

    return run


@pytest.fixture
def environment(home: Path, server: FakeServer) -> dict[str, str]:
    """The environment of a process that talks to the fake server."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "JOBMON_HOME": str(home / ".jobmon"),
        "JOBMON_SERVER": server.url,
        "JOBMON_TOKEN": TOKEN,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """All that was told to the person so far, by the logger or on stderr."""
    caplog.set_level("INFO", logger="jobmon")
    return lambda: caplog.text + capsys.readouterr().err


@pytest.fixture
def python() -> str:
    return sys.executable
