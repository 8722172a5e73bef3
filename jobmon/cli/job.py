"""`jobmon job …`"""

from __future__ import annotations

from typing import Any

import click

from jobmon.cli.context import App, dry_run_option, json_option, pass_app
from jobmon.cli.logs import print_log
from jobmon.cli.operating import Order, run_operation
from jobmon.cli.output import INSTANCE_WORDS, JOB_WORDS, format_time, print_facts, print_json, print_table
from jobmon.cli.plan import print_plan
from jobmon.plain import clean


@click.group()
def job() -> None:
    """Look into single jobs, and change what becomes of them."""


@job.command()
@click.argument("job_id", type=int)
@json_option
@pass_app
def show(app: App, job_id: int, as_json: bool) -> None:
    """Show a job and all its attempts."""
    found = app.client.get_job(job_id)
    if as_json:
        print_json(found)
        return
    print_facts(
        [
            ("job", f"{found['job_id']} {found['name']}"),
            ("status", JOB_WORDS.get(found["status"], found["status"])),
            ("workflow", found.get("workflow_id")),
            ("tag", found.get("tag")),
            ("command", found["command"]),
            ("asks for", _describe_request(found)),
            ("attempts", f"{found.get('num_attempts', 0)} of {found.get('max_attempts', '?')}"),
            ("submitted", format_time(found.get("submitted_date"))),
            ("changed", format_time(found.get("status_date"))),
        ]
    )
    _print_attempts(sort_attempts(found))


