"""Pure: what holds a run back as a whole. Sentences from facts; reads nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from workflows import words
from workflows.directions import fenced
from workflows.models import JobGroup, WorkflowRun

OF_THIS_MACHINE = ("local", "sequential")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the stored counts. `holds`: executors that take nothing new, and why. `full`: executors that
    hold as many attempts as they may, and how many that is. `ready`: jobs that could start, by group, `ready_waiting` of
    them not queued yet; `is_cut`: there are more than were counted. `oldest_queued`: since when its executor,
    `queued_with`, has had what waits longest."""

    holds: Mapping[str, str] = field(default_factory=dict)
    full: Mapping[str, int] = field(default_factory=dict)
    ready: Mapping[int, int] = field(default_factory=dict)
    ready_waiting: int = 0
    is_cut: bool = False
    oldest_queued: datetime | None = None
    held_by: str = ""
    queued_with: str = ""

    def ready_words(self, groups: Sequence[JobGroup]) -> str:
        """`; 431 more are ready`; '' where none are, or nobody counted."""
        count = sum(self.ready.get(group.pk, 0) for group in groups)
        return (
            f"; {'over ' if self.is_cut else ''}{count:,} more {'is' if count == 1 else 'are'} ready" if count else ""
        )


NO_FACTS = Facts()


def is_full(group: JobGroup) -> bool:
    return group.max_concurrently_running is not None and group.max_concurrently_running <= active(group)


def active(group: JobGroup) -> int:
    return group.count_i + group.count_r


def held_back(run: WorkflowRun, groups: Sequence[JobGroup], full: Mapping[str, int]) -> list[JobGroup]:
    """The groups whose ready jobs wait for a limit: those that are full, or all where the run or its executor is."""
    limit = run.max_concurrently_running
    if (limit is not None and sum(map(active, groups)) >= limit) or run.executor in full:
        return list(groups)
    return [group for group in groups if is_full(group)]


def explain_pace(
    run: WorkflowRun, groups: Sequence[JobGroup], counts: Mapping[str, int], now: datetime, facts: Facts = NO_FACTS
) -> list[str]:
    """Why a live run is not faster: what holds it as a whole, the limits that are reached, failures, queue, upstreams."""
    found = _holds(run, now, facts) + _limits(run, groups, counts, facts)
    if failed := counts.get("F", 0):
        found.append(_failures(failed, counts.get("B", 0)))
    if submitted := counts.get("I", 0):
        found.append(_submitted(run, submitted, now, facts))
    if counts.get("E", 0):
        found.append(f"{words.plural(counts['E'], 'job')} between two attempts.")
    waiting = counts.get("G", 0) - facts.ready_waiting
    if waiting > 0 and not facts.is_cut:
        found.append(
            f"{words.plural(waiting, 'job')} {'waits' if waiting == 1 else 'wait'} for jobs before {'it' if waiting == 1 else 'them'}."
        )
    return found


def _failures(failed: int, blocked: int) -> str:
    if not blocked:
        it = "it is" if failed == 1 else "they are"
        return f"{words.plural(failed, 'job')} failed for good; {it} tried again only if a person asks for it."
    # Not every failed job blocks one, and nobody has counted those that do
    return f"{words.plural(blocked, 'job')} blocked by {'the failed job' if failed == 1 else 'failed jobs'}."


def _submitted(run: WorkflowRun, count: int, now: datetime, facts: Facts) -> str:
    """What the executors have and have not started; a hold does not keep that from starting."""
    age = ""
    if facts.oldest_queued:
        what = "for slots or memory of this machine" if facts.queued_with in OF_THIS_MACHINE else "in the queue"
        name = "" if facts.queued_with in ("", *OF_THIS_MACHINE) else f" of {fenced(facts.queued_with)}"
        age = f"; the oldest has waited {words.duration((now - facts.oldest_queued).total_seconds())} {what}{name}"
    goes_on = ", and may start though the run is on hold" if run.hold_reason else ""
    return f"{words.plural(count, 'job')} submitted, not started yet{goes_on}{age}."


def _holds(run: WorkflowRun, now: datetime, facts: Facts) -> list[str]:
    found: list[str] = []
    if run.stopping:
        found.append(f"Being stopped: asked by {fenced(run.stop_asked_by or 'a person')}; nothing more is submitted.")
    if run.hold_reason:
        age = f" for {words.duration((now - run.held_at).total_seconds())}" if run.held_at else ""
        found.append(
            f"On hold{age}{f', by {fenced(facts.held_by)}' if facts.held_by else ''}: {fenced(run.hold_reason)}"
        )
    if run.executor in facts.holds:
        found.append(f"The executor {fenced(run.executor)} is on hold: {fenced(facts.holds[run.executor])}")
    if run.backoff_until is not None and run.backoff_until > now:
        wait = words.duration((run.backoff_until - now).total_seconds())
        found.append(f"Submission failed {words.plural(run.submit_failures, 'time')}; next try in {wait}.")
    return found


def _limits(run: WorkflowRun, groups: Sequence[JobGroup], counts: Mapping[str, int], facts: Facts) -> list[str]:
    """Those that are reached: of the run, of tags, and of the executor while something waits for it."""
    found: list[str] = []
    at_once, limit = counts.get("I", 0) + counts.get("R", 0), run.max_concurrently_running
    if limit is not None and at_once >= limit:
        more = facts.ready_words(groups)
        found.append(f"The limit of the run is {_reached(at_once, limit)}{more}.")
    found += [
        f"The limit of {fenced(group.name)} is {_reached(active(group), group.max_concurrently_running or 0)}"
        f"{facts.ready_words([group])}."
        for group in groups
        if is_full(group)
    ]
    if run.executor in facts.full and any(counts.get(letter, 0) for letter in "GQE"):
        most, more = facts.full[run.executor], facts.ready_words(groups)
        found.append(
            f"The limit of the executor {fenced(run.executor)} is reached: {most:,} at once, of all runs together{more}."
        )
    return found


def _reached(at_once: int, limit: int) -> str:
    """Of more than it allows: what was submitted or ran when the limit was lowered goes on."""
    if at_once > limit:
        over = f"{at_once:,} jobs at once, {at_once - limit:,} over the limit of {limit:,}"
        return f"exceeded: {over}; nothing more is submitted until fewer are"
    return f"reached: {at_once:,} of {words.plural(limit, 'job')} at once"
