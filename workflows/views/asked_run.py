"""Which run and which tag a page of figures is asked to show. What is asked for and is not there is named; then nothing is
shown, for figures of another run look just as right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.models import JobGroup
from workflows.url_filters import VIEW_NAMES, Chip, without_empty

NAMES = frozenset({"run", "tag", "from", "to", "by"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The latest run if none was named. `chips`: what was not understood; with any of them there is no run."""

    run: Any = None
    tag: JobGroup | None = None
    chips: list[Chip] = field(default_factory=list)


def read_asked(
    data: QueryDict,
    runs: Sequence[Any],
    find_run: Callable[[int], Any],
    groups: Sequence[JobGroup],
    wrong: Sequence[str] = (),
) -> Asked:
    """`runs`: those offered, newest first; others are looked up. `wrong`: names that the page has found to be wrong."""
    query = without_empty(data)
    names = {"run": query.get("run"), "tag": query.get("tag")}
    run = _pick_run(names["run"], runs, find_run)
    tag = next((group for group in groups if group.name == names["tag"]), None)
    missing = {"run": run, "tag": tag}
    unknown = [name for name in query if name not in NAMES | VIEW_NAMES or name in wrong]
    unknown += [name for name, text in names.items() if text and missing[name] is None]
    unknown += [name for name, values in query.lists() if name in NAMES and len(values) > 1]  # which of them is meant?
    if unknown:
        return Asked(chips=[_chip(query, name) for name in dict.fromkeys(unknown)])
    return Asked(run, tag)


def _pick_run(asked: str | None, runs: Sequence[Any], find_run: Callable[[int], Any]) -> Any:
    if not asked:
        return runs[0] if runs else None
    offered: Mapping[str, Any] = {str(run.pk): run for run in runs}
    if asked in offered:
        return offered[asked]
    number = read_digits(asked)
    return None if number is None else find_run(number)


def _chip(query: QueryDict, name: str) -> Chip:
    rest = query.copy()
    values = ", ".join(rest.pop(name))
    return Chip(f"not understood: {fenced(name)}={fenced(values)}", rest.urlencode(), is_understood=False)
