"""Pure: what holds a run back as a whole. Sentences from facts; reads nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from workflows import words
from workflows.models import JobGroup, WorkflowRun


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the stored counts. `holds`: executors that take nothing new, and why. `full`: executors that
    hold as many attempts as they may, and how many that is. `ready`: jobs that could start, by group, `ready_waiting` of
    them not queued yet; `is_cut`: there are more than were counted. `oldest_queued`: since when the batch system has had what waits longest."""

    holds: Mapping[str, str] = field(default_factory=dict)
    full: Mapping[str, int] = field(default_factory=dict)
    ready: Mapping[int, int] = field(default_factory=dict)
    ready_waiting: int = 0
    is_cut: bool = False
    oldest_queued: datetime | None = None
    held_by: str = ""

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
    if counts.get("F", 0):
        failed = words.plural(counts["F"], "failed job")
        found.append(
            f"{words.plural(counts['B'], 'job')} blocked by {failed}."
            if counts.get("B", 0)
            else f"{words.plural(counts['F'], 'job')} failed for good; whatever needs them waits for a resume."
        )
    if counts.get("I", 0):
        oldest = facts.oldest_queued
        age = f", the oldest for {words.duration((now - oldest).total_seconds())}" if oldest else ""
        found.append(f"{words.plural(counts['I'], 'job')} with the batch system, not started yet{age}.")
    if counts.get("E", 0):
        found.append(f"{words.plural(counts['E'], 'job')} between two attempts.")
    waiting = counts.get("G", 0) - facts.ready_waiting
    if waiting > 0 and not facts.is_cut:
        found.append(
            f"{words.plural(waiting, 'job')} {'waits' if waiting == 1 else 'wait'} for jobs before {'it' if waiting == 1 else 'them'}."
        )
    return found


def _holds(run: WorkflowRun, now: datetime, facts: Facts) -> list[str]:
    found: list[str] = []
    if run.stopping:
        found.append(f"Being stopped: asked by {run.stop_asked_by or 'a person'}; nothing new starts.")
    if run.hold_reason:
        age = f" for {words.duration((now - run.held_at).total_seconds())}" if run.held_at else ""
        found.append(f"On hold{age}{f', by {facts.held_by}' if facts.held_by else ''}: {run.hold_reason}")
    if run.executor in facts.holds:
        found.append(f"The executor {run.executor} is on hold: {facts.holds[run.executor]}")
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
        found.append(f"The limit of the run is reached: {at_once:,} of {limit:,} jobs at once{more}.")
    found += [
        f"The limit of {group.name} is reached: {active(group):,} of {group.max_concurrently_running:,} at once"
        f"{facts.ready_words([group])}."
        for group in groups
        if is_full(group)
    ]
    if run.executor in facts.full and any(counts.get(letter, 0) for letter in "GQE"):
        most, more = facts.full[run.executor], facts.ready_words(groups)
        found.append(
            f"The limit of the executor {run.executor} is reached: {most:,} at once, of all runs together{more}."
        )
    return found
