"""What an action would do, or has done, as the server's planner tells it."""

from __future__ import annotations

from typing import Any

import click

from jobmon.cli.output import print_json, print_table
from jobmon.plain import clean


def print_plan(plan: dict[str, Any], as_json: bool) -> None:
    """A sentence, a table of groups if there are any, warnings."""
    if as_json:
        print_json(plan)
        return
    click.echo(clean(str(plan["sentence"])))
    groups = plan.get("groups") or []
    if groups:
        columns = [column for column in groups[0] if any(group.get(column) for group in groups)]
        print_table(columns, [[_word(group.get(column)) for column in columns] for group in groups])
    for warning in plan.get("warnings") or []:
        click.echo(f"Warning: {clean(str(warning))}")


def _word(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
