"""Pure: the attempts that wait on this machine, what it has to give, and which of them starts next."""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LOCAL = "local"
SEQUENTIAL = "sequential"
_LOOK_AHEAD = 200


def megabytes(gigabytes: float) -> int:
    """Memory is counted in whole megabytes, so that sums are exact."""
    return round(gigabytes * 1000)


@dataclass(slots=True)
class Attempt:
    """One attempt in the hands of this machine. `memory` in MB, `max_runtime` and `blocked_at` in seconds.
    `message` says why it could not be started yet, if something went wrong."""

    instance_id: int
    run_id: int
    name: str
    queue: str
    slots: int
    memory: int
    max_runtime: float | None
    working_dir: str
    stdout: str
    stderr: str
    environment: dict[str, str]
    submitted_at: float
    blocked_at: float | None = None
    message: str = ""

    @classmethod
    def from_wire(cls, item: dict[str, Any], submitted_at: float) -> Attempt:
        """Raises KeyError, TypeError or ValueError for what is not an attempt."""
        if item["queue"] not in (LOCAL, SEQUENTIAL):
            raise ValueError(f"unknown queue {item['queue']!r}")
        return cls(
            instance_id=int(item["instance_id"]),
            run_id=int(item["run_id"]),
            name=str(item["name"]),
            queue=item["queue"],
            slots=max(1, int(item["slots"])),
            memory=max(0, int(item["memory"])),
            max_runtime=None if item["max_runtime"] is None else float(item["max_runtime"]),
            working_dir=str(item["working_dir"]),
            stdout=str(item["stdout"]),
            stderr=str(item["stderr"]),
            environment={str(name): str(value) for name, value in item["environment"].items()},
            submitted_at=submitted_at,
        )


@dataclass(slots=True)
class Machine:
    """Slots and memory (MB) that both queues share. After a restart with less, more may be in use than there is;
    then nothing fits until enough has ended."""

    slots: int
    memory: int
    used_slots: int = 0
    used_memory: int = 0

    def fits(self, slots: int, memory: int) -> bool:
        return self.used_slots + slots <= self.slots and self.used_memory + memory <= self.memory

    def take(self, slots: int, memory: int) -> None:
        self.used_slots += slots
        self.used_memory += memory

    def give_back(self, slots: int, memory: int) -> None:
        self.take(-slots, -memory)


@dataclass(slots=True)
class Backlog:
    """Attempts that wait. In the order of arrival; the sequential queue offers only its lowest instance, and only
    while none of its own runs. What does not fit lets smaller ones pass for `patience` seconds, then it holds its
    place: nothing behind it starts before it."""

    patience: float = 5.0
    _local: OrderedDict[str, tuple[int, Attempt]] = field(default_factory=OrderedDict)
    _sequential: dict[str, tuple[int, Attempt]] = field(default_factory=dict)
    _order: list[tuple[int, str]] = field(default_factory=list)
    _arrivals: Iterator[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._local) + len(self._sequential)

    def __contains__(self, name: str) -> bool:
        return name in self._local or name in self._sequential

    def __iter__(self) -> Iterator[Attempt]:
        return (attempt for _, attempt in itertools.chain(self._local.values(), self._sequential.values()))

    def add(self, attempt: Attempt) -> None:
        entry = (next(self._arrivals), attempt)
        if attempt.queue == LOCAL:
            self._local[attempt.name] = entry
        else:
            self._sequential[attempt.name] = entry
            heapq.heappush(self._order, (attempt.instance_id, attempt.name))

    def remove(self, name: str) -> bool:
        """Whether it was there."""
        return self._local.pop(name, None) is not None or self._sequential.pop(name, None) is not None

    def put_back(self, attempt: Attempt) -> None:
        """Return to the front what `take_next` gave out and could not be started."""
        self.add(attempt)
        if attempt.queue == LOCAL:
            self._local.move_to_end(attempt.name, last=False)

    def take_next(self, machine: Machine, sequential_is_busy: bool, now: float) -> Attempt | None:
        """The attempt to start now, removed from the backlog, or None. `now` in seconds of any steady clock."""
        if machine.used_slots >= machine.slots:
            return None
        is_first = True
        for attempt in self._candidates(sequential_is_busy):
            if machine.fits(attempt.slots, attempt.memory):
                self.remove(attempt.name)
                attempt.blocked_at = None
                return attempt
            if is_first and attempt.blocked_at is None:
                attempt.blocked_at = now
            if attempt.blocked_at is not None and now - attempt.blocked_at >= self.patience:
                return None
            is_first = False
        return None

    def _candidates(self, sequential_is_busy: bool) -> Iterator[Attempt]:
        """By arrival, at most a few hundred, so that a long backlog costs no more than a short one."""
        head = None if sequential_is_busy else self._sequential_head()
        for arrival, attempt in itertools.islice(self._local.values(), _LOOK_AHEAD):
            if head is not None and head[0] < arrival:
                yield head[1]
                head = None
            yield attempt
        if head is not None:
            yield head[1]

    def _sequential_head(self) -> tuple[int, Attempt] | None:
        while self._order:
            name = self._order[0][1]
            if name in self._sequential:
                return self._sequential[name]
            heapq.heappop(self._order)  # was cancelled or started
        return None
