"""Pure: many tags as few boxes, folded by the beginnings of their names. Reads nothing, writes nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workflows.models import JobGroup
from workflows.models.definition import COUNT_FIELDS

Edges = Mapping[tuple[int, int], int]
# Where a name may be cut: before a separator, and where digits begin
_CUT = re.compile(r"[\s._:=/-]|(?<=[^\d\s._:=/-])(?=\d)")
SUMMED = ("jobs", "count_blocked", *COUNT_FIELDS.values())


@dataclass(frozen=True, slots=True)
class Folded:
    """Groups and the edges between them; `members` names how many tags stand behind a group that is several."""

    groups: list[JobGroup]
    edges: dict[tuple[int, int], int]
    members: dict[int, list[JobGroup]] = field(default_factory=dict)


def beginnings(name: str) -> list[str]:
    """From the shortest to the whole name: `fit`, `fit_2019`, `fit_2019_m`."""
    cuts = [found.start() for found in _CUT.finditer(name) if found.start()]
    return [name[:cut] for cut in dict.fromkeys(cuts)] + [name]


def keep_under(groups: Sequence[JobGroup], edges: Edges, beginning: str) -> Folded:
    """Only the tags that begin so, and what leads from one of them to another."""
    kept = [group for group in groups if beginning in beginnings(group.name)]
    inside = {group.pk for group in kept}
    return Folded(kept, {pair: number for pair, number in edges.items() if inside.issuperset(pair)})


def fold(groups: Sequence[JobGroup], edges: Edges, most: int) -> Folded:
    """As they are where they are few enough, else by the longest beginnings that leave at most `most` boxes. Where even
    the shortest leave more, or one alone, they stay as they are."""
    if len(groups) <= most:
        return Folded(list(groups), dict(edges))
    names = [beginnings(group.name) for group in groups]
    for parts in range(max(map(len, names)), 0, -1):
        folded: dict[str, list[JobGroup]] = defaultdict(list)
        for group, found in zip(groups, names, strict=True):
            folded[found[min(parts, len(found)) - 1]].append(group)
        if 1 < len(folded) <= most:
            return _merge(folded, edges)
    return Folded(list(groups), dict(edges))


def _merge(folded: Mapping[str, list[JobGroup]], edges: Edges) -> Folded:
    boxes = [_sum_up(name, groups) if len(groups) > 1 else groups[0] for name, groups in folded.items()]
    box_of = {group.pk: groups[0].pk for groups in folded.values() for group in groups}
    between: dict[tuple[int, int], int] = defaultdict(int)
    for (up, down), number in edges.items():
        between[box_of[up], box_of[down]] += number
    return Folded(boxes, dict(between), {groups[0].pk: groups for groups in folded.values() if len(groups) > 1})


def _sum_up(name: str, groups: Sequence[JobGroup]) -> JobGroup:
    """A group that is in no database: the sums of these, under the key of the first."""
    sums = {field: sum(getattr(group, field) for group in groups) for field in SUMMED}
    return JobGroup(pk=groups[0].pk, name=name, is_from_tag=False, rank=min(group.rank for group in groups), **sums)
