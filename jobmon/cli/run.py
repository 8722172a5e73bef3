"""`jobmon run FILE`: a workflow from YAML or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import yaml

from jobmon.cli.context import App, dry_run_option, json_option, pass_app
from jobmon.cli.output import print_json
from jobmon.cli.plan import print_plan
from jobmon.cli.single_keys import read_json, read_yaml
from jobmon.exceptions import WorkflowAlreadyComplete
from jobmon.workflow.workflow import Workflow

if TYPE_CHECKING:
    from typing import TextIO


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--workflow-args", help="Instead of those in the file.")
@click.option("--executor", help="Instead of the one in the file.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="cold",
    default="cold",
    show_default=True,
    type=click.Choice(["cold", "hot"]),
    help="End what is left of an earlier run first, or adopt it.",
)
@click.option("--no-wait", is_flag=True, help="Come back as soon as the server has taken it.")
@click.option("--check", is_flag=True, help="Only check the file; ask no server.")
@dry_run_option
@json_option
@pass_app
def run(
    app: App,
    file: TextIO,
    workflow_args: str | None,
    executor: str | None,
    resume: str,
    no_wait: bool,
    check: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run the workflow in FILE (YAML or JSON; - is stdin), or resume it; what is done is not run again.

    The file holds what the REST API takes: workflow_args, name, project, …, and jobs with name, command, upstreams, ….
    """
    data = read_file(file)
    data.update({key: value for key, value in (("workflow_args", workflow_args), ("executor", executor)) if value})
    data["resume"] = resume
    try:
        workflow = Workflow.from_dict(data, client=None if check else app.client)
        workflow.task_dag.validate()
    except ValueError as error:
        raise click.UsageError(f"{file.name}: {error}") from error
    if check:
        click.echo(f"{file.name}: {len(workflow.task_dag)} jobs, no errors", err=True)
        return
    if dry_run:
        print_plan(workflow.plan(), as_json)
        return
    raise click.exceptions.Exit(_run(workflow, app, not no_wait, as_json))


def read_file(file: TextIO) -> dict[str, Any]:
    """The mapping in a file; JSON by its name, else YAML, of which JSON is nearly a part."""
    try:
        data = read_json(file) if file.name.endswith(".json") else read_yaml(file)
    except (ValueError, yaml.YAMLError) as error:
        raise click.UsageError(f"{file.name} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise click.UsageError(f"{file.name} should hold a mapping with workflow_args and jobs")
    return data


def _run(workflow: Workflow, app: App, want_wait: bool, as_json: bool) -> int:
    is_done = True
    try:
        is_done = workflow.run(wait=want_wait)
    except WorkflowAlreadyComplete:
        click.echo(f"workflow {workflow.workflow_id} is complete; there is nothing to run", err=True)
    except KeyboardInterrupt:
        if workflow.workflow_run_id is None:
            raise
        return 130
    if as_json and workflow.workflow_id is not None:
        print_json(app.client.get_workflow(workflow.workflow_id))
    elif workflow.workflow_id is not None and not want_wait:
        click.echo(workflow.workflow_id)
    return 0 if is_done else 1
