"""Which workflows or jobs are meant: the filters of the server's lists as options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobmon.cli.output import JOB_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sized

F = TypeVar("F", bound="Callable[..., Any]")
ATTRIBUTE = "attr."


def filter_option(function: F) -> F:
    """`--filter NAME=VALUE` for any filter that the server's list knows."""
    return click.option(
        "--filter", "filters", multiple=True, metavar="NAME=VALUE", callback=_split_pairs,
        help="Any filter of the page, as in since=24h; may be repeated.",
    )(function)  # fmt: skip


def attribute_options(function: F) -> F:
    """`--attr NAME=VALUE`, and `--filter`."""
    function = filter_option(function)
    return click.option(
        "--attr", "attributes", multiple=True, metavar="NAME=VALUE", callback=_split_pairs,
        help="Only with this attribute; may be repeated.",
    )(function)  # fmt: skip


def job_options(function: F) -> F:
    """Which jobs of a workflow."""
    function = attribute_options(function)
    function = click.option("--name", help="Only with this name.")(function)
    function = click.option("--tag", multiple=True, help="Only with this tag; may be repeated.")(function)
    return click.option(
        "--status", multiple=True, type=click.Choice(list(JOB_WORDS)), help="G Q I R E F D; may be repeated."
    )(function)


def list_filters(
    attributes: Iterable[tuple[str, str]], filters: Iterable[tuple[str, str]], **named: Any
) -> list[tuple[str, str]]:
    """What the options say, as the server's list takes it."""
    found: list[tuple[str, str]] = []
    for name, values in named.items():
        several = values if isinstance(values, (tuple, list)) else [] if values is None else [values]
        found.extend((name, str(value)) for value in several)
    found.extend((ATTRIBUTE + name, value) for name, value in attributes)
    return [*found, *filters]


def tell_if_cut(found: Sized, limit: int) -> None:
    """A list that is as long as its limit is probably longer."""
    if len(found) >= limit:
        click.echo(f"the first {limit}; use a higher --limit for more", err=True)


def group_filters(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Name → all its values, as an operation's selection is posted."""
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def _split_pairs(_context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param=parameter)
        pairs.append((name, value))
    return pairs
