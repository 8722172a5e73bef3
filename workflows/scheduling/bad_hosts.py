"""Hosts on which attempts fail quickly, one after the other, while others run well: nothing new is sent there until a
person readmits them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from workflows import executor_control
from workflows.models import HostExclusion, JobInstance
from workflows.scheduling import back_ends
from workflows.state_machine import Reason

logger = logging.getLogger(__name__)
ATTEMPTS_READ = 2_000
IN_A_ROW = 20
QUICK_SECONDS = 60.0
LARGEST_SHARE = 0.25
FAILED_QUICKLY = frozenset({Reason.EXIT.value, Reason.SIGNAL.value, Reason.LOST.value})
_newest_seen: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Ended:
    """One ended attempt: how long it ran (None: not known), and whether it failed in a way that may be the host's."""

    host: str
    is_failure: bool
    seconds: float | None
    ended_at: datetime | None

    @property
    def is_quick_failure(self) -> bool:
        return self.is_failure and self.seconds is not None and self.seconds < QUICK_SECONDS


def find_bad(newest: Iterable[Ended], readmitted: Mapping[str, datetime], excluded: Sequence[str]) -> list[str]:
    """Hosts whose 20 newest attempts all failed quickly. None while most attempts elsewhere do the same, since then it
    is not the host; and never more than a quarter of the hosts, so that no mistake of ours empties a cluster."""
    of_host: dict[str, list[Ended]] = defaultdict(list)
    for attempt in newest:
        since = readmitted.get(attempt.host)
        if attempt.host and (since is None or attempt.ended_at is None or attempt.ended_at > since):
            of_host[attempt.host].append(attempt)
    suspects = [
        host
        for host, attempts in sorted(of_host.items())
        if host not in excluded and len(attempts) >= IN_A_ROW and all(a.is_quick_failure for a in attempts[:IN_A_ROW])
    ]
    others = [attempt for host, attempts in of_host.items() if host not in suspects for attempt in attempts]
    if not others or sum(attempt.is_quick_failure for attempt in others) * 2 >= len(others):
        return []
    room = int(len(set(of_host) | set(excluded)) * LARGEST_SHARE) - len(excluded)
    return suspects[: max(0, room)]


def exclude_bad_hosts() -> list[str]:
    """Once per sweep: one read of at most 2,000 rows for each batch system in which something has ended since."""
    found: list[str] = []
    for name in _batch_systems():
        rows = JobInstance.objects.filter(executor_type=name, status__in=["D", "E"]).order_by("-job_instance_id")
        newest = rows.values_list("job_instance_id", flat=True).first()
        if newest is None or _newest_seen.get(name) == newest:
            continue
        _newest_seen[name] = newest
        found += _exclude(name, _read(name))
    return found


def _batch_systems() -> list[str]:
    return [name for name in back_ends.executor_names() if executor_control.can_exclude_hosts(name)]


def _read(name: str) -> list[Ended]:
    rows = JobInstance.objects.filter(executor_type=name, status__in=["D", "E"]).order_by("-job_instance_id")
    columns = ("nodename", "status", "reason", "started_at", "ended_at", "wallclock")
    return [
        Ended(host, status == "E" and reason in FAILED_QUICKLY, _ran(wallclock, started, ended), ended)
        for host, status, reason, started, ended, wallclock in rows.values_list(*columns)[:ATTEMPTS_READ]
        if status == "D" or reason in FAILED_QUICKLY
    ]


def _ran(wallclock: float | None, started: datetime | None, ended: datetime | None) -> float | None:
    if wallclock is not None:
        return wallclock
    return (ended - started).total_seconds() if started and ended else None


def _exclude(name: str, attempts: Sequence[Ended]) -> list[str]:
    rows = list(HostExclusion.objects.filter(executor=name))
    readmitted = {row.host: row.changed_at for row in rows if not row.is_excluded}
    excluded = [row.host for row in rows if row.is_excluded]
    bad = find_bad(attempts, readmitted, excluded)
    reason = f"its {IN_A_ROW} newest attempts failed within {QUICK_SECONDS:.0f} s each, elsewhere most do not"
    for host in bad:
        try:
            executor_control.exclude_host(name, host, reason, executor_control.server())
        except executor_control.NotChanged as refusal:
            logger.warning("host %s of %s is bad, but was not excluded: %s", host, name, refusal)
        else:
            logger.error("ALARM: host %s of %s is excluded: %s", host, name, reason)
    return bad
