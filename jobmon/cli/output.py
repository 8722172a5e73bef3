"""How data looks: JSON for programs, tables for people. Text of jobs never controls the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobmon.plain import clean, escape_unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WORKFLOW_WORDS = {"C": "created", "R": "running", "S": "stopped", "E": "failed", "D": "done"}
JOB_WORDS = {
    "G": "waiting",
    "Q": "queued",
    "I": "submitted",
    "R": "running",
    "E": "retrying",
    "F": "failed",
    "D": "done",
}
INSTANCE_WORDS = {
    "I": "being submitted",
    "B": "in the queue",
    "R": "running",
    "E": "ended with an error",
    "D": "done",
}
COLOURS = {"running": "blue", "failed": "red", "ended with an error": "red", "retrying": "yellow", "done": "green"}
COUNT_ORDER = "DRIQGEF"
WIDE = 100_000


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    click.echo(escape_unseen(json.dumps(value, indent=2, ensure_ascii=False)))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; without borders, cut or wrapped text where stdout is no terminal, so that grep and awk work."""
    to_person = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if to_person else None, pad_edge=False, highlight=False)
    for column in columns:
        table.add_column(Text(clean(column)), overflow="fold", no_wrap=not to_person)
    for row in rows:
        table.add_row(*(format_cell(value, to_person) for value in row))
    console = Console(file=sys.stdout, width=None if to_person else WIDE, soft_wrap=False)
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    click.echo("\n".join(line if to_person else line.rstrip() for line in lines if line.strip()), color=to_person)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one pair a line; values that are not there are left out."""
    shown = [(name, value) for name, value in facts if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *rest = clean(str(value)).splitlines() or [""]
        click.echo("\n".join([f"{name:<{width}}  {first}", *(f"{'':<{width}}  {line}" for line in rest)]))


def format_cell(value: Any, to_person: bool) -> Text:
    """A value as text: None is a dash, status words have their colour."""
    text = "–" if value is None or value == "" else clean(str(value))
    if not to_person:
        text = text.replace("\n", " ").replace("\t", " ")
    return Text(text, style=COLOURS.get(text, ""))


def format_counts(counts: dict[str, int] | None) -> str:
    """Like "2 done, 1 running, 1 failed"; statuses without jobs are left out."""
    found = counts or {}
    return ", ".join(f"{found[letter]} {JOB_WORDS[letter]}" for letter in COUNT_ORDER if found.get(letter)) or "no jobs"


def format_time(stamp: str | None) -> str:
    """An ISO time in UTC to the second, as 2026-01-31 12:00:00Z."""
    return "" if not stamp else stamp[:19].replace("T", " ") + "Z"
