"""From the selection to the outcome of an operation: draft, question, confirmation, waiting."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import click

from jobmon import clock
from jobmon.cli.context import App
from jobmon.cli.output import format_time, print_facts, print_json
from jobmon.cli.plan import print_plan
from jobmon.plain import clean

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True)
class Order:
    """What is wanted: an action on the selected jobs of a workflow."""

    workflow_id: int
    action: str
    selection: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)


def run_operation(app: App, order: Order, is_agreed: bool, dry_run: bool, as_json: bool) -> None:
    """Carry it out, and end the command with 1 if not all could be done."""
    body = {"action": order.action, **order.selection}
    if dry_run:
        print_plan(app.client.plan_operation(order.workflow_id, body), as_json)
        return
    draft = wait_for_operation(app, app.client.draft_operation(order.workflow_id, body), "collecting")
    if draft["state"] != "draft":
        raise click.ClickException(f"the jobs were not collected: {draft['problem'] or draft['state']}")
    if not is_agreed:
        _ask(draft)
    found = wait_for_operation(app, app.client.confirm_operation(draft["id"], order.options))
    print_operation(found, as_json)
    if found["skipped"]:
        click.echo(
            f"`jobmon operation show {found['id']} --jobs --outcome skipped` tells why some were skipped", err=True
        )
    if order.action in ("retry", "rerun") and found["changed"]:
        _tell_if_nothing_runs(app, order.workflow_id)
    raise click.exceptions.Exit(0 if found["state"] == "finished" else 1)


def wait_for_operation(app: App, found: dict[str, Any], state: str = "working") -> dict[str, Any]:
    """The operation, once it has left this state. Ctrl-C leaves it going; what is only collected does nothing."""
    pause = FIRST_PAUSE
    while found["state"] == state:
        try:
            clock.pause(pause)
        except KeyboardInterrupt:
            click.echo(f"the operation goes on; see `jobmon operation show {found['id']}`", err=True)
            raise click.exceptions.Exit(130) from None
        pause = min(LONGEST_PAUSE, pause * 1.5)
        found = app.client.get_operation(found["id"])
    return found


def print_operation(found: dict[str, Any], as_json: bool) -> None:
    """How far it is."""
    if as_json:
        print_json(found)
        return
    print_facts(
        [
            ("operation", found["id"]),
            ("state", found["state"]),
            ("action", found["action"]),
            ("workflow", found["workflow_id"]),
            ("jobs", f"{found['jobs']} ({found['said']})"),
            ("changed", found["changed"]),
            ("skipped", found["skipped"]),
            ("problem", found["problem"]),
            ("user", found["user"]),
            ("made", format_time(found["created_at"])),
            ("ended", format_time(found["ended_at"])),
            ("page", found["page"]),
        ]
    )


def _ask(draft: dict[str, Any]) -> None:
    """Show what would happen and let a person agree. Where nobody can answer, nothing is done."""
    plan = draft["plan"]
    click.echo(clean(str(plan["sentence"])), err=True)
    for warning in plan["warnings"]:
        click.echo(f"Warning: {clean(str(warning))}", err=True)
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to agree; look with --dry-run, then say --yes")
    click.confirm("Do it?", abort=True, err=True)


def _tell_if_nothing_runs(app: App, workflow_id: int) -> None:
    run = app.client.get_workflow(workflow_id)["latest_run"]
    if run is None or run["status"] != "R":
        click.echo(f"no run is live; start them with `jobmon workflow resume {workflow_id}`", err=True)
