"""Pure: the attempts that used far more memory or time than is usual for their tag, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from workflows.resource_use import Attempt

# So many times what is usual for its tag, of so many measured attempts at least
FAR, FEWEST = 2, 5
LISTED = 5
LEAST = {"memory": 0.1, "time": 60.0}  # GB and seconds: below, nobody asks why


@dataclass(frozen=True, slots=True)
class Outlier:
    """`kind` is memory (GB) or time (seconds); `usual` is the median of the tag."""

    job_id: int
    name: str
    tag: str
    kind: str
    used: float
    usual: float

    @property
    def times(self) -> float:
        return self.used / self.usual


def find_outliers(attempts: Iterable[Attempt], known: Iterable[Outlier] = ()) -> list[Outlier]:
    """The five furthest from what is usual, of each tag and kind. `known` are those of an earlier reading: they stay in
    the comparison though their attempts are no longer read."""
    used: dict[tuple[str, str], list[tuple[float, Attempt]]] = defaultdict(list)
    for attempt in attempts:
        for kind, value in (("memory", attempt.memory_used), ("time", attempt.time_used)):
            if value is not None:
                used[attempt.tag, kind].append((value, attempt))
    before: dict[tuple[str, str], list[Outlier]] = defaultdict(list)
    for outlier in known:
        before[outlier.tag, outlier.kind].append(outlier)
    found: list[Outlier] = []
    for tag, kind in sorted(used.keys() | before.keys()):
        new = _far_ones(tag, kind, used[tag, kind])
        found += pick(_once_each([*new, *before[tag, kind]]))
    return found


def _far_ones(tag: str, kind: str, values: list[tuple[float, Attempt]]) -> list[Outlier]:
    if len(values) < FEWEST:
        return []
    usual = median(value for value, _ in values)
    least = max(FAR * usual, LEAST[kind])
    if usual <= 0:
        return []
    return [
        Outlier(attempt.job_id, attempt.name, tag, kind, value, usual) for value, attempt in values if value >= least
    ]


def _once_each(outliers: Iterable[Outlier]) -> list[Outlier]:
    """Of each job the attempt that used most."""
    largest: dict[int, Outlier] = {}
    for outlier in outliers:
        if outlier.job_id not in largest or outlier.used > largest[outlier.job_id].used:
            largest[outlier.job_id] = outlier
    return list(largest.values())


def pick(outliers: Iterable[Outlier]) -> list[Outlier]:
    """The five furthest of each kind, memory first."""
    ordered = sorted(outliers, key=lambda one: (one.kind, -one.times, one.job_id))
    return [one for kind in LEAST for one in [one for one in ordered if one.kind == kind][:LISTED]]


def read_outlier(stored: Mapping[str, Any]) -> Outlier:
    """Back from `dataclasses.asdict`."""
    return Outlier(**stored)
