"""`/metrics`: the state of the server as Prometheus text, for staff and for whoever has the token of the settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobmon_site import probes
from jobmon_site.counters import Key, counters
from jobmon_site.probes import is_for_staff
from workflows.queries import health
from workflows.queries.notices import count_notices, count_stalls
from workflows.state_machine import LABELS, JobStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTED = {
    "jobmon_http_requests_total": ("counter", "Answered HTTP requests by class of status, on this machine."),
    "jobmon_task_seconds": ("summary", "Duration of Celery tasks; advance is one pass over a run."),
    "jobmon_submit_seconds": ("summary", "Duration of calls that hand attempts to an executor."),
    "jobmon_submit_failures_total": ("counter", "Such calls whose outcome is unknown, by executor."),
    "jobmon_alarms_total": ("counter", "Log lines of level ERROR and above, by logger: things that must not happen."),
    "jobmon_lost_bells_total": ("counter", "Messages to workers that Redis did not take; the sweep makes good."),
    "jobmon_transaction_retries_total": (
        "counter",
        "Transactions that ran again after a deadlock or a lost connection.",
    ),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """`samples`: labels and values; a suffix of the name may stand before the labels, as in ('_sum', '', 1.0)."""

    name: str
    kind: str
    help: str
    samples: list[tuple[str, str, float]]


def label(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}="{escaped}"'


def render(metrics: Iterable[Metric]) -> str:
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for suffix, labels, value in metric.samples:
            lines.append(f"{metric.name}{suffix}{'{' + labels + '}' if labels else ''} {value:.15g}")
    return "\n".join(lines) + "\n"


def stored_metrics() -> Iterator[Metric]:
    """What the database knows."""
    yield Metric("jobmon_live_runs", "gauge", "Workflow runs that are live.", [("", "", health.count_live_runs())])
    states = [("", label("state", LABELS[JobStatus][letter]), n) for letter, n in health.count_jobs().items()]
    yield Metric("jobmon_jobs", "gauge", "Jobs of all workflows by state.", list(states))
    reasons = [("", label("reason", reason), n) for reason, n in health.count_failed_attempts().items()]
    yield Metric("jobmon_failed_attempts", "gauge", "Failed attempts that are kept, by reason.", list(reasons))
    yield from executor_metrics(health.list_executors())
    stalls = [("", label("kind", kind), float(n)) for kind, n in count_stalls().items()]
    yield Metric("jobmon_stalled_runs", "gauge", "Live runs in which nothing moves although something could.", stalls)
    mail = [("", label("state", state), float(n)) for state, n in count_notices().items()]
    yield Metric("jobmon_notices", "gauge", "Events in the outbox of the mail, by what became of them.", mail)
    yield Metric("jobmon_attempts_in_queue", "gauge", "Attempts that were handed over and have not started.", waiting())
    age = health.sweep_age()
    samples = [] if age is None else [("", "", age)]
    yield Metric("jobmon_sweep_age_seconds", "gauge", "Time since the last sweep.", samples)


def waiting() -> list[tuple[str, str, float]]:
    return [("", label("executor", name), float(n)) for name, n in health.count_waiting_attempts().items()]


def broker_metrics() -> Iterator[Metric]:
    """How many bells wait in Redis: workers that keep up leave next to none."""
    depth = probes.queue_depth()
    samples = [] if depth is None else [("", "", float(depth))]
    yield Metric("jobmon_queue_depth", "gauge", "Messages to workers that wait in Redis.", list(samples))


def executor_metrics(executors: list[health.ExecutorFacts]) -> Iterator[Metric]:
    ages = [("", label("executor", item.name), item.poll_age) for item in executors if item.poll_age is not None]
    failures = [("", label("executor", item.name), float(item.failures_in_a_row)) for item in executors]
    yield Metric("jobmon_poll_age_seconds", "gauge", "Time since the last listing that succeeded.", list(ages))
    yield Metric("jobmon_poll_failures_in_a_row", "gauge", "Listings that failed since then.", failures)


def counted_metrics(counts: dict[Key, float]) -> Iterator[Metric]:
    """What the processes of this machine counted; what was never counted is 0 where it has no labels."""
    for name, (kind, words) in COUNTED.items():
        samples = [
            (found[len(name) :], labels, value) for (found, labels), value in counts.items() if found.startswith(name)
        ]
        if not samples and name in ("jobmon_lost_bells_total", "jobmon_transaction_retries_total"):
            samples = [("", "", 0.0)]
        yield Metric(name, kind, words, samples)


def may_read(request: HttpRequest) -> bool:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and settings.METRICS_TOKEN:
        return constant_time_compare(text.strip(), settings.METRICS_TOKEN)
    return is_for_staff(request)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if not may_read(request):
        return HttpResponseNotFound("not found\n", content_type="text/plain")
    try:
        counts = counters(settings.METRICS_FILE).read()
    except sqlite3.Error:
        counts = {}  # the rest is worth more than an error
    text = render([*stored_metrics(), *broker_metrics(), *counted_metrics(counts)])
    return HttpResponse(text, content_type=CONTENT_TYPE)
