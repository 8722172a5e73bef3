"""Pure: who waits for whom, by position: stored compactly, levels, cycles."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


class Upstreams:
    """The ascending positions of the upstreams of each job, one after the other in one flat array: half a million
    lists of three numbers would take 80 MB, this takes 8."""

    __slots__ = ("_ends", "_positions")

    def __init__(self, lists: Iterable[Sequence[int]] = ()) -> None:
        self._ends = array("I", [0])
        self._positions = array("I")
        for positions in lists:
            self.append(positions)

    def append(self, positions: Sequence[int]) -> None:
        self._positions.extend(positions)
        self._ends.append(len(self._positions))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, job: int) -> array[int]:
        return self._positions[self._ends[job] : self._ends[job + 1]]

    def __iter__(self) -> Iterator[array[int]]:
        positions, start = self._positions, 0
        for end in self._ends[1:]:
            yield positions[start:end]
            start = end

    @property
    def edge_count(self) -> int:
        return len(self._positions)

    def turn_round(self) -> Upstreams:
        """Of each job those that wait for it."""
        ends = array("I", bytes(4 * len(self._ends)))
        for up in self._positions:
            ends[up + 1] += 1
        for job in range(1, len(ends)):
            ends[job] += ends[job - 1]
        turned, free = Upstreams(), array("I", ends)
        turned._ends, turned._positions = ends, array("I", bytes(4 * len(self._positions)))
        for job, ups in enumerate(self):
            for up in ups:
                turned._positions[free[up]] = job
                free[up] += 1
        return turned

    def count(self, job: int) -> int:
        return self._ends[job + 1] - self._ends[job]


class References:
    """What each job waits for as it was posted. Positions go into a flat array; lists that hold names, or what can be
    no position, are kept as they are."""

    __slots__ = ("_as_posted", "_positions")

    def __init__(self, lists: Iterable[list[str | int]] = ()) -> None:
        self._positions = Upstreams()
        self._as_posted: dict[int, list[str | int]] = {}
        for references in lists:
            self.append(references)

    def append(self, references: list[str | int]) -> None:
        positions: Any = references
        try:
            self._positions.append(array("I", positions))
        except (TypeError, OverflowError):  # no position, or not all are
            self._as_posted[len(self._positions)] = references
            self._positions.append(())

    @property
    def has_names(self) -> bool:
        return any(isinstance(one, str) for references in self._as_posted.values() for one in references)

    def __iter__(self) -> Iterator[Any]:
        """Of each job an array of positions, or the list that was posted."""
        if not self._as_posted:
            return iter(self._positions)
        as_posted = self._as_posted
        return (as_posted.get(job, positions) for job, positions in enumerate(self._positions))


def find_levels(upstreams: Upstreams) -> tuple[list[int], list[int]]:
    """The level of each job (longest way from a root) and the positions that lie on or behind a cycle."""
    total = len(upstreams)
    levels = [0] * total
    if all(not ups or ups[-1] < position for position, ups in enumerate(upstreams)):
        for position, ups in enumerate(upstreams):
            if ups:
                levels[position] = 1 + max([levels[up] for up in ups])
        return levels, []
    return _find_levels_in_any_order(upstreams, levels)


def _find_levels_in_any_order(upstreams: Upstreams, levels: list[int]) -> tuple[list[int], list[int]]:
    total = len(levels)
    left = array("I", (upstreams.count(position) for position in range(total)))
    downstreams = upstreams.turn_round()
    ready = [position for position in range(total) if left[position] == 0]
    seen = 0
    while ready:
        position = ready.pop()
        seen += 1
        for down in downstreams[position]:
            levels[down] = max(levels[down], levels[position] + 1)
            left[down] -= 1
            if left[down] == 0:
                ready.append(down)
    return levels, [] if seen == total else [position for position in range(total) if left[position] > 0]


def find_cycle(upstreams: Upstreams, stuck: Sequence[int]) -> list[int]:
    """One cycle among the stuck positions: from any of them, walking up stuck upstreams must come round."""
    is_inside = bytearray(len(upstreams))
    for position in stuck:
        is_inside[position] = 1
    place = array("I", bytes(4 * len(upstreams)))  # in the walk, from 1 on
    walk = array("I")
    position = stuck[0]
    while not place[position]:
        walk.append(position)
        place[position] = len(walk)
        position = next(up for up in upstreams[position] if is_inside[up])
    return list(walk[place[position] - 1 :][::-1])
