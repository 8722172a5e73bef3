"""The web part of the embedded server: waitress on a listening socket that the supervisor hands over.

The socket outlives this process: while it is started again, connections wait instead of being refused.
"""

from __future__ import annotations

import signal
import socket
import sys
from types import FrameType

from waitress.server import create_server  # type: ignore[import-untyped]

from jobmon_site.readiness import announce_ready
from jobmon_site.wsgi import application, settle


def _leave(signum: int, frame: FrameType | None) -> None:
    """Waitress takes SystemExit as the wish to finish what is in hand and end."""
    raise SystemExit(0)


def main(descriptor: int) -> None:
    listener = socket.socket(fileno=descriptor)
    server = create_server(
        application,
        sockets=[listener],
        threads=4,
        ident="",
        clear_untrusted_proxy_headers=True,
        channel_timeout=60,
        max_request_body_size=1 << 30,  # the site's own limit (JOBMON_MAX_BODY_MB) answers in words
    )
    signal.signal(signal.SIGTERM, _leave)
    settle()
    announce_ready()
    server.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
