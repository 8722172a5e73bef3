"""`jobmon workflow …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobmon.cli.context import App, dry_run_option, json_option, pass_app
from jobmon.cli.output import WORKFLOW_WORDS, print_facts, print_json
from jobmon.cli.plan import print_plan
from jobmon.cli.selection import attribute_options, filter_option, job_options, list_filters, tell_if_cut
from jobmon.cli.tag_graph import format_dot
from jobmon.cli.workflow_views import (
    describe_run,
    describe_workflow,
    print_errors,
    print_graph,
    print_groups,
    print_jobs,
    print_runs,
    print_workflows,
)
from jobmon.exceptions import WorkflowAlreadyComplete
from jobmon.workflow.options import describe_process, describe_user

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_LIMIT = 50


@click.group()
def workflow() -> None:
    """List, inspect, resume, stop and await workflows."""


@workflow.command("list")
@click.option("--mine", is_flag=True, help="Only your own.")
@click.option("--user", help="Only those of this user.")
@click.option("--status", multiple=True, type=click.Choice(list(WORKFLOW_WORDS)), help="C R S E D; may be repeated.")
@click.option("--name", help="Only with this name.")
@click.option("--workflow-args", help="Only with these workflow_args.")
@attribute_options
@click.option("--limit", default=DEFAULT_LIMIT, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
@pass_app
def list_workflows(
    app: App,
    mine: bool,
    user: str | None,
    status: tuple[str, ...],
    name: str | None,
    workflow_args: str | None,
    attributes: Sequence[tuple[str, str]],
    filters: Sequence[tuple[str, str]],
    limit: int,
    as_json: bool,
) -> None:
    """List workflows, newest first."""
    if mine:
        user = str(app.client.get_info()["user"])
    chosen = list_filters(attributes, filters, status=status, user=user, name=name, workflow_args=workflow_args)
    found = app.client.list_workflows(chosen, limit)
    if as_json:
        print_json(found)
        return
    print_workflows(found)
    tell_if_cut(found, limit)


@workflow.command()
@click.argument("workflow_id", type=int)
@click.option("--run", "run_id", type=int, help="Show this run of it instead.")
@json_option
@pass_app
def show(app: App, workflow_id: int, run_id: int | None, as_json: bool) -> None:
    """Show a workflow and its latest run, or one of its runs."""
    found = app.client.get_workflow(workflow_id) if run_id is None else app.client.get_run(run_id)
    if run_id is not None and found["workflow_id"] != workflow_id:
        raise click.UsageError(f"run {run_id} is of workflow {found['workflow_id']}, not of {workflow_id}")
    if as_json:
        print_json(found)
        return
    print_facts(describe_workflow(found) if run_id is None else describe_run(found))


@workflow.command()
@click.argument("workflow_id", type=int)
@job_options
@click.option("--limit", default=DEFAULT_LIMIT, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.option("--all", "want_all", is_flag=True, help="All, whatever the limit.")
@json_option
@pass_app
def jobs(
    app: App,
    workflow_id: int,
    status: tuple[str, ...],
    tag: tuple[str, ...],
    name: str | None,
    attributes: Sequence[tuple[str, str]],
    filters: Sequence[tuple[str, str]],
    limit: int,
    want_all: bool,
    as_json: bool,
) -> None:
    """List the jobs of a workflow."""
    chosen = list_filters(attributes, filters, status=status, tag=tag, name=name)
    found = app.client.list_jobs(workflow_id, chosen, None if want_all else limit)
    if as_json:
        print_json(found)
        return
    print_jobs(found)
    if len(found) == limit and not want_all:
        click.echo(f"the first {limit}; use --all or a higher --limit for more", err=True)


@workflow.command()
@click.argument("workflow_id", type=int)
@click.option("--status", multiple=True, type=click.Choice(["R", "S", "E", "D"]), help="R S E D; may be repeated.")
@click.option("--user", multiple=True, help="Only those that this user started; may be repeated.")
@filter_option
@click.option("--limit", default=DEFAULT_LIMIT, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
@pass_app
def runs(
    app: App,
    workflow_id: int,
    status: tuple[str, ...],
    user: tuple[str, ...],
    filters: Sequence[tuple[str, str]],
    limit: int,
    as_json: bool,
) -> None:
    """List the runs of a workflow, newest first: who started each, and how it ended."""
    found = app.client.list_runs(workflow_id, limit, list_filters((), filters, status=status, user=user))
    if as_json:
        print_json(found)
        return
    print_runs(found)
    tell_if_cut(found, limit)


@workflow.command()
@click.argument("workflow_id", type=int)
@click.option("--groups", is_flag=True, help="One line per kind of error, the most frequent first.")
@click.option("--reason", multiple=True, help="Only those that ended so, as in memory; may be repeated.")
@click.option("--tag", multiple=True, help="Only of jobs with this tag; may be repeated. Not with --groups.")
@filter_option
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most so many.")
@json_option
@pass_app
def errors(
    app: App,
    workflow_id: int,
    groups: bool,
    reason: tuple[str, ...],
    tag: tuple[str, ...],
    filters: Sequence[tuple[str, str]],
    limit: int,
    as_json: bool,
) -> None:
    """Show the newest failed attempts, with the last lines of their stderr."""
    if groups and tag:
        raise click.UsageError("--tag does not go with --groups: jobs of several tags may fail alike")
    ask = app.client.list_error_groups if groups else app.client.list_errors
    found = ask(workflow_id, limit, list_filters((), filters, reason=reason, tag=tag))
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo(f"workflow {workflow_id} has no {'such ' if reason or tag or filters else ''}errors", err=True)
        return
    (print_groups if groups else print_errors)(found)
    tell_if_cut(found, limit)


@workflow.command()
@click.argument("workflow_id", type=int)
@click.option("--cold/--hot", default=True, help="End what is left of an earlier run first (default), or adopt it.")
@click.option("--tag", multiple=True, help="Only the jobs of this tag; may be repeated. The rest stays as it is.")
@click.option("--job", "job_ids", multiple=True, type=int, help="Only this job; may be repeated.")
@click.option("--error-group", type=int, help="Only the jobs that failed so: see `workflow errors --groups`.")
@click.option("--wait", "want_wait", is_flag=True, help="Wait for the end.")
@dry_run_option
@json_option
@pass_app
def resume(
    app: App,
    workflow_id: int,
    cold: bool,
    tag: tuple[str, ...],
    job_ids: tuple[int, ...],
    error_group: int | None,
    want_wait: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Start a workflow, or go on with it; what is done is not run again."""
    scope = {"tags": list(tag), "job_ids": list(job_ids), "error_group": error_group}
    body = {"resume": "cold" if cold else "hot", **{key: value for key, value in scope.items() if value}}
    if dry_run:
        print_plan(app.client.plan_run(workflow_id, body), as_json)
        return
    try:
        run = app.client.start_run(workflow_id, {**body, **_own_environment(app, workflow_id), **describe_process()})
    except WorkflowAlreadyComplete:
        click.echo(f"workflow {workflow_id} is complete; there is nothing to run", err=True)
        if as_json:
            print_json(app.client.get_workflow(workflow_id)["latest_run"])
        return
    click.echo(f"run {run['id']} of workflow {workflow_id} has started: {run['page']}", err=True)
    _finish(app, run, want_wait, as_json)


