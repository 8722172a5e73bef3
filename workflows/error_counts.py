"""Pure: what is counted beside an error group when it is written, so that no page reads the attempts for it.

A trend is how often it happened over time, in at most 24 equal steps that grow with the time they span:
{"start": epoch second, "step": seconds, "counts": [...]}. Hosts are {name: attempts}, at most 50 of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

BINS = 24
SHORTEST_STEP = 60
MOST_HOSTS = 50
SURE = 3.0  # standard deviations


def add_to_trend(trend: Mapping[str, Any] | None, moment: float, count: int) -> dict[str, Any]:
    """The trend with so many more at this moment. What comes before its start counts in the first step."""
    if not trend:
        start = int(moment) // SHORTEST_STEP * SHORTEST_STEP
        return {"start": start, "step": SHORTEST_STEP, "counts": [count]}
    start, step, counts = int(trend["start"]), int(trend["step"]), list(trend["counts"])
    at = max(0, int(moment) - start) // step
    while at >= BINS:
        counts = [sum(counts[i : i + 2]) for i in range(0, len(counts), 2)]
        step *= 2
        at = max(0, int(moment) - start) // step
    counts += [0] * (at + 1 - len(counts))
    counts[at] += count
    return {"start": start, "step": step, "counts": counts}


def trend_until(trend: Mapping[str, Any] | None, now: float) -> list[int]:
    """The counts from the first to now: a quiet end is shown as quiet. Empty when nothing is known."""
    return list(add_to_trend(trend, now, 0)["counts"]) if trend else []


def add_hosts(hosts: Mapping[str, int] | None, more: Iterable[str]) -> dict[str, int]:
    """The counts with one more for each of these names; beyond 50 hosts the rarest are let go."""
    counts = Counter(hosts or {})
    counts.update(host for host in more if host)
    return dict(counts.most_common(MOST_HOSTS))


def find_common_host(hosts: Mapping[str, int] | None, everywhere: Mapping[str, int]) -> tuple[str, float] | None:
    """The host with most attempts, and its share of those whose host is known, where that is clearly more than its due:
    twice of it and not by chance. Its due is an equal part of all hosts `everywhere`, or what it has of the other attempts
    there; of a single host nothing can be said."""
    if not hosts or len(everywhere) < 2:
        return None
    name, count = max(hosts.items(), key=lambda item: item[1])
    attempts = sum(hosts.values())
    others = sum(everywhere.values()) - attempts
    due = max(1 / len(everywhere), (everywhere.get(name, 0) - count) / others if others > 0 else 0)
    if count < 2 * due * attempts or due >= 1:
        return None
    return (name, count / attempts) if (count - due * attempts) ** 2 > SURE**2 * attempts * due * (1 - due) else None
