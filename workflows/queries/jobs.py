"""Reads of job lists: keyset orders, totals, and the last attempts of a page in one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet

from workflows.models import Job, JobGroup, JobInstance
from workflows.queries.counting import Total, count_expression, read_count
from workflows.queries.counts import shown_counts
from workflows.queries.keyset import Order, Page, paginate, walk
from workflows.ranges import Range
from workflows.words import GB

ORDERS: dict[str, Order] = {
    "job_id": Order("job_id"),
    "-job_id": Order("job_id", is_descending=True),
    "name": Order("job_id", "name", kind=str),
    "-name": Order("job_id", "name", is_descending=True, kind=str),
    "status_date": Order("job_id", "status_date", kind=datetime),
    "-status_date": Order("job_id", "status_date", is_descending=True, kind=datetime),
}
DEFAULT_ORDER = "job_id"


@dataclass(frozen=True, slots=True)
class JobRow:
    job: Job
    group: str
    last: JobInstance | None


def jobs_of(dag_id: int) -> QuerySet[Job]:
    return Job.objects.filter(dag_id=dag_id)


def name_starts_with(queryset: QuerySet[Job], text: str) -> QuerySet[Job]:
    """Names with this prefix, as a range: an index answers it on every database, exactly as written."""
    return queryset.filter(name__gte=text, name__lt=prefix_end(text))


def prefix_end(text: str) -> str:
    """The smallest text that is greater than all with this prefix."""
    return text[:-1] + chr(min(ord(text[-1]) + 1, 0x10FFFF)) if text else chr(0x10FFFF)


def keep_blocked(queryset: QuerySet[Job], is_blocked: bool) -> QuerySet[Job]:
    """Waiting jobs that cannot do without a failed one, near or far, as the last sweep saw it; or all the others."""
    blocked = Q(status="G", blocked_by__isnull=False)
    return queryset.filter(blocked) if is_blocked else queryset.filter(~Q(status="G") | Q(blocked_by=None))


def with_attempt(queryset: QuerySet[Job], **conditions: object) -> QuerySet[Job]:
    """Jobs with at least one attempt of this kind (reason, host, run)."""
    return queryset.filter(Exists(JobInstance.objects.filter(job_id=OuterRef("job_id"), **conditions)))


def attempts_that_used(
    dag_id: int, run_ids: Sequence[int], memory: Sequence[Range], runtime: Sequence[Range]
) -> QuerySet[JobInstance]:
    """Attempts of this graph (in these runs, if any are named) whose memory in GB and run time in seconds were
    measured and are in one of these ranges."""
    attempts = JobInstance.objects.filter(workflow_run__workflow__dag_id=dag_id)
    if run_ids:
        attempts = attempts.filter(workflow_run_id__in=run_ids)
    return attempts.filter(_in_any("maxvmem", memory, GB), _in_any("wallclock", runtime, 1))


def _in_any(column: str, ranges: Sequence[Range], unit: int) -> Q:
    kind = int if unit > 1 else float
    either = Q()
    for one in ranges:
        low = {f"{column}__gte": kind(one.low * unit)} if one.low is not None else {}
        high = {f"{column}__lt": kind(one.high * unit)} if one.high is not None else {}
        either |= Q(**low, **high)
    return either


def of_groups(attempts: QuerySet[JobInstance], group_ids: Sequence[int]) -> QuerySet[JobInstance]:
    """Those of the jobs of these groups: between the first and the last of them, so that few others are looked at."""
    jobs = Job.objects.filter(group_id__in=group_ids).values("group_id", "status")
    ends = list(jobs.annotate(first=Min("job_id"), last=Max("job_id")).values_list("first", "last"))
    if not ends:
        return attempts.none()
    first, last = min(first for first, _ in ends), max(last for _, last in ends)
    return attempts.filter(job__group_id__in=group_ids, job_id__gte=first, job_id__lte=last)


def with_total(queryset: QuerySet[Job], keys: QuerySet[Any]) -> QuerySet[Job]:
    """Each row says how many there are in all: it saves a query. See `read_total`."""
    return queryset.annotate(rows_in_all=count_expression(keys, "job_id"))


def read_total(rows: Sequence[Job]) -> Total | None:
    """None where the rows do not say."""
    count = getattr(rows[0], "rows_in_all", None) if rows else None
    return None if count is None else read_count(count)


def job_page(
    queryset: QuerySet[Job],
    sort: str,
    after: str,
    before: str,
    per_page: int,
    keys: QuerySet[Any] | None = None,
) -> Page[Job]:
    return paginate(queryset, ORDERS[sort], after, before, per_page, keys)


def with_error_groups(queryset: QuerySet[Job]) -> QuerySet[Job]:
    """For a list that names the kind of failure of each job."""
    return queryset.select_related("error_group")


def rows_with_attempts(jobs: Sequence[Job], groups: Iterable[JobGroup]) -> list[JobRow]:
    """The last attempt of each job: one query."""
    names = {group.pk: group.name for group in groups}
    last = last_attempts([job.job_id for job in jobs])
    return [JobRow(job, names.get(job.group_id, job.tag), last.get(job.job_id)) for job in jobs]


def last_attempts(job_ids: list[int]) -> dict[int, JobInstance]:
    if not job_ids:
        return {}
    attempts = JobInstance.objects.filter(job_id__in=job_ids).order_by("job_instance_id")
    return {attempt.job_id: attempt for attempt in attempts}


def count_from_groups(
    groups: Iterable[JobGroup],
    names: set[str],
    without: set[str],
    letters: Sequence[str],
    is_blocked: bool | None = None,
) -> Total:
    """The exact number of jobs when only status, blocked and tag are filtered: from stored counts, no query."""
    wanted = set(letters or "GQIREFD")
    wanted = wanted & {"G"} if is_blocked else wanted
    if "G" in wanted:
        wanted = wanted - {"G"} | {True: {"B"}, False: {"G"}, None: {"G", "B"}}[is_blocked]
    total = 0
    for group in groups:
        if (names and group.name not in names) or group.name in without:
            continue
        counts = shown_counts(group)
        total += sum(counts[letter] for letter in wanted)
    return Total(total)


def export_rows(
    queryset: QuerySet[Job], sort: str, groups: Sequence[JobGroup], keys: QuerySet[Any] | None = None
) -> Iterator[JobRow]:
    for chunk in walk(queryset, ORDERS[sort], keys):
        yield from rows_with_attempts(chunk, groups)
