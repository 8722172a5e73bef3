"""`jobmon workflow hold`, `release`, `limit`: how much of a workflow may run now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobmon.cli.context import App, dry_run_option, json_option, pass_app
from jobmon.cli.output import print_json
from jobmon.cli.plan import print_plan
from jobmon.plain import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_LIMIT = "none"


@click.command()
@click.argument("workflow_id", type=int)
@click.option("--reason", default="held by hand", show_default=True, help="It is shown on the run's page.")
@json_option
@pass_app
def hold(app: App, workflow_id: int, reason: str, as_json: bool) -> None:
    """Submit nothing more in the live run until it is released; what is submitted or runs goes on."""
    _tell(app.client.hold_run(app.find_run(workflow_id)["id"], reason), as_json)


@click.command()
@click.argument("workflow_id", type=int)
@json_option
@pass_app
def release(app: App, workflow_id: int, as_json: bool) -> None:
    """Take a hold away, whoever held the run."""
    _tell(app.client.release_run(app.find_run(workflow_id)["id"]), as_json)


@click.command()
@click.argument("workflow_id", type=int)
@click.option("--jobs", metavar="NUMBER|none", help="At most so many jobs of the workflow at a time.")
@click.option("--tag", "tags", multiple=True, metavar="TAG=NUMBER|none", help="… of this tag; may be repeated.")
@dry_run_option
@json_option
@pass_app
def limit(app: App, workflow_id: int, jobs: str | None, tags: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Change how many jobs may run at a time, also of the live run."""
    if jobs is None and not tags:
        raise click.UsageError("say what: --jobs, or --tag")
    body: dict[str, Any] = {"tag_limits": _read_tags(tags)}
    body.update({} if jobs is None else {"max_concurrently_running": _read_limit(jobs, "--jobs")})
    if dry_run:
        print_plan(app.client.plan_limits(workflow_id, body), as_json)
        return
    found = app.client.set_limits(workflow_id, body)
    if as_json:
        print_json(found)
        return
    limits = {"workflow": found["max_concurrently_running"], **found["tag_limits"]}
    for name, number in limits.items():
        click.echo(f"{clean(name)}: {'no limit' if number is None else f'{number} at a time'}")


def _read_tags(texts: Iterable[str]) -> dict[str, int | None]:
    found = {}
    for text in texts:
        tag, _, number = text.rpartition("=")
        if not tag:
            raise click.BadParameter(f"{text!r} is not of the form TAG=NUMBER", param_hint="--tag")
        found[tag] = _read_limit(number, "--tag")
    return found


def _read_limit(text: str, option: str) -> int | None:
    if text == NO_LIMIT:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise click.BadParameter(f"{text!r} is neither a number of at least 1 nor `{NO_LIMIT}`", param_hint=option)
    return int(text)


def _tell(run: dict[str, Any], as_json: bool) -> None:
    reason = run["hold_reason"]
    state = f"is held ({clean(str(reason))})" if reason else "is not held"
    click.echo(f"run {run['id']} of workflow {run['workflow_id']} {state}: {run['page']}", err=True)
    if as_json:
        print_json(run)
