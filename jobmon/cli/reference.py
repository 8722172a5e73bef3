"""The text of docs/cli.md, made from the commands themselves: `python -m jobmon.cli.reference > docs/cli.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobmon.cli.root import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 100

HEAD = """\
# The `jobmon` command

This page is made from the command's own help (`python -m jobmon.cli.reference`); a test compares them.

Data goes to stdout, talk to stderr. Every command that prints data takes `--json`. Tables lose their borders and are
never cut when stdout is no terminal, so that `grep` and `awk` work.

| exit code | meaning |
|---|---|
| 0 | fine; a workflow that was waited for is done |
| 1 | the workflow failed or was stopped; a check of `jobmon test` failed |
| 2 | wrong usage, a wrong configuration, or a graph that cannot run |
| 3 | no usable answer from the server |
| 4 | not found, or this server cannot do that yet |
| 5 | not allowed: no right, a token that is not accepted, or not now (a run is live, leftovers remain, …) |
| 6 | still going when the time given to `wait` was over |
| 130 | Ctrl-C: detached, the run goes on |

## Shell completion

| shell | put this into | line |
|---|---|---|
| bash | `~/.bashrc` | `eval "$(_JOBMON_COMPLETE=bash_source jobmon)"` |
| zsh | `~/.zshrc` | `eval "$(_JOBMON_COMPLETE=zsh_source jobmon)"` |
| fish | `~/.config/fish/completions/jobmon.fish` | `_JOBMON_COMPLETE=fish_source jobmon \\| source` |

## Commands
"""


def render() -> str:
    """The whole page."""
    sections = [f"### `{path}`\n\n```text\n{text}\n```\n" for path, text in list_helps(cli, "jobmon", None)]
    return "\n".join([HEAD, *sections])


def list_helps(command: click.Command, path: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """The command and all below it, each with its `--help`."""
    context = click.Context(command, info_name=path.split(" ")[-1], parent=parent, **command.context_settings)
    context.terminal_width = WIDTH
    yield path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from list_helps(command.commands[name], f"{path} {name}", context)


if __name__ == "__main__":
    click.echo(render(), nl=False)