@job.command()
@click.argument("job_id", type=int)
@click.option("--attempt", type=click.IntRange(1), help="Which attempt, 1 for the first; the last if not given.")
@click.option("--stdout", "stream", flag_value="stdout", type=str, default="stdout", help="What it printed (default).")
@click.option("--stderr", "stream", flag_value="stderr", type=str, help="Its errors.")
@click.option("--follow", "-f", is_flag=True, help="Print what is new until the attempt has ended.")
@click.option("--offset", type=click.IntRange(0), help="From this byte on.")
@click.option("--limit", type=click.IntRange(1), help="At most so many bytes.")
@json_option
@pass_app
def log(
    app: App,
    job_id: int,
    attempt: int | None,
    stream: str,
    follow: bool,
    offset: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print the output of a job: the last 64 KB if nothing else is said."""
    if follow and as_json:
        raise click.UsageError("--follow and --json do not go together")
    instance = pick_attempt(app.client.get_job(job_id), attempt)
    instance_id = int(instance["job_instance_id"])
    print_log(app.client, instance_id, stream, offset, limit, follow, as_json)


@job.command()
@click.argument("job_id", type=int)
@json_option
@pass_app
def why(app: App, job_id: int, as_json: bool) -> None:
    """Tell in a sentence why a job is where it is."""
    found = app.client.explain_job(job_id)
    if as_json:
        print_json(found)
    else:
        click.echo(clean(str(found["why"])))


@job.command()
@click.argument("job_ids", type=int, nargs=-1, required=True, metavar="JOB_ID...")
@click.option("--downstream", is_flag=True, help="Also all that depends on it (of one job).")
@dry_run_option
@json_option
@pass_app
def rerun(app: App, job_ids: tuple[int, ...], downstream: bool, dry_run: bool, as_json: bool) -> None:
    """Have jobs run again, although they have failed or are done.

    Several must be of one workflow. See also `jobmon operation start`, which finds jobs by filters.
    """
    if len(job_ids) == 1:
        print_plan(app.client.rerun_job(job_ids[0], downstream, dry_run), as_json)
        return
    if downstream:
        raise click.UsageError("--downstream goes with one job only")
    run_operation(app, _order(app, "rerun", job_ids), True, dry_run, as_json)


@job.command()
@click.argument("job_ids", type=int, nargs=-1, required=True, metavar="JOB_ID...")
@click.option("--note", default="", help="Why; it is recorded with your name.")
@dry_run_option
@json_option
@pass_app
def done(app: App, job_ids: tuple[int, ...], note: str, dry_run: bool, as_json: bool) -> None:
    """Mark jobs as done on your word, so that what depends on them can run."""
    if len(job_ids) == 1:
        print_plan(app.client.mark_job_done(job_ids[0], note, dry_run), as_json)
        return
    run_operation(app, _order(app, "done", job_ids, {"note": note}), True, dry_run, as_json)


@job.command()
@click.argument("job_ids", type=int, nargs=-1, required=True, metavar="JOB_ID...")
@click.option(
    "--then",
    type=click.Choice(["retry", "fail"]),
    required=True,
    help="Try again while attempts are left, or fail for good.",
)
@dry_run_option
@json_option
@pass_app
def kill(app: App, job_ids: tuple[int, ...], then: str, dry_run: bool, as_json: bool) -> None:
    """End the live attempts of jobs; say what becomes of the jobs. The run goes on.

    Several must be of one workflow. `jobmon workflow stop --kill` ends everything.
    """
    run_operation(app, _order(app, "kill", job_ids, {"then": then}), True, dry_run, as_json)


def _order(app: App, action: str, job_ids: tuple[int, ...], options: dict[str, Any] | None = None) -> Order:
    workflow_id = int(app.client.get_job(job_ids[0])["workflow_id"])
    return Order(workflow_id, action, {"job_ids": list(job_ids)}, options or {})


@job.command()
@click.argument("job_id", type=int)
@click.option("--up", default=1, show_default=True, type=click.IntRange(0), help="Hops to what it waits for.")
@click.option("--down", default=1, show_default=True, type=click.IntRange(0), help="Hops to what waits for it.")
@json_option
@pass_app
def tree(app: App, job_id: int, up: int, down: int, as_json: bool) -> None:
    """Show what a job waits for and what waits for it."""
    found = app.client.get_job_tree(job_id, up, down)
    if as_json:
        print_json(found)
        return
    nodes = sorted(found["nodes"], key=lambda node: (node["distance"], node["job_id"]))
    print_table(
        ("distance", "job_id", "status", "name", "tag"),
        [
            (
                f"{node['distance']:+d}" if node["distance"] else "0",
                node["job_id"],
                JOB_WORDS.get(node["status"], node["status"]),
                node["name"],
                node.get("tag"),
            )
            for node in nodes
        ],
    )
    if found.get("truncated"):
        click.echo(f"only {len(nodes)} jobs are shown; ask for fewer hops to see all of them", err=True)


class NoAttempt(click.ClickException):
    """What was asked for was not found, as exit code 4 says of whatever the server does not find."""

    exit_code = 4


def sort_attempts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The attempts of a job, first to last."""
    return sorted(found.get("instances") or [], key=lambda one: int(one["job_instance_id"]))


def pick_attempt(found: dict[str, Any], attempt: int | None) -> dict[str, Any]:
    """One attempt, counted from 1; the last one if none is named."""
    attempts = sort_attempts(found)
    if not attempts:
        raise NoAttempt(
            f"job {found['job_id']} has not been tried yet, so it has no log; ask `jobmon job why {found['job_id']}`"
        )
    if attempt is not None and attempt > len(attempts):
        raise NoAttempt(f"job {found['job_id']} has {len(attempts)} attempts; there is no attempt {attempt}")
    return attempts[-1 if attempt is None else attempt - 1]


def _describe_request(found: dict[str, Any]) -> str:
    limit = f", at most {found['max_runtime']} s" if found.get("max_runtime") else ""
    slots = "1 slot" if found.get("slots") == 1 else f"{found.get('slots')} slots"
    return f"{slots}, {found.get('mem_free')} GB{limit}"


def _print_attempts(attempts: list[dict[str, Any]]) -> None:
    if not attempts:
        return
    print_table(
        ("attempt", "instance", "status", "reason", "exit", "host", "batch id", "changed"),
        [
            (
                number,
                one["job_instance_id"],
                INSTANCE_WORDS.get(one["status"], one["status"]),
                one.get("reason"),
                one.get("exit_code"),
                one.get("nodename"),
                one.get("executor_id"),
                format_time(one.get("status_date")),
            )
            for number, one in enumerate(attempts, 1)
        ],
    )
