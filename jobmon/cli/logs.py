"""Printing a log once, or following it to its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from jobmon import clock
from jobmon.cli.output import print_json
from jobmon.plain import clean_log

if TYPE_CHECKING:
    from jobmon.api import Client
    from jobmon.transport import Answer

PIECE = 256 * 1024
ENDED = ("E", "D")
FOLLOW_PAUSE = 1.0


def print_log(
    client: Client, instance_id: int, stream: str, offset: int | None, limit: int | None, follow: bool, as_json: bool
) -> None:
    """Print a piece of a log; with `follow`, then all that comes, until the attempt has ended."""
    if follow:
        _follow(client, instance_id, stream, offset)
        return
    answer = client.read_log(instance_id, stream, offset, limit)
    if as_json:
        text = answer.body.decode("utf-8", "replace")
        print_json({"job_instance_id": instance_id, "stream": stream, "offset": _begin(answer, offset), "text": text})
    else:
        write_log(answer.body)
        if not answer.body:
            other = "stderr" if stream == "stdout" else "stdout"
            click.echo(f"nothing was written to {stream}; --{other} shows the other one", err=True)


def write_log(content: bytes) -> None:
    """As it is into a file or a pipe; on a terminal without what would steer it."""
    if sys.stdout.isatty():
        click.echo(clean_log(content.decode("utf-8", "replace")), nl=False, color=True)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _follow(client: Client, instance_id: int, stream: str, offset: int | None) -> None:
    position = offset
    while True:
        # Asked before the log is read: what was written before the end is then in the piece that is read after it.
        has_ended = client.get_job_instance(instance_id)["status"] in ENDED
        answer = client.read_log(instance_id, stream, position, None if position is None else PIECE)
        begin = _begin(answer, position)
        if position is None and begin is None:
            position = 0  # a server that does not say where its piece begins: read it all
            continue
        position = (begin or 0) + len(answer.body)
        write_log(answer.body)
        if not answer.body:
            if has_ended:
                return
            clock.pause(FOLLOW_PAUSE)


def _begin(answer: Answer, asked: int | None) -> int | None:
    """Where a piece begins, in bytes; None if neither we nor the server said."""
    told = answer.headers.get("x-log-offset", "")
    return int(told) if told.isdecimal() else asked
