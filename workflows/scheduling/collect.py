"""Learning of ends: hints say where to look, the attempts' own records say what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from executors.base import AttemptStore, Evidence, Exit, ExitInfo, Hint, TokenKind
from workflows import lifecycle
from workflows.bulk import chunked
from workflows.lifecycle import Ending
from workflows.models import JobInstance
from workflows.models.execution import LIVE_LETTERS
from workflows.scheduling import accounting, back_ends
from workflows.scheduling.judge import Asked, judge_exit, judge_void, with_fingerprint
from workflows.state_machine import InstanceStatus, Reason

STDERR_KEPT = 8 * 1024
COLUMNS = (
    "job_instance_id", "workflow_run_id", "status", "reason", "stderr_path", "kill_asked_at", "kill_asked_by",
    "mem_free", "max_runtime", "executor_type",
)  # fmt: skip
AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Attempt:
    """The part of an attempt's row that judging it needs."""

    instance_id: int
    run_id: int
    status: InstanceStatus
    reason: str
    stderr_path: str
    asked: Asked
    executor: str

    @property
    def is_live(self) -> bool:
        return self.status.value in LIVE_LETTERS


def read_attempts(instance_ids: Sequence[int]) -> dict[int, Attempt]:
    found: dict[int, Attempt] = {}
    for chunk in chunked(sorted(instance_ids)):
        rows = JobInstance.objects.filter(pk__in=chunk).values_list(*COLUMNS)
        for pk, run_id, status, reason, stderr, kill_at, kill_by, mem, runtime, executor in rows:
            asked = Asked(pk, kill_at is not None, kill_by, mem, runtime)
            found[pk] = Attempt(pk, run_id, InstanceStatus(status), reason, stderr, asked, executor)
    return found


def collect(run_id: int) -> int:
    """Apply what has ended in this run, as far as hints tell; the number of outcomes applied."""
    applied = 0
    for store in back_ends.stores():
        hints = [hint for hint in store.hints() if hint.run_id == run_id][:AT_ONCE]
        if hints:
            applied += _collect_hinted(store, hints)
    return applied


def _collect_hinted(store: AttemptStore, hints: Sequence[Hint]) -> int:
    attempts = read_attempts([hint.instance_id for hint in hints])
    evidence = store.read(hint.instance_id for hint in hints if hint.instance_id in attempts)
    endings: dict[int, list[Ending]] = defaultdict(list)
    settled: list[Hint] = []
    applied = 0
    for hint in hints:
        attempt, found = attempts.get(hint.instance_id), evidence.get(hint.instance_id)
        if attempt is None or (not attempt.is_live and not _is_late_success(attempt, found)):
            settled.append(hint)
        elif found is not None and found.exit is not None:
            if attempt.is_live and accounting.may_tell_more(attempt.executor, attempt.asked, found.exit):
                continue  # the poller asks; the hint stays until then
            ending = judge(store, attempt, found, hint)
            if attempt.is_live:
                endings[attempt.run_id].append(ending)
            elif _apply_late_success(store, attempt, ending):
                applied += 1
                settled.append(hint)
    recorded: set[int] = set()
    for run_id, found_endings in endings.items():
        recorded |= set(lifecycle.record_ended(run_id, found_endings))
    # What somebody else has decided meanwhile keeps its hint: the next look sees a late success.
    settled += [hint for hint in hints if hint.instance_id in recorded]
    store.clear_hints(settled)
    return applied + len(recorded)


def judge(
    store: AttemptStore, attempt: Attempt, evidence: Evidence, hint: Hint | None = None, told: ExitInfo | None = None
) -> Ending:
    """The verdict, with what the job said last if it failed."""
    measured = store.read_usage(hint) if hint is not None else None
    return with_last_words(store, attempt, judge_exit(attempt.asked, evidence, measured, told))


def with_last_words(store: AttemptStore, attempt: Attempt, ending: Ending) -> Ending:
    if ending.reason is None or ending.reason is Reason.VOID:
        return ending
    ending = accounting.with_caps(attempt.executor, ending)
    tail = store.tail(attempt.instance_id, "stderr", STDERR_KEPT, attempt.stderr_path)
    words = (tail or b"").decode("utf-8", "replace").replace("\0", "").strip()
    return with_fingerprint(replace(ending, description=f"{ending.evidence}\n\n{words}" if words else ending.evidence))


def _is_late_success(attempt: Attempt, evidence: Evidence | None) -> bool:
    """An attempt judged E whose exit record says 0 after all."""
    ended: Exit | None = evidence.exit if evidence is not None else None
    return attempt.status is InstanceStatus.ERROR and ended is not None and ended.code == 0


def _apply_late_success(store: AttemptStore, attempt: Attempt, ending: Ending) -> bool:
    """The late success counts unless a newer attempt has started; the newer one's token decides that."""
    newer = _find_live(attempt)
    if newer is not None:
        token = back_ends.get(newer.executor_type).store.void([newer.pk], "late-success").get(newer.pk)
        if token is None:
            return False
        if token.kind is not TokenKind.VOID:
            return True
        lifecycle.record_ended(newer.workflow_run_id, [judge_void(Asked(newer.pk))])
    if lifecycle.record_late_success(attempt.run_id, ending):
        return True
    return _find_live(attempt) is None  # another try was made meanwhile: the next look asks that one's token


def _find_live(attempt: Attempt) -> JobInstance | None:
    """The live attempt of the same job."""
    return JobInstance.objects.filter(live_job_id__isnull=False, job__instances=attempt.instance_id).first()
