"""The root of the command: global options, and what every error becomes."""

from __future__ import annotations

from typing import Any

import click

from jobmon.cli.context import App
from jobmon.cli.job import job
from jobmon.cli.operation import operation
from jobmon.cli.query import query
from jobmon.cli.run import run
from jobmon.cli.setup import config, configure, open_page, test
from jobmon.cli.steering import hold, limit, release
from jobmon.cli.workflow import workflow
from jobmon.exceptions import (
    InvalidRequest,
    JobmonError,
    NotFound,
    RequestRefused,
    ServerError,
    ServerUnreachable,
    StillRunning,
)
from jobmon.plain import clean
from jobmon.version import __version__

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ServerUnreachable, 3),
    (ServerError, 3),
    (NotFound, 4),
    (InvalidRequest, 2),
    (RequestRefused, 5),
    (StillRunning, 6),
    (ValueError, 2),
)


def exit_code_for(error: BaseException) -> int:
    """The exit code of an error that ends the command."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


class JobmonGroup(click.Group):
    """Turns our exceptions into a sentence on stderr and an exit code; anything else is a bug and shows itself."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except JobmonError as error:
            click.echo(f"Error: {clean(str(error))}", err=True)
            ctx.exit(exit_code_for(error))
        except click.ClickException as error:
            vars(error)["message"] = clean(error.message)
            raise


@click.group(
    cls=JobmonGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--server", metavar="URL", help="Address of the server.  [env: JOBMON_SERVER]")
@click.version_option(__version__, prog_name="jobmon")
@click.pass_context
def cli(ctx: click.Context, server: str | None) -> None:
    """Watch and steer workflows on a Jobmon server.

    The server and the token are found in this order: the option, the environment (JOBMON_SERVER, JOBMON_TOKEN),
    ~/.jobmonrc, a server of yours on this machine ($JOBMON_HOME, by default ~/.jobmon). `jobmon config show` tells.

    Exit codes: 0 fine, 1 the workflow failed, 2 wrong usage, 3 no usable answer from the server, 4 not found, 5 not
    allowed, 6 still going when the time to wait was over, 130 detached by Ctrl-C.
    """
    ctx.obj = App(server)
    ctx.call_on_close(ctx.obj.close)


for command in (config, configure, job, open_page, operation, query, run, test, workflow):
    cli.add_command(command)
for command in (hold, limit, release):
    workflow.add_command(command)


def main() -> None:
    """Run the command."""
    cli(prog_name="jobmon")
