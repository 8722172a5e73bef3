"""The two invariants that need a ledger: a file to which jobs append their own starts and ends,

    start <job> <instance> <pid>
    end <job> <instance> <pid> <code>

each line with one write, so the order of the lines is the order of the events (`manage.py fsck --ledger FILE`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from workflows.bulk import chunked
from workflows.digits import read_digits
from workflows.invariant_checks import Found
from workflows.models import Job, JobInstance
from workflows.state_machine import JobStatus, Reason

NEVER_STARTED = (Reason.VOID.value, Reason.REFUSED.value)
ENDED_FROM_OUTSIDE = tuple(
    reason.value for reason in (Reason.KILLED, Reason.LOST, Reason.SIGNAL, Reason.MEMORY, Reason.RUNTIME)
)


def read_ledger(path: Path) -> tuple[Counter[int], set[int]]:
    """Attempt → how often it started, and those that ended with 0. Raises ValueError for any other line."""
    starts: Counter[int] = Counter()
    good: set[int] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        if len(words) == 4 and words[0] == "start" and read_digits(words[2]) is not None:
            starts[int(words[2])] += 1
        elif len(words) == 5 and words[0] == "end" and read_digits(words[2]) is not None:
            if words[4] == "0":
                good.add(int(words[2]))
        else:
            raise ValueError(f"{path}, line {number}: {line[:80]!r} is neither a start nor an end")
    return starts, good


def check_starts(starts: Counter[int]) -> Found:
    """One start per attempt at most, and none of one that was given up."""
    known = _read_reasons(starts)
    for instance_id, count in sorted(starts.items()):
        if count > 1:
            yield f"attempt {instance_id}", f"started {count} times"
        if instance_id not in known:
            yield f"attempt {instance_id}", "started, but there is no such attempt"
        elif known[instance_id] in NEVER_STARTED:
            yield f"attempt {instance_id}", f"started, but is recorded as {known[instance_id]}"


def _read_reasons(instance_ids: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in chunked(sorted(instance_ids)):
        found.update(JobInstance.objects.filter(pk__in=chunk).values_list("pk", "reason"))
    return found


def check_successes(starts: Counter[int], good: set[int]) -> Found:
    """One success per job at most, and exactly one of each that is D. What a kill, a signal or a lost node overtook
    between its last line and its exit is none."""
    successes: dict[int, list[int]] = defaultdict(list)
    done: set[int] = set()
    for chunk in chunked(sorted(starts)):
        rows = JobInstance.objects.filter(pk__in=chunk).values_list("pk", "job_id", "reason", "job__status")
        for instance_id, job_id, reason, status in rows:
            if status == JobStatus.DONE.value:
                done.add(job_id)
            if instance_id in good and reason not in ENDED_FROM_OUTSIDE:
                successes[job_id].append(instance_id)
    marked = set(Job.objects.exclude(marked_done_by="").values_list("pk", flat=True))
    for job_id, instances in sorted(successes.items()):
        if len(instances) > 1:
            yield f"job {job_id}", f"succeeded in the attempts {sorted(instances)}"
    for job_id in sorted(done - set(successes) - marked):
        yield f"job {job_id}", "is D, but none of its attempts ended with 0"
