"""A real SMTP server of the tests, on a free port of loopback. It can be told to refuse, or to go away at the worst moment."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage


class MailServer(socketserver.ThreadingTCPServer):
    """`mood`: "" takes all; "451" and "550" refuse the recipient with that code; "vanish" takes the text and hangs up
    without a word."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.mood = ""
        self.mails: list[EmailMessage] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Dialogue(socketserver.StreamRequestHandler):
    server: MailServer

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        self.say("220 test")
        for line in self.rfile:
            word = line.decode().strip().upper()
            if word == "QUIT":
                self.say("221 bye")
                return
            if word.startswith("RCPT") and self.server.mood.isdigit():
                self.say(f"{self.server.mood} not now")
            elif word == "DATA":
                if not self._take_text():
                    return
            else:
                self.say("250 ok")

    def _take_text(self) -> bool:
        self.say("354 go on")
        lines: list[bytes] = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        found = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.server.mails.append(found)
        if self.server.mood == "vanish":
            return False
        self.say("250 taken")
        return True


@contextmanager
def running_mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
