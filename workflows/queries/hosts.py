"""Hosts by their failures, over the newest attempts."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Q

from workflows.models import HostExclusion, JobInstance
from workflows.permissions import visible_workflows

ATTEMPTS_READ, HOSTS_SHOWN, FAILED_SHOWN = 10_000, 50, 50
OF_A_HOST = ("exit", "signal", "lost", "memory", "runtime")
LEAST, SURE = 20, 4.0


@dataclass(frozen=True, slots=True)
class Host:
    """`failed` of `attempts` here; `elsewhere` is the share of failures on all other hosts."""

    name: str
    attempts: int
    failed: int
    elsewhere: float
    executor: str = ""

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


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host with what was decided about it, if anything was."""

    host: Host
    exclusion: HostExclusion | None = None

    @property
    def is_excluded(self) -> bool:
        return self.exclusion is not None and self.exclusion.is_excluded


def find_hosts() -> tuple[list[HostRow], int]:
    """Excluded ones, then the worst, and how many attempts were compared: two reads, one of at most 10,000 rows."""
    found, compared = compare(_newest())
    decided = {(row.executor, row.host): row for row in HostExclusion.objects.all()}
    rows = [HostRow(host, decided.pop((host.executor, host.name), None)) for host in found]
    quiet = [
        HostRow(Host(row.host, 0, 0, 0.0, row.executor), row) for row in decided.values() if row.is_excluded
    ]  # nothing has run there for long
    return sorted(quiet + rows, key=lambda row: not row.is_excluded)[:HOSTS_SHOWN], compared


def find_host(executor: str, name: str) -> tuple[Host, int]:
    """One host against all others over the same attempts, and how many these are: summed up by the database."""
    counted = ~Q(nodename="") & (Q(status="D") | Q(reason__in=OF_A_HOST))
    here = counted & Q(executor_type=executor, nodename=name)
    newest = JobInstance.objects.filter(status__in=["D", "E"]).order_by("-job_instance_id")[:ATTEMPTS_READ]
    found = newest.aggregate(
        all=Count("pk", filter=counted), all_failed=Count("pk", filter=counted & Q(status="E")),
        here=Count("pk", filter=here), here_failed=Count("pk", filter=here & Q(status="E")),
    )  # fmt: skip
    elsewhere = found["all"] - found["here"]
    share = (found["all_failed"] - found["here_failed"]) / elsewhere if elsewhere else 0.0
    return Host(name, found["here"], found["here_failed"], share, executor), found["all"]


def _newest() -> list[tuple[str, str, str, str]]:
    rows = JobInstance.objects.filter(status__in=["D", "E"]).order_by("-job_instance_id")
    return list(rows.values_list("executor_type", "nodename", "status", "reason")[:ATTEMPTS_READ])


def compare(rows: list[tuple[str, str, str, str]]) -> tuple[list[Host], int]:
    """Hosts of the same name under two executors are two: what fails there may be either."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for executor, name, status, reason in rows:
        if name and (status == "D" or reason in OF_A_HOST):
            counts[executor, name][0] += 1
            counts[executor, name][1] += status == "E"
    attempts, failed = sum(n for n, _ in counts.values()), sum(bad for _, bad in counts.values())
    hosts = [
        Host(name, n, bad, (failed - bad) / (attempts - n) if attempts > n else 0.0, executor)
        for (executor, name), (n, bad) in counts.items()
    ]
    return sorted(hosts, key=lambda host: (not host.is_bad, -host.share, -host.attempts)), attempts


def failed_on(user: User | AnonymousUser, executor: str, host: str) -> list[JobInstance]:
    """The newest failed attempts on a host, of workflows that this person may see; looked for among as many failed
    attempts as the comparison of hosts reads."""
    rows = JobInstance.objects.filter(executor_type=executor, status="E").order_by("-job_instance_id")
    newest = rows.values_list("job_instance_id", "nodename", "reason")[:ATTEMPTS_READ]
    ids = [pk for pk, name, reason in newest if name == host and reason in OF_A_HOST][: 10 * FAILED_SHOWN]
    found = JobInstance.objects.filter(pk__in=ids, workflow_run__workflow__in=visible_workflows(user))
    return list(found.select_related("job", "workflow_run__workflow").order_by("-job_instance_id")[:FAILED_SHOWN])
