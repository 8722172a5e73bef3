"""The audit's copy in syslog: real sockets, and what happens where nobody listens or somebody listens and does not read."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobmon_site.log_format import make_logging
from jobmon_site.syslog import SyslogHandler
from workflows.audit import write_event

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "mallory\n<86>jobmon[1]: audit {}\x00é"


@contextmanager
def copied_to(address: str) -> Iterator[None]:
    """The audit's logger with the handler that the settings would give it."""
    made = logging.config.DictConfigurator(make_logging("plain", "INFO", address))
    made.config["formatters"] = {"syslog": made.configure_formatter(made.config["formatters"]["syslog"])}
    handler = made.configure_handler(made.config["handlers"]["syslog"])
    assert isinstance(handler, SyslogHandler)
    logger = logging.getLogger("jobmon.audit")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Paths of sockets are short."""
    with tempfile.TemporaryDirectory(prefix="jm-") as made:
        yield Path(made)


def listen(address: str | tuple[str, int]) -> socket.socket:
    found = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(address)
    found.settimeout(60)
    return found


def read_line(listener: socket.socket) -> dict[str, object]:
    """The JSON of one datagram, which must be one line of syslog."""
    text = listener.recv(1 << 16).decode("ascii")
    match = re.fullmatch(r"<86>jobmon\[\d+\]: audit (\{[^\n\x00]*\})", text)
    assert match is not None, text
    return dict(json.loads(match[1]))


def test_a_row_is_one_datagram_on_the_socket_of_this_machine(folder: Path) -> None:
    with listen(str(folder / "log")) as listener, copied_to(str(folder / "log")):
        write_event("sign-in-failed", "password", name=HOSTILE, result="refused")
        line = read_line(listener)
    assert (line["action"], line["actor"], line["result"]) == ("sign-in-failed", HOSTILE, "refused")


def test_a_row_is_one_datagram_to_another_machine() -> None:
    with listen(("127.0.0.1", 0)) as listener, copied_to(f"127.0.0.1:{listener.getsockname()[1]}"):
        write_event("create-user", "user ü", after={"by": "oidc"})
        assert read_line(listener)["target"] == "user ü"


def test_syslog_may_be_away_and_come_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The row is written all the same, the server's log says what is missing where, and the next line arrives."""
    path = folder / "log"
    with copied_to(str(path)):
        write_event("first", "x")
        assert f"could not be copied to syslog at {path}" in caplog.text
        for action in ("second", "third"):  # a syslog that is started, and started anew
            with listen(str(path)) as listener:
                write_event(action, "x")
                assert read_line(listener)["action"] == action
            path.unlink()


def test_a_syslog_that_does_not_read_holds_nobody_up(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with listen(str(folder / "log")) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            filler.connect(str(folder / "log"))
            with pytest.raises(BlockingIOError):
                while True:
                    filler.send(b"x")
            with copied_to(str(folder / "log")):
                write_event("unheard", "x")
    assert "timed out" in caplog.text
