"""`jobmon configure`, `test`, `config show`, `open`: is this machine set up, and for which server."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from jobmon.cli.checks import Checks
from jobmon.cli.context import App, json_option, pass_app
from jobmon.cli.output import print_json, print_table
from jobmon.config import check_url, rc_path, write_rc
from jobmon.exceptions import JobmonError
from jobmon.plain import clean


@click.command()
@click.option("--token-stdin", is_flag=True, help="Read the token from the first line of stdin instead of asking.")
@click.pass_context
def configure(ctx: click.Context, token_stdin: bool) -> None:
    """Write the server's address and your token into ~/.jobmonrc, readable by you only.

    The server is asked for, unless --server gives it; with --token-stdin it is the present one (`jobmon config show`).
    Make a token on the server's account page. It is never given as an argument: others see those in `ps`.
    """
    app: App = ctx.obj
    server = check_url(_ask_server(app, ctx.find_root().params.get("server"), can_ask=not token_stdin), "given")
    if token_stdin:
        token = sys.stdin.readline().strip()
    else:
        token = click.prompt(
            "Token (it is not shown)", hide_input=True, default="", show_default=False, err=True
        ).strip()
    values = {"server": server, **({"token": token} if token else {})}
    path = rc_path()
    write_rc(path, values)
    click.echo(f"written to {path}; now try `jobmon test`", err=True)


@click.command()
@click.option("--executor", help="The executor to try; the server's default if not given.")
@click.option("--timeout", default=60.0, show_default=True, type=click.FloatRange(1), help="Seconds for the trial job.")
@click.option("--no-job", is_flag=True, help="Leave out the trial job.")
@json_option
@pass_app
def test(app: App, executor: str | None, timeout: float, no_job: bool, as_json: bool) -> None:
    """Check the set-up: server, token, version, executor, and a workflow of one job."""
    checks = Checks(app.config, lambda: app.client, executor, timeout)
    results = []
    for check in checks.list_checks(with_job=not no_job):
        result = check()
        results.append(result)
        if not as_json:
            click.echo(f"{'ok' if result.is_ok else 'FAILED':<7} {result.name}: {clean(result.words)}")
            if result.advice:
                click.echo(f"        {clean(result.advice)}")
        if not result.is_ok and result.is_final:
            break
    if as_json:
        print_json([result.describe() for result in results])
    raise click.exceptions.Exit(max((result.exit_code for result in results), default=0))


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command("show")
@json_option
@pass_app
def show_config(app: App, as_json: bool) -> None:
    """Show every setting and where it comes from; of the token only its beginning."""
    found = app.config
    rows = [
        ("server", found.server.value, found.server.origin),
        ("token", found.masked_token, found.token.origin),
        ("home", found.home.value, found.home.origin),
        ("retry_seconds", found.retry_seconds.value, found.retry_seconds.origin),
    ]
    if as_json:
        print_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        print_table(("setting", "value", "from"), rows)


@click.command("open")
@click.option("--browser", is_flag=True, help="Also open it in a browser on this machine.")
@json_option
@pass_app
def open_page(app: App, browser: bool, as_json: bool) -> None:
    """Print a link that signs a browser in once, within ten minutes."""
    link: dict[str, Any] = app.client.create_login_link()
    if as_json:
        print_json(link)
    else:
        click.echo(link["url"])
    if browser and (os.environ.get("BROWSER") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        click.launch(link["url"])


def _ask_server(app: App, given: str | None, can_ask: bool) -> str:
    """With --token-stdin nobody can be asked: stdin holds the token."""
    if given:
        return given
    return str(click.prompt("Server", default=_known_server(app), err=True)) if can_ask else _known_server(app)


def _known_server(app: App) -> str:
    """The present server as the proposal; a broken rc file must not stop the command that mends it."""
    try:
        return app.config.server.value
    except JobmonError:
        return "http://127.0.0.1:8000"
