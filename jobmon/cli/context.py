"""What the commands share: the client, the `--json` option, waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobmon.api import Client
from jobmon.config import Config, load_config
from jobmon.workflow.progress import choose_progress
from jobmon.workflow.watch import tell_how_to_return, tell_outcome, wait_for_run

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

DETACHED = 130


class App:
    """One invocation: its configuration and its client, made when first needed."""

    def __init__(self, server: str | None) -> None:
        self._server = server
        self._config: Config | None = None
        self._client: Client | None = None

    @property
    def config(self) -> Config:
        if self._config is None:
            self._config = load_config(server=self._server)
        return self._config

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = Client(self.config)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def find_run(self, workflow_id: int) -> dict[str, Any]:
        """The workflow's latest run. A workflow that was never run is wrong usage."""
        run: dict[str, Any] | None = self.client.get_workflow(workflow_id)["latest_run"]
        if run is None:
            raise click.UsageError(
                f"workflow {workflow_id} has never been run; start it with `jobmon workflow resume {workflow_id}`"
            )
        return run

    def wait(self, run: dict[str, Any], timeout: float | None = None) -> tuple[dict[str, Any], bool]:
        """Wait for a run's end, showing progress. Ctrl-C detaches and ends the command."""
        progress = choose_progress()
        try:
            run = wait_for_run(self.client, run["id"], progress, timeout)
        except KeyboardInterrupt:
            progress.close()
            click.echo(f"jobmon: {tell_how_to_return(run['workflow_id'], run['page'])}", err=True)
            raise click.exceptions.Exit(DETACHED) from None
        except BaseException:
            progress.close()
            raise
        progress.close()
        return run, tell_outcome(self.client, run)


pass_app = click.make_pass_decorator(App)


def json_option(function: F) -> F:
    """`--json`: the server's own words instead of a table."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def dry_run_option(function: F) -> F:
    """`--dry-run`: ask the server what would happen."""
    return click.option("--dry-run", is_flag=True, help="Only tell what would happen.")(function)
