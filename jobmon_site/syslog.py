"""Copies log lines to syslog, one datagram each: to a socket of this machine, or to another machine by UDP.

The standard library's handler connects once and stops the start where nobody listens, and blocks for ever where somebody
listens and does not read. Here every line is a connection of its own, so that syslog may be restarted at any time, and a
line that cannot be delivered within a second is given up, with an error in the server's own log, where it also stands.
"""

from __future__ import annotations

import logging
import os
import re
import socket

from jobmon_site.environment import SettingError, env_text

logger = logging.getLogger(__name__)
SECONDS = 1.0
AUTHPRIV, INFO = 10, 6
_HOST_AND_PORT = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def syslog_setting(name: str) -> str:
    """The setting's value, of a form that `SyslogHandler` understands; '' where it is not set."""
    text = env_text(name)
    if text and not text.startswith("/"):
        match = _HOST_AND_PORT.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise SettingError(f"{name}={text!r} is neither the path of a socket, like /dev/log, nor HOST:PORT")
    return text


class SyslogHandler(logging.Handler):
    """`address`: as `syslog_setting` answers it."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(f"<{AUTHPRIV * 8 + INFO}>jobmon[{os.getpid()}]: {self.format(record)}".encode())
        except OSError as error:
            logger.error("a line of %s could not be copied to syslog at %s: %s", record.name, self.address, error)  # noqa: TRY400 - no trace of ours

    def _send(self, line: bytes) -> None:
        family, target = self._resolve()
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SECONDS)
            sender.connect(target)
            sender.send(line)

    def _resolve(self) -> tuple[int, str | tuple[str, int]]:
        match = _HOST_AND_PORT.fullmatch(self.address)
        if match is None:
            return socket.AF_UNIX, self.address
        host, port = match["host"].strip("[]"), int(match["port"])
        family, _, _, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        return family, (str(target[0]), int(target[1]))
