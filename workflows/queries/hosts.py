"""Hosts by their failures, over the newest attempts."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from workflows.models import JobInstance

ATTEMPTS_READ, HOSTS_SHOWN = 10_000, 50
OF_A_HOST = ("exit", "signal", "lost", "memory", "runtime")
LEAST, SURE = 20, 4.0


@dataclass(frozen=True, slots=True)
class Host:
    """`failed` of `attempts` here; `elsewhere` is the share of failures on all other hosts."""

    name: str
    attempts: int
    failed: int
    elsewhere: float

    @property
    def share(self) -> float:
        return self.failed / self.attempts

    @property
    def percent(self) -> float:
        return self.share * 100

    @property
    def percent_elsewhere(self) -> float:
        return self.elsewhere * 100

    @property
    def is_bad(self) -> bool:
        """Far above the others, and not by chance."""
        if self.attempts < LEAST or self.share < 2 * self.elsewhere:
            return False
        usual = max(self.elsewhere, 1 / 1000)
        return (self.share - usual) / math.sqrt(usual * (1 - usual) / self.attempts) > SURE if usual < 1 else False


def find_hosts() -> tuple[list[Host], int]:
    """The worst hosts first, and how many attempts were compared: one read of at most 10,000 rows."""
    rows = JobInstance.objects.filter(status__in=["D", "E"]).order_by("-job_instance_id")
    return compare(list(rows.values_list("nodename", "status", "reason")[:ATTEMPTS_READ]))


def compare(rows: list[tuple[str, str, str]]) -> tuple[list[Host], int]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name, status, reason in rows:
        if name and (status == "D" or reason in OF_A_HOST):
            counts[name][0] += 1
            counts[name][1] += status == "E"
    attempts, failed = sum(n for n, _ in counts.values()), sum(bad for _, bad in counts.values())
    hosts = [
        Host(name, n, bad, (failed - bad) / (attempts - n) if attempts > n else 0.0)
        for name, (n, bad) in counts.items()
    ]
    return sorted(hosts, key=lambda host: (not host.is_bad, -host.share, -host.attempts))[:HOSTS_SHOWN], attempts
