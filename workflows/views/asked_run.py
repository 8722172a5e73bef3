"""Which run and which tags a page of figures is asked to show. What is asked for and is not there is named; then nothing is
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

NAMES = frozenset({"run", "tag", "from", "to", "by", "groups"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The latest run if none was named, no tags for all of them. `chips`: what was not understood; with any of them there
    is no run. `query`: all that was asked, for the fields of the form."""

    run: Any = None
    tags: list[JobGroup] = field(default_factory=list)
    chips: list[Chip] = field(default_factory=list)
    query: QueryDict = field(default_factory=QueryDict)

    @property
    def tag_ids(self) -> list[int]:
        return [tag.pk for tag in self.tags]


def read_asked(
    data: QueryDict,
    runs: Sequence[Any],
    find_run: Callable[[int], Any],
    groups: Sequence[JobGroup],
    wrong: Sequence[str] = (),
) -> Asked:
    """`runs`: those offered, newest first; others are looked up. `wrong`: names that the page has found to be wrong."""
    query = without_empty(data)
    named = set(query.getlist("tag"))
    run, tags = _pick_run(query.get("run"), runs, find_run), [group for group in groups if group.name in named]
    unknown = [name for name in query if name not in NAMES | VIEW_NAMES or name in wrong]
    unknown += ["run"] if query.get("run") and run is None else []
    unknown += ["tag"] if len(tags) < len(named) else []
    unknown += [name for name in NAMES - {"tag"} if len(query.getlist(name)) > 1]  # which of them is meant?
    if unknown:
        return Asked(chips=[_chip(query, name) for name in dict.fromkeys(unknown)], query=query)
    return Asked(run, tags, query=query)


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
