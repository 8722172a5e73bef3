"""`jobmon operation …`: one action on many jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobmon.cli.context import App, dry_run_option, json_option, pass_app
from jobmon.cli.operating import Order, print_operation, run_operation
from jobmon.cli.output import format_time, print_json, print_table
from jobmon.cli.selection import filter_option, group_filters, job_options, list_filters, tell_if_cut

if TYPE_CHECKING:
    from collections.abc import Sequence

ACTIONS = ("retry", "rerun", "done", "kill", "requests")
STATES = ("collecting", "draft", "working", "finished", "stopped", "failed")
OUTCOMES = ("waiting", "changed", "skipped")


@click.group()
def operation() -> None:
    """Do one thing to many jobs of a workflow, and look at what was done so."""


@operation.command()
@click.argument("workflow_id", type=int)
@click.argument("action", type=click.Choice(ACTIONS))
@job_options
@click.option("--job", "job_ids", type=int, multiple=True, help="This job; may be repeated, instead of filters.")
@click.option("--all", "want_all", is_flag=True, help="All jobs of the workflow, where no filter is given.")
@click.option("--then", type=click.Choice(["retry", "fail"]), help="For kill: what becomes of the jobs.")
@click.option("--note", help="For done: why; it is recorded with your name.")
@click.option("--slots", type=click.IntRange(1), help="For requests.")
@click.option("--mem-free", type=click.FloatRange(0, min_open=True), help="For requests: GB.")
@click.option("--max-runtime", type=click.IntRange(1), help="For requests: seconds.")
@click.option("--max-attempts", type=click.IntRange(1), help="For requests.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can answer.")
@dry_run_option
@json_option
@pass_app
def start(
    app: App,
    /,
    workflow_id: int,
    action: str,
    status: tuple[str, ...],
    tag: tuple[str, ...],
    name: str | None,
    attributes: Sequence[tuple[str, str]],
    filters: Sequence[tuple[str, str]],
    job_ids: tuple[int, ...],
    want_all: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Retry, rerun, mark done, kill or change the requests of many jobs.

    The jobs are frozen first and shown; once you agree, the server does it, and this command waits for it.
    """
    chosen = list_filters(attributes, filters, status=status, tag=tag, name=name)
    selection = _select(chosen, job_ids, want_all)
    given = {key: value for key, value in options.items() if value is not None}
    run_operation(app, Order(workflow_id, action, selection, given), yes, dry_run, as_json)


def _select(chosen: list[tuple[str, str]], job_ids: Sequence[int], want_all: bool) -> dict[str, Any]:
    """The jobs as the server wants them named. Nothing said never means all."""
    if sum(map(bool, (chosen, job_ids, want_all))) != 1:
        raise click.UsageError("say which jobs: by filters (--status, --tag, …), by --job, or --all; one of the three")
    return {"job_ids": list(job_ids)} if job_ids else {"filters": group_filters(chosen)}


@operation.command("list")
@click.option("--workflow", type=int, help="Only of this workflow.")
@click.option("--state", multiple=True, type=click.Choice(STATES), help="May be repeated.")
@filter_option
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
@pass_app
def list_operations(
    app: App,
    workflow: int | None,
    state: tuple[str, ...],
    filters: Sequence[tuple[str, str]],
    limit: int,
    as_json: bool,
) -> None:
    """List operations, newest first."""
    found = app.client.list_operations(list_filters((), filters, workflow=workflow, state=state), limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "state", "action", "workflow", "jobs", "changed", "skipped", "user", "made"),
        [
            (
                one["id"],
                one["state"],
                one["action"],
                one["workflow_id"],
                one["jobs"],
                one["changed"],
                one["skipped"],
                one["user"],
                format_time(one["created_at"]),
            )
            for one in found
        ],
    )
    tell_if_cut(found, limit)


@operation.command()
@click.argument("operation_id")
@click.option("--jobs", "want_jobs", is_flag=True, help="Each job with what became of it.")
@click.option("--outcome", multiple=True, type=click.Choice(OUTCOMES), help="With --jobs; may be repeated.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many jobs.")
@json_option
@pass_app
def show(app: App, operation_id: str, want_jobs: bool, outcome: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Show an operation, or its jobs."""
    if outcome and not want_jobs:
        raise click.UsageError("--outcome goes with --jobs")
    if not want_jobs:
        print_operation(app.client.get_operation(operation_id), as_json)
        return
    found = app.client.list_operation_jobs(operation_id, limit, list_filters((), (), outcome=outcome))
    if as_json:
        print_json(found)
        return
    rows = [(one["job_id"], one["name"], one["outcome"], one["why"]) for one in found]
    print_table(("job_id", "name", "outcome", "why"), rows)
    tell_if_cut(found, limit)


@operation.command()
@click.argument("operation_id")
@json_option
@pass_app
def stop(app: App, operation_id: str, as_json: bool) -> None:
    """Leave the rest of an operation as it is; what is done stays done."""
    print_operation(app.client.stop_operation(operation_id), as_json)
