"""The `jobmon` command. Data goes to stdout, talk to stderr.

Exit codes: 0 fine, 1 the workflow failed, 2 wrong usage, 3 no usable answer from the server, 4 not found,
5 not allowed (also: not now), 6 still going when the time to wait was over, 130 detached by Ctrl-C.
"""

from __future__ import annotations

from jobmon.cli.root import cli, main

__all__ = ["cli", "main"]
