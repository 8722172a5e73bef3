"""The invariants that need what was recorded over time: fences, limits, the audit log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, Value
from django.db.models.functions import Cast, Concat

from workflows.invariant_checks import Found
from workflows.models import AuditEntry, JobGroup, JobInstance, JobInstanceStatusLog, Workflow, WorkflowRun
from workflows.models.execution import LIVE_LETTERS
from workflows.state_machine import RunStatus

# fence


def unfenced_work() -> Found:
    """An intent is recorded under a lease only, and each lease raises the fence. What a hot resume took over was
    intended in the run before."""
    own = JobInstance.objects.filter(workflow_run_id=OuterRef("pk"), submitted_date__gte=OuterRef("created_date"))
    for run_id in WorkflowRun.objects.filter(Exists(own), fence=0).order_by("pk").values_list("pk", flat=True):
        yield f"run {run_id}", "has attempts, but its fence says that nobody ever held it"


def held_without_fence() -> Found:
    half = Q(lease_owner="", lease_expires_at__isnull=False) | (~Q(lease_owner="") & Q(lease_expires_at=None))
    for run_id in WorkflowRun.objects.filter(half).order_by("pk").values_list("pk", flat=True):
        yield f"run {run_id}", "has half a lease: an owner without an end, or an end without an owner"
    held = WorkflowRun.objects.exclude(lease_owner="").filter(~Q(status=RunStatus.RUNNING.value) | Q(fence=0))
    for run_id, owner in held.order_by("pk").values_list("pk", "lease_owner"):
        yield f"run {run_id}", f"is held by {owner}, but is over or was never leased"


# limits


@dataclass(slots=True)
class Replay:
    """Who was live together, under one limit. `limit` is the largest that ever held."""

    limit: int
    live: set[int] = field(default_factory=set)
    most: int = 0

    def move(self, instance_id: int, is_live: bool) -> None:
        if is_live:
            self.live.add(instance_id)
            self.most = max(self.most, len(self.live))
        else:
            self.live.discard(instance_id)


def exceeded_limits() -> Found:
    """Replays the status log of the workflows that have a limit; in memory is only what was live at a time."""
    told = _read_told_limits()
    runs = _run_limits(told)
    groups = _group_limits(told)
    for replays, column, word in (
        (runs, "job_instance__job__dag__workflow", "workflow"),
        (groups, "job_instance__job__group_id", "group"),
    ):
        _replay(replays, column)
        for key, replay in sorted(replays.items()):
            if replay.most > replay.limit:
                yield (
                    f"{word} {key}",
                    f"had {replay.most} attempts live at once; its limit never was above {replay.limit}",
                )


def _read_told_limits() -> dict[int, list[dict[str, Any]]]:
    """Workflow → what `set-limits` found and left."""
    told: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = AuditEntry.objects.filter(action="set-limits", workflow_id__isnull=False)
    for workflow_id, before, after in rows.values_list("workflow_id", "before", "after"):
        told[int(workflow_id or 0)] += [before, after]
    return told


def _largest(limits: Iterable[int | None]) -> int | None:
    """None: at some time there was none."""
    found = list(limits)
    return max((one for one in found if one is not None), default=None) if None not in found else None


def _run_limits(told: dict[int, list[dict[str, Any]]]) -> dict[int, Replay]:
    """Over all runs of a workflow: a hot resume hands attempts on."""
    limits: dict[int, list[int | None]] = defaultdict(list)
    limited = WorkflowRun.objects.filter(max_concurrently_running__isnull=False).values("workflow_id")
    rows = WorkflowRun.objects.filter(workflow_id__in=limited)
    for workflow_id, limit in rows.values_list("workflow_id", "max_concurrently_running"):
        limits[workflow_id].append(limit)
    found = {
        key: _largest([*some, *(item["run"] for item in told[key] if "run" in item)]) for key, some in limits.items()
    }
    return {key: Replay(limit) for key, limit in found.items() if limit is not None}


def _group_limits(told: dict[int, list[dict[str, Any]]]) -> dict[int, Replay]:
    found: dict[int, Replay] = {}
    rows = JobGroup.objects.filter(max_concurrently_running__isnull=False)
    for pk, name, limit, workflow_id in rows.values_list("pk", "name", "max_concurrently_running", "dag__workflow"):
        largest = _largest([limit, *(item[name] for item in told[workflow_id] if name in item)])
        if largest is not None:
            found[pk] = Replay(largest)
    return found


def _replay(replays: dict[int, Replay], column: str) -> None:
    if not replays:
        return
    moves = JobInstanceStatusLog.objects.filter(**{f"{column}__in": list(replays)}).order_by("pk")
    for instance_id, status, key in moves.values_list("job_instance_id", "status", column).iterator(chunk_size=5000):
        replays[key].move(instance_id, status in LIVE_LETTERS)


# audit


def _audited(action: Q, prefix: str) -> Exists:
    target = Concat(Value(f"{prefix} "), Cast(OuterRef("pk"), CharField()))
    return Exists(AuditEntry.objects.filter(action, target=target))


def unaudited_acts() -> Found:
    """What only a person's request can have brought about has its row."""
    started = WorkflowRun.objects.filter(~_audited(Q(action="start-run"), "run"))
    yield from _name(started.values_list("pk", "user"), "run", "started")
    stopped = WorkflowRun.objects.filter(~_audited(Q(action__startswith="stop-"), "run")).exclude(stop_asked_by="")
    yield from _name(stopped.values_list("pk", "stop_asked_by"), "run", "stopped")
    submitted = Workflow.objects.filter(~_audited(Q(action="submit"), "workflow"))
    yield from _name(submitted.values_list("pk", "user"), "workflow", "submitted")


def _name(rows: Any, what: str, done: str) -> Iterator[tuple[str, str]]:
    for pk, user in rows.order_by("pk"):
        yield f"{what} {pk}", f"was {done} by {user}, but the audit log does not say so"


def doubly_audited_starts() -> Found:
    """One run is one request."""
    rows = AuditEntry.objects.filter(action="start-run").values_list("target").order_by("target")
    previous, count = "", 0
    for (target,) in rows.iterator(chunk_size=5000):
        count = count + 1 if target == previous else 1
        previous = target
        if count == 2:
            yield target, "was started twice, says the audit log"
