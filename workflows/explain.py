"""Pure: why a job is where it is, and what holds a run back. Sentences from facts; reads nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.forms.models import model_to_dict

from workflows import words
from workflows.bottlenecks import OF_THIS_MACHINE, active
from workflows.directions import fenced
from workflows.models import Job, JobGroup, JobInstance, WorkflowRun

MOST_FAILED_NAMED = 3
QUEUE_REASONS = {
    "Resources": "it waits for free nodes",
    "Priority": "jobs of a higher priority come first",
    "BeginTime": "its earliest time has not come",
    "QOSMaxJobsPerUserLimit": "you may not run more at once",
    "QOSMaxCpuPerUserLimit": "you may not use more processors at once",
    "AssocGrpCpuLimit": "your group may not use more processors at once",
    "ReqNodeNotAvail": "nodes that it needs are away",
}
NO_HOLDS: Mapping[str, str] = {}
NO_NAMES: Mapping[str, str] = {}
NONE_FULL: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Upstreams:
    """What is known of a job's upstreams: how many, how many not done, and the names of failed ones."""

    total: int | None  # None: not known
    not_done: int
    failed: Sequence[str]


def ended_because(attempt: JobInstance) -> str:
    """The reason of an ended attempt as a sentence; '' for one that did not fail."""
    fields = ("reason", "nodename", "exit_code", "signal", "kill_asked_by", "executor_type", "mem_free", "maxvmem",
              "max_runtime", "wallclock", "evidence")  # fmt: skip
    return words.reason_sentence(model_to_dict(attempt, fields=fields))


def why(
    job: Job,
    last: JobInstance | None,
    run: WorkflowRun | None,
    upstreams: Upstreams,
    now: datetime,
    holds: Mapping[str, str] = NO_HOLDS,
    full: Mapping[str, int] = NONE_FULL,
) -> str:
    """One or two sentences that answer: why is this job not done yet, or how did it end? `holds`: executors that take
    nothing new, and why. `full`: executors that hold as many attempts as they may, and how many that is."""
    live = run if run is not None and run.status == "R" else None
    if job.status == "D":
        return _done(job, last)
    if job.status == "F":
        return _failed(job, last)
    if job.status in ("I", "R"):
        return _in_flight(job, last, now, is_held=bool(live and live.hold_reason))
    if job.status == "E":
        return f"Attempt {job.num_attempts} of {job.max_attempts} failed{_because(last)}. Another one follows."
    return _not_started(job, live, upstreams, now, holds) or _ready(job, run, full)


def counted_from(last: JobInstance | None) -> datetime | None:
    """Since when the attempt that `why` tells of is where it is; None: that sentence tells of no such time."""
    if last is None or last.ended_at is not None:
        return None
    return last.absent_since or (last.started_at if last.status == "R" else last.submitted_date)


def _because(last: JobInstance | None) -> str:
    text = ended_because(last) if last else ""
    return f" ({text[0].lower()}{text[1:]})" if text else ""


def _done(job: Job, last: JobInstance | None) -> str:
    if job.marked_done_by:
        return f"Marked done by {fenced(job.marked_done_by)}: a person's word, not a run."
    if last is None or last.status != "D":
        return "Done."
    ran = words.duration(
        last.wallclock if last.wallclock is not None else words.seconds_between(last.started_at, last.ended_at)
    )
    host = f" on {fenced(last.nodename)}" if last.nodename else ""
    return f"Done in {ran}{host}, with attempt {last.attempt}."


def _failed(job: Job, last: JobInstance | None) -> str:
    if last is None:
        return "Failed."
    text = ended_because(last) or "The last attempt failed"
    if last.reason == "refused":
        return f"{text}. It will not be tried again in this run."
    if last.reason == "killed":
        return f"{text}, and left failed; {words.attempts(job.num_attempts, job.max_attempts, is_live=False)}."
    return f"{text}. {words.all_attempts(job.max_attempts)} used up."


def _in_flight(job: Job, last: JobInstance | None, now: datetime, *, is_held: bool) -> str:
    if last is None:
        return "Being submitted."
    name = f" as {fenced(last.executor_id)}" if last.executor_id else ""
    if last.phase in ("stuck", "held"):
        return f"{last.phase.capitalize()} in {fenced(last.executor_type)}{name}: {fenced(last.phase_message or 'it does not say why')}."
    if last.absent_since is not None:
        away = words.duration((now - last.absent_since).total_seconds())
        return f"Checking: not listed by {fenced(last.executor_type)} for {away}. Not listed is not gone yet."
    if last.kill_asked_at is not None:
        who = last.kill_asked_by or "a person"
        return f"Kill asked by {fenced(who)}; waiting for {fenced(last.executor_type)} to confirm that it is gone."
    if last.status == "R":
        ran = words.duration((now - last.started_at).total_seconds()) if last.started_at else "a while"
        host = f" on {fenced(last.nodename)}" if last.nodename else ""
        return f"Running for {ran}{host}, attempt {last.attempt} of {job.max_attempts}."
    waited = words.duration((now - last.submitted_date).total_seconds())
    if last.status == "B":
        return f"In the queue of {fenced(last.executor_type)}{name} for {waited}{_queue_words(last)}.{' It may start though the run is on hold.' if is_held else ''}"
    return f"Being submitted to {fenced(last.executor_type)} for {waited}."


def _queue_words(last: JobInstance) -> str:
    """What the batch system says of a job that waits, with the meaning of the commonest codes."""
    text, meaning = last.phase_message.strip().rstrip("."), QUEUE_REASONS.get(last.phase_message, "")
    if not text and last.executor_type in OF_THIS_MACHINE:
        return ", until this machine has slots and memory for it"
    return f", because it says: {fenced(text)}{f' ({meaning})' if meaning else ''}" if text else ""


