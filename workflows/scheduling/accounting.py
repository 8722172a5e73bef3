"""What the batch systems' accounting adds: why an attempt failed, and, afterwards, what it used. Asked in bulk."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db.models import Max, Min
from django.utils import timezone

from executors.base import AttemptRef, Executor, ExecutorUnavailable, Exit, ExitInfo, Usage
from workflows import lifecycle
from workflows.lifecycle import Ending
from workflows.models import JobInstance
from workflows.models.execution import ENDED_LETTERS, LIVE_LETTERS
from workflows.scheduling import back_ends
from workflows.scheduling.judge import Asked
from workflows.state_machine import Reason

logger = logging.getLogger(__name__)
# Accounting that is later than this is not waited for any more.
USAGE_WAIT = timedelta(minutes=10)
# How far back a process that has just started looks for attempts without usage.
LOOK_BACK = 50_000
AT_ONCE = 2000
# Executor → every attempt up to this id has its usage, or will never have it.
_settled: dict[str, int] = {}


def forget() -> None:
    """Look at all ended attempts anew."""
    _settled.clear()


def may_tell_more(executor_name: str, asked: Asked, ended: Exit) -> bool:
    """Whether the verdict on this recorded exit should wait for accounting: a command that was ended for its memory or
    its run time often leaves no more than a failure."""
    if ended.code == 0 or asked.is_kill_asked:
        return False
    return abs(time.time() - ended.ended_at) < back_ends.site(executor_name).accounting_wait


def tells_of_a_kill(info: ExitInfo | None) -> bool:
    """Accounting knows that the attempt was ended from outside: no exit record will come."""
    return info is not None and not info.node_failed and (info.signal is not None or info.over is not None)


def ask(executor: Executor, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
    """What accounting knows, by name; nothing if it cannot be asked now."""
    if not refs:
        return {}
    try:
        return executor.exit_info(refs)
    except ExecutorUnavailable as error:
        logger.warning("executor %s: no accounting: %s", executor.name, error)
        return {}


def with_caps(executor_name: str, ending: Ending) -> Ending:
    """A retry asks for more, but not for more than the executor gives."""
    if ending.reason not in (Reason.MEMORY, Reason.RUNTIME):
        return ending
    site = back_ends.site(executor_name)
    return replace(ending, memory_cap=site.memory_cap, runtime_cap=site.runtime_cap)


@dataclass(frozen=True, slots=True)
class Lacking:
    """An ended attempt whose memory was not measured."""

    instance_id: int
    run_id: int
    ref: AttemptRef


def fill_usage(executor: Executor) -> int:
    """Store what accounting has measured of ended attempts; one question for all. Answers how many were filled."""
    if not back_ends.site(executor.name).has_accounting:
        return 0
    # Read in this order: what ends meanwhile is above the mark, and found the next time.
    newest = JobInstance.objects.aggregate(newest=Max("pk"))["newest"] or 0
    mine = JobInstance.objects.filter(executor_type=executor.name)
    oldest_live = mine.filter(status__in=LIVE_LETTERS).aggregate(oldest=Min("pk"))["oldest"] or newest + 1
    lacking = _find_lacking(executor.name, newest)
    told = ask(executor, [one.ref for one in lacking])
    _store(lacking, {name: info.usage for name, info in told.items()})
    waiting = [one.instance_id for one in lacking if one.ref.name not in told]
    last = lacking[-1].instance_id if len(lacking) == AT_ONCE else newest
    _settled[executor.name] = min([last, oldest_live - 1, *(instance_id - 1 for instance_id in waiting)])
    return len(lacking) - len(waiting)


def _find_lacking(name: str, newest: int) -> list[Lacking]:
    settled = max(_settled.get(name, 0), newest - LOOK_BACK)
    rows = JobInstance.objects.filter(executor_type=name, status__in=ENDED_LETTERS, pk__gt=settled, maxvmem=None)
    rows = rows.filter(ended_at__gte=timezone.now() - USAGE_WAIT).exclude(reason__in=[Reason.VOID, Reason.REFUSED])
    columns = ("pk", "workflow_run_id", "name", "executor_id", "submitted_date")
    return [
        Lacking(pk, run_id, AttemptRef(pk, attempt_name, executor_id, submitted.timestamp()))
        for pk, run_id, attempt_name, executor_id, submitted in rows.order_by("pk").values_list(*columns)[:AT_ONCE]
    ]


def _store(lacking: Sequence[Lacking], usages: Mapping[str, Usage]) -> None:
    by_run: dict[int, dict[int, Usage]] = defaultdict(dict)
    for one in lacking:
        if one.ref.name in usages:
            by_run[one.run_id][one.instance_id] = usages[one.ref.name]
    for run_id, found in by_run.items():
        lifecycle.record_usage(run_id, found)