def _own_environment(app: App, workflow_id: int) -> dict[str, Any]:
    """Of one's own workflow the present home and PATH; somebody else's runs with its owner's."""
    is_own = app.client.get_workflow(workflow_id)["user"] == app.client.get_info()["user"]
    return describe_user() if is_own else {}


@workflow.command()
@click.argument("workflow_id", type=int)
@click.option("--drain", "mode", flag_value="drain", type=str, help="Let running jobs finish; start nothing more.")
@click.option("--kill", "mode", flag_value="kill", type=str, help="End running jobs too.")
@dry_run_option
@json_option
@pass_app
def stop(app: App, workflow_id: int, mode: str | None, dry_run: bool, as_json: bool) -> None:
    """Stop the live run of a workflow; say how with --drain or --kill."""
    if not mode:
        raise click.UsageError("say how: --drain lets running jobs finish, --kill ends them")
    run = app.find_run(workflow_id)
    if run["status"] != "R":
        word = WORKFLOW_WORDS.get(run["status"], run["status"])
        click.echo(f"workflow {workflow_id} is not running (its last run: {word}); nothing to stop", err=True)
        if as_json:
            print_json(run)
        return
    if dry_run:
        print_plan(app.client.plan_stop(run["id"], mode), as_json)
        return
    run = app.client.stop_run(run["id"], mode)
    click.echo(f"run {run['id']} of workflow {workflow_id} is being stopped ({mode}): {run['page']}", err=True)
    if as_json:
        print_json(run)


@workflow.command("wait")
@click.argument("workflow_id", type=int)
@click.option("--timeout", type=click.FloatRange(0), help="Seconds; then the exit code is 6.")
@json_option
@pass_app
def wait_for(app: App, workflow_id: int, timeout: float | None, as_json: bool) -> None:
    """Wait for the end of the latest run; the exit code is 0 if all jobs are done, 1 if not."""
    run, is_done = app.wait(app.find_run(workflow_id), timeout)
    if as_json:
        print_json(run)
    raise click.exceptions.Exit(0 if is_done else 1)


@workflow.command()
@click.argument("workflow_id", type=int)
@click.option("--dot", is_flag=True, help="Print it in the DOT language, for Graphviz.")
@json_option
@pass_app
def graph(app: App, workflow_id: int, dot: bool, as_json: bool) -> None:
    """Show the graph of tags, with the jobs of each."""
    found = app.client.get_graph(workflow_id)
    if as_json:
        print_json(found)
    elif dot:
        click.echo(format_dot(found), nl=False)
    else:
        print_graph(found)


def _finish(app: App, run: dict[str, Any], want_wait: bool, as_json: bool) -> None:
    is_done = True
    if want_wait:
        run, is_done = app.wait(run)
    if as_json:
        print_json(run)
    raise click.exceptions.Exit(0 if is_done else 1)