def _not_started(
    job: Job, run: WorkflowRun | None, upstreams: Upstreams, now: datetime, holds: Mapping[str, str]
) -> str:
    """What keeps it from being ready, or from being submitted at all; '' if it only waits for room."""
    if upstreams.failed:
        named = ", ".join(map(fenced, upstreams.failed[:MOST_FAILED_NAMED]))
        more = len(upstreams.failed) - MOST_FAILED_NAMED
        return f"Blocked: {named}{f' and {more:,} more' if more > 0 else ''} failed."
    if job.status == "G" and (cause := getattr(job, "blocked_by_name", None)):
        return f"Blocked: {fenced(cause)}, further up, failed."
    if upstreams.not_done:
        if upstreams.total is None:
            return f"Waits for {words.plural(upstreams.not_done, 'upstream')}."
        return f"Waits for {upstreams.not_done:,} of {words.plural(upstreams.total, 'upstream')}, none of them failed."
    if run is None:
        return "Ready, but no run is live: resume the workflow to start it."
    if run.stopping:
        return "Ready, but the run is being stopped: nothing more is submitted."
    if run.hold_reason:
        return f"Ready, but the run is on hold: {fenced(run.hold_reason)}"
    if (executor := job.executor or run.executor) in holds:
        return f"Ready, but the executor {fenced(executor)} is on hold: {fenced(holds[executor])}"
    if run.backoff_until is not None and run.backoff_until > now:
        wait = words.duration((run.backoff_until - now).total_seconds())
        return f"Ready. Submission failed {words.plural(run.submit_failures, 'time')}; next try in {wait}."
    if job.not_before is not None and job.not_before > now:
        return f"Ready; the next attempt starts in {words.duration((job.not_before - now).total_seconds())}."
    return ""


def _ready(job: Job, run: WorkflowRun | None, full: Mapping[str, int]) -> str:
    """Which limit it waits for: that of its tag, of the run or of the executor."""
    if job.group.max_concurrently_running is not None and active(job.group) >= job.group.max_concurrently_running:
        return f"Ready; the limit of {job.group.max_concurrently_running:,} for {fenced(job.group.name)} is reached."
    limit = run.max_concurrently_running if run else None
    if limit is not None and (getattr(job, "live_in_graph", None) or 0) >= limit:
        return f"Ready; the run's limit of {limit:,} jobs at once is reached."
    if run and (executor := job.executor or run.executor) in full:
        return f"Ready; the limit of the executor {fenced(executor)} is reached: it holds {full[executor]:,} at once, of all runs together."
    return "Ready: it is submitted as soon as there is room." if job.status == "G" else "Next to be submitted."


def why_tag(
    group: JobGroup,
    upstreams: Sequence[JobGroup],
    names: Mapping[str, str] = NO_NAMES,
    ready: int | None = None,
    *,
    is_brief: bool = False,
) -> list[str]:
    """Why the jobs of a tag that are not done are not running, from the stored counts of it and of the tags before it.
    `names`: shorter ones of these. `ready`: how many of its waiting jobs could start (None: nobody has counted them).
    Briefly: one of the tags is named, and what the counts by status say is left to them."""
    blocked = max(0, min(group.count_blocked, group.count_g))
    # Who waits for a failed job, near or far, is blocked; the others wait for what can still be done
    unfinished = [_unfinished(up, names) for up in upstreams if _pending(up) > 0]
    found = _ready_and_waiting(group, blocked, _few(unfinished, *((1, 1) if is_brief else (6, 3))), ready)
    if group.count_r and not is_brief:
        found.append(f"{group.count_r:,} running")
    if blocked and not is_brief:
        found.append(f"{blocked:,} blocked by failed jobs")
    limit = group.max_concurrently_running
    if limit is not None and active(group) >= limit and group.count_d + group.count_f + active(group) < group.jobs:
        found.append(f"the limit of {limit:,} is reached")
    if group.count_i and not is_brief:
        found.append(f"{group.count_i:,} submitted, not started")
    if group.count_e and not is_brief:
        found.append(f"{group.count_e:,} between attempts")
    if group.count_f and not is_brief:
        found.append(f"{group.count_f:,} failed")
    return found


def _ready_and_waiting(group: JobGroup, blocked: int, before: str, ready: int | None) -> list[str]:
    """`2 ready`, `94 wait for fit (41 to come)`: the queued jobs are among the ready ones. `before`: what comes first."""
    waiting = group.count_g - blocked
    could_start = waiting if ready is None and not before else min(waiting, ready or 0)
    rest = waiting - could_start
    found = [f"{could_start + group.count_q:,} ready"] if could_start + group.count_q else []
    if rest:
        limit = "a limit or " if ready is None else ""
        found.append(f"{rest:,} {'waits' if rest == 1 else 'wait'} for {limit}{before or 'others of the same tag'}")
    return found


def _few(tags: Sequence[str], most: int, of_more: int) -> str:
    """All of up to `most`, else some and how many more."""
    if len(tags) <= most:
        return ", ".join(tags)
    return f"{', '.join(tags[:of_more])} and {words.plural(len(tags) - of_more, 'more tag')}"


def _pending(group: JobGroup) -> int:
    """Jobs that are not done and may still be."""
    return group.jobs - group.count_d - group.count_f - max(0, min(group.count_blocked, group.count_g))


def _unfinished(group: JobGroup, names: Mapping[str, str]) -> str:
    """`fit (52 to come)`."""
    return f"{fenced(names.get(group.name, group.name))} ({_pending(group):,} to come)"
