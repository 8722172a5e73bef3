"""Pure: what attempts asked for and used, by tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.requests import Suggestion, format_runtime, from_samples, request_line, suggest_memory, suggest_runtime

GB = 10**9


@dataclass(frozen=True, slots=True)
class Attempt:
    """An ended attempt. Memory in GB, times in seconds (`cpu` of all slots together); None: not measured, or not asked for."""

    job_id: int
    tag: str
    memory_asked: float
    memory_used: float | None
    time_asked: float | None
    time_used: float | None
    reason: str
    slots: int = 1
    cpu: float | None = None
    name: str = ""

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Attempt:
        """From (job id, tag, memory asked, bytes used, seconds asked, seconds used, reason, slots, seconds of CPU, name of
        the job)."""
        job_id, tag, asked, used, longest, ran, reason, slots, cpu, name = row
        return cls(job_id, tag, asked, None if used is None else used / GB, longest, ran, reason, slots, cpu, name)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, 95 % and largest of what was measured; None where nothing was."""

    median: float | None = None
    high: float | None = None
    largest: float | None = None


@dataclass(frozen=True, slots=True)
class TagUse:
    tag: str
    attempts: int
    not_measured: int
    memory_asked: float
    memory: Spread
    time_asked: float | None
    time: Spread
    unused_gb_hours: float
    over_memory: int
    over_time: int
    memory_hint: Suggestion
    time_hint: Suggestion
    unused_slot_hours: float | None = None  # None: of no attempt is the CPU time known

    @property
    def line(self) -> str:
        return request_line(self.memory_hint, self.time_hint)

    @property
    def new_memory(self) -> float | None:
        """What is suggested, if it is not what is asked for now."""
        return None if self.memory_hint.request == self.memory_asked else self.memory_hint.request

    @property
    def new_time(self) -> float | None:
        return None if self.time_hint.request == self.time_asked else self.time_hint.request

    @property
    def change(self) -> str:
        """`18 GB and 2 h`; '' where what is asked for is what is suggested, or nothing is."""
        parts = [f"{self.new_memory:g} GB"] if self.new_memory else []
        parts += [format_runtime(self.new_time)] if self.new_time else []
        return " and ".join(parts)


def spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    if not ordered:
        return Spread()
    last = len(ordered) - 1
    return Spread(ordered[last // 2], ordered[min(last, int(0.95 * len(ordered)))], ordered[-1])


def by_tag(attempts: Iterable[Attempt]) -> list[TagUse]:
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(attempt.tag, []).append(attempt)
    return sorted((_tag_use(tag, own) for tag, own in groups.items()), key=lambda use: -use.unused_gb_hours)


def _tag_use(tag: str, attempts: Sequence[Attempt]) -> TagUse:
    memory = [attempt.memory_used for attempt in attempts if attempt.memory_used is not None]
    times = [attempt.time_used for attempt in attempts if attempt.time_used is not None]
    over_memory = sum(attempt.reason == "memory" for attempt in attempts)
    over_time = sum(attempt.reason == "runtime" for attempt in attempts)
    asked = sum(attempt.memory_asked for attempt in attempts) / len(attempts)
    time_asked = max((attempt.time_asked for attempt in attempts if attempt.time_asked), default=None)
    hours = sum(times) / 3600
    return TagUse(
        tag, len(attempts), sum(attempt.memory_used is None for attempt in attempts), asked, spread(memory),
        time_asked, spread(times),
        sum(_unused(attempt) for attempt in attempts), over_memory, over_time,
        suggest_memory(from_samples((a.memory_used for a in attempts if a.reason != "memory"), over_memory), asked, hours),
        suggest_runtime(from_samples((a.time_used for a in attempts if a.reason != "runtime"), over_time), time_asked),
        _unused_slots(attempts),
    )  # fmt: skip


def _unused(attempt: Attempt) -> float:
    """GB-hours asked for and not used."""
    if attempt.memory_used is None or attempt.time_used is None:
        return 0.0
    return max(0.0, attempt.memory_asked - attempt.memory_used) * attempt.time_used / 3600


def _unused_slots(attempts: Sequence[Attempt]) -> float | None:
    """Slot-hours asked for in which no processor worked; None where that was never measured."""
    unused = [
        max(0.0, a.slots * a.time_used - a.cpu) for a in attempts if a.time_used is not None and a.cpu is not None
    ]
    return sum(unused) / 3600 if unused else None


def read_use(stored: Mapping[str, Any]) -> TagUse:
    """Back from `dataclasses.asdict`."""
    spreads = {name: Spread(**stored[name]) for name in ("memory", "time")}
    hints = {name: Suggestion(**stored[name]) for name in ("memory_hint", "time_hint")}
    return TagUse(**{**stored, **spreads, **hints})
