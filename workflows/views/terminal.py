"""The terminal's lines of a list: its command and its path of the API, with all that narrows it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from django.http import QueryDict

from workflows.shell_words import quote_word
from workflows.url_filters import ATTRIBUTE, PLACE_NAMES, UrlFilterSet
from workflows.views.base import Terminal

OF_PAGES = PLACE_NAMES | {"cols", "filter"}
"""What says how a page looks, and means nothing elsewhere"""
FLAGS = {"mine": "--mine"}
ONCE = frozenset({"--name", "--user", "--workflow-args", "--workflow"})
"""Options that take one value; more of them are written as filters"""


def list_terminal(filters: UrlFilterSet, path: str, command: str = "", *, options: str = "") -> Terminal:
    """`options`: names of filters for which the command has an option of its own; it takes any other by `--filter`."""
    pairs = [(name, value) for name, value in filters.kept_beside(OF_PAGES)]
    known = {name: f"--{name.replace('_', '-')}" for name in options.split()} if not filters.unknown else {}
    return Terminal(_command(command, pairs, known) if command else "", _with_query(path, pairs))


def page_terminal(query: QueryDict, names: str, path: str, command: str = "") -> Terminal:
    """Of a page that is no list: those of these parameters that its address has."""
    pairs = [(name, value) for name in names.split() for value in query.getlist(name) if value]
    return Terminal(command, _with_query(path, pairs))


def _with_query(path: str, pairs: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _command(command: str, pairs: list[tuple[str, str]], options: Mapping[str, str]) -> str:
    names = [name for name, _ in pairs]
    return " ".join([command, *(_option(name, value, names.count(name), options) for name, value in pairs)])


def _option(name: str, value: str, times: int, options: Mapping[str, str]) -> str:
    if name in FLAGS and name in options and value.lower() in ("1", "true"):
        return FLAGS[name]
    if name == "per_page":
        return f"--limit {quote_word(value)}"
    if name.startswith(ATTRIBUTE):
        return f"--attr {quote_word(f'{name.removeprefix(ATTRIBUTE)}={value}')}"
    option = options.get(name, "")
    if not option or name in FLAGS or value.startswith("-") or (times > 1 and option in ONCE):
        return f"--filter {quote_word(f'{name}={value}')}"
    return f"{option} {quote_word(value)}"
