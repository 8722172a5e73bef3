"""Names that a filter form offers for a field of text: at most 50, all of them such as the reader may see anyway, and
found without reading a large table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from django.db.models import Subquery

from workflows.models import ErrorGroup, JobInstance, WorkflowRun

MOST_OFFERED, ATTEMPTS_READ, GROUPS_READ = 50, 1_000, 50


def most_used(counts: Mapping[str, int]) -> list[str]:
    """The 50 most frequent names, in the order of the alphabet."""
    named = Counter({name: count for name, count in counts.items() if name})
    return sorted(name for name, _ in named.most_common(MOST_OFFERED))


def hosts_of_latest_run(workflow_id: int) -> Counter[str]:
    """Hosts of the newest 1,000 attempts of the workflow's latest run: one query, along the index of the run."""
    runs = WorkflowRun.objects.filter(workflow_id=workflow_id).order_by("-id")
    attempts = JobInstance.objects.filter(workflow_run_id=Subquery(runs.values("id")[:1])).order_by("-job_instance_id")
    return Counter(attempts.values_list("nodename", flat=True)[:ATTEMPTS_READ])


def hosts_of_failures(workflow_id: int) -> Counter[str]:
    """Hosts of the kinds of failure that were seen last, from their stored numbers: one query."""
    groups = ErrorGroup.objects.filter(workflow_id=workflow_id).order_by("-last_seen_at", "-id")
    return add_hosts(groups.values_list("hosts", flat=True)[:GROUPS_READ])


def add_hosts(stored: Iterable[Mapping[str, int] | None]) -> Counter[str]:
    total: Counter[str] = Counter()
    for hosts in stored:
        total.update(hosts or {})
    return total
