"""Pure: where the time of attempts went, and how long those of each group of jobs ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from workflows.resource_use import Spread, spread
from workflows.words import plural

PARTS = {
    "upstreams": "waiting for upstreams",
    "held": "ready but held back by a limit or a hold",
    "before": "waiting for upstreams or a limit (not known which)",
    "queue": "submitted but not started",
    "computing": "computing",
    "retries": "in attempts that failed",
}


@dataclass(frozen=True, slots=True)
class Timed:
    """When an attempt was submitted, started and ended (None: not yet), and whether it failed. `ready`: since when its
    job has had all its upstreams (None: not written down)."""

    instance_id: int
    job_id: int
    group_id: int
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    has_failed: bool
    ready: datetime | None = None

    def lived_in(self, begin: datetime, end: datetime) -> bool:
        return self.submitted < end and (self.ended is None or self.ended >= begin)


def run_times(attempts: Iterable[Timed]) -> dict[int, Spread]:
    """Of each group: median, 95 % and longest of the attempts that succeeded."""
    seconds: dict[int, list[float]] = defaultdict(list)
    for one in attempts:
        if one.started and one.ended and not one.has_failed:
            seconds[one.group_id].append((one.ended - one.started).total_seconds())
    return {group_id: spread(values) for group_id, values in seconds.items()}


def spans(attempts: Iterable[Timed], now: datetime) -> dict[int, tuple[datetime, datetime]]:
    """Of each group: from the first submission to the last end."""
    found: dict[int, tuple[datetime, datetime]] = {}
    for one in attempts:
        end = one.ended or now
        first, last = found.get(one.group_id, (one.submitted, end))
        found[one.group_id] = min(first, one.submitted), max(last, end)
    return found


def split_time(attempts: Sequence[Timed], begin: datetime, now: datetime) -> dict[str, float]:
    """Seconds by part. Each job waits from the beginning of the run until its first submission: for its upstreams until
    it is ready, then for a limit or a hold. Where that moment is not known, or came again later, for one or the other."""
    first: dict[int, Timed] = {}
    parts = dict.fromkeys(PARTS, 0.0)
    for one in attempts:
        if one.job_id not in first or one.submitted < first[one.job_id].submitted:
            first[one.job_id] = one
        end = one.ended or now
        started = one.started or end
        parts["queue"] += _seconds(one.submitted, started)
        parts["retries" if one.has_failed else "computing"] += _seconds(started, end)
    for one in first.values():
        if one.ready is None or one.ready > one.submitted:
            parts["before"] += _seconds(begin, one.submitted)
        else:
            parts["upstreams"] += _seconds(begin, one.ready)
            parts["held"] += _seconds(max(begin, one.ready), one.submitted)
    return parts


def _seconds(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())


def split_sentence(parts: Mapping[str, float], attempts: int) -> str:
    """`Where the time of 40 attempts went: 61 % computing, …`, the largest part first; '' where there is none."""
    total = sum(parts.values())
    if not attempts or total <= 0:
        return ""
    shares = sorted(((seconds / total, PARTS[name]) for name, seconds in parts.items() if seconds), reverse=True)
    told = ", ".join(f"{_percent(share)} {words}" for share, words in shares)
    return f"Where the time of {plural(attempts, 'attempt')} went: {told}."


def _percent(share: float) -> str:
    return "under 1\u00a0%" if share < 0.01 else f"{share:.0%}".replace("%", "\u00a0%")
