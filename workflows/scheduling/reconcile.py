"""One listing of one executor against the database: unknown is not gone, gone is not failed without a witness."""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from executors import faults
from executors.base import (
    AttemptRef,
    Evidence,
    Executor,
    ExecutorUnavailable,
    ExitInfo,
    Listed,
    PartlyUnavailable,
    Phase,
    TokenKind,
)
from workflows import lifecycle
from workflows.lifecycle import Ending, Observation
from workflows.models import ExecutorState
from workflows.scheduling import accounting, back_ends, queue_reasons
from workflows.scheduling.collect import judge, with_last_words
from workflows.scheduling.executor_minutes import note_minute
from workflows.scheduling.judge import judge_vanished, judge_void, moment
from workflows.scheduling.live_attempts import LiveAttempt, read_live
from workflows.state_machine import InstanceStatus
from workflows.transactions import write_transaction

logger = logging.getLogger(__name__)
DISBELIEF = timedelta(minutes=10)
VANISHED_AT_LEAST = 20
VANISHED_SHARE = 0.2


@dataclass(slots=True)
class Findings:
    """What one listing taught, per run."""

    observations: dict[int, list[Observation]] = field(default_factory=lambda: defaultdict(list))
    endings: dict[int, list[Ending]] = field(default_factory=lambda: defaultdict(list))
    to_cancel: list[AttemptRef] = field(default_factory=list)


def reconcile(name: str) -> set[int]:
    """Poll one executor, if it is due, and apply what it shows; the ids of the runs that changed."""
    executor = back_ends.get(name)
    if not claim_poll(name, executor.kind, executor.poll_interval):
        return set()
    live = read_live(name)
    changed = _list(executor, live) if live else note_idle(name)
    accounting.fill_usage(executor)
    return changed


def _list(executor: Executor, live: Sequence[LiveAttempt]) -> set[int]:
    name = executor.name
    started = time.monotonic()
    try:
        listing: Mapping[str, Listed] = executor.poll()
    except PartlyUnavailable as error:
        logger.warning("executor %s: only a part of the listing: %s", name, error)
        note_poll_failure(name, str(error))
        asked = [one for one in live if one.attempt.instance_id not in error.unasked]
        return apply_listing(executor, asked, queue_reasons.keep_reasons(executor, asked, error.listing))
    except ExecutorUnavailable as error:
        logger.warning("executor %s: no listing: %s", name, error)
        note_poll_failure(name, str(error))
        return set()
    listing = queue_reasons.add_reasons(executor, live, listing, time.monotonic() - started)
    note_poll(name, time.monotonic() - started, Counter(listed.phase.value for listed in listing.values()), len(live))
    return apply_listing(executor, live, listing)


def note_idle(name: str) -> set[int]:
    """Nothing is live: there is nothing to ask."""
    note_poll(name, 0.0, {})
    return set()


def apply_listing(executor: Executor, live: Sequence[LiveAttempt], listing: Mapping[str, Listed]) -> set[int]:
    """Believe the listing, unless too much vanished at once."""
    absent = [one for one in live if one.ref.name not in listing]
    evidence = executor.store.read(one.attempt.instance_id for one in absent)
    told = accounting.ask(executor, [one.ref for one in absent if _accounting_may_know(executor, one, evidence)])
    findings = Findings()
    if vanished := find_unbelievable(live, absent, evidence, told):
        alarm(executor.name, len(vanished), len(live))
        for one in vanished:
            findings.observations[one.attempt.run_id].append(_note_absence(one))
        return _apply(findings, executor)
    for one in live:
        listed = listing.get(one.ref.name)
        if listed is not None:
            _see_present(findings, one, listed)
    _see_absent(findings, executor, absent, evidence, told)
    return _apply(findings, executor)


def _accounting_may_know(executor: Executor, one: LiveAttempt, evidence: Mapping[int, Evidence]) -> bool:
    """It has started, and its own exit record says nothing, or too little."""
    found = evidence.get(one.attempt.instance_id)
    if found is None or found.token is None or found.token.kind is not TokenKind.START:
        return False
    if found.exit is not None:
        return accounting.may_tell_more(executor.name, one.attempt.asked, found.exit)
    return back_ends.site(executor.name).has_accounting or _is_absent_long_enough(one, executor.grace)


def find_unbelievable(
    live: Sequence[LiveAttempt],
    absent: Sequence[LiveAttempt],
    evidence: Mapping[int, Evidence],
    told: Mapping[str, ExitInfo],
) -> list[LiveAttempt]:
    """Most of what was listed vanishes at once, leaves no exit record, and accounting knows of no end: rather the
    listing lies. What is still gone from the next one, some minutes later, is gone."""
    vanished = [
        one
        for one in absent
        if one.attempt.status is not InstanceStatus.INSTANTIATED
        and not one.attempt.asked.is_kill_asked
        and one.absent_since is None
        and (found := evidence.get(one.attempt.instance_id)) is not None
        and found.exit is None
        and one.ref.name not in told
    ]
    return vanished if len(vanished) > max(VANISHED_AT_LEAST, VANISHED_SHARE * len(live)) else []


def _see_present(findings: Findings, one: LiveAttempt, listed: Listed) -> None:
    attempt = one.attempt
    status = InstanceStatus.RUNNING if listed.phase is Phase.RUNNING else InstanceStatus.SUBMITTED
    shown = listed.phase.value if listed.phase in (Phase.HELD, Phase.STUCK, Phase.UNKNOWN) else ""
    said = listed.message if shown or listed.phase is Phase.PENDING else ""
    rises = status is not attempt.status and "IBR".index(status) > "IBR".index(attempt.status)
    differs = (shown, said) != (one.phase, one.phase_message)
    if rises or differs or one.absent_since is not None:
        observation = Observation(
            instance_id=attempt.instance_id,
            status=status,
            executor_id=listed.executor_id,
            host=listed.host,
            started_at=moment(listed.since) if status is InstanceStatus.RUNNING else None,
            phase=shown,
            phase_message=said,
        )
        findings.observations[attempt.run_id].append(observation)
    if attempt.asked.is_kill_asked:
        findings.to_cancel.append(
            AttemptRef(attempt.instance_id, one.ref.name, listed.executor_id, one.ref.intended_at)
        )


def _see_absent(
    findings: Findings,
    executor: Executor,
    absent: Sequence[LiveAttempt],
    evidence: Mapping[int, Evidence],
    told: Mapping[str, ExitInfo],
) -> None:
    vanished: list[tuple[LiveAttempt, Evidence]] = []
    unstarted: list[LiveAttempt] = []
    for one in absent:
        attempt, found = one.attempt, evidence.get(one.attempt.instance_id)
        token, info = found.token if found is not None else None, told.get(one.ref.name)
        if found is not None and found.exit is not None:
            if info is not None or not accounting.may_tell_more(executor.name, attempt.asked, found.exit):
                findings.endings[attempt.run_id].append(judge(executor.store, attempt, found, told=info))
        elif token is not None and token.kind is TokenKind.VOID:
            findings.endings[attempt.run_id].append(judge_void(attempt.asked))
        elif not _may_be_decided(one, executor.grace, token is not None, info):
            findings.observations[attempt.run_id].append(_note_absence(one))
        elif found is not None and token is not None:
            vanished.append((one, found))
        else:
            unstarted.append(one)
    _void_unstarted(findings, executor, unstarted)
    _judge_vanished(findings, executor, vanished, told)


def _may_be_decided(one: LiveAttempt, grace: float, has_started: bool, info: ExitInfo | None) -> bool:
    """Absence alone needs the grace. Accounting may be quicker to know of an end, and what was submitted, shall be
    killed and is gone may be voided at once: that a person waits for. What is being handed over is not absent yet."""
    if one.is_being_submitted and not has_started:
        return False
    if has_started and accounting.tells_of_a_kill(info):
        return True
    is_killed_in_queue = one.attempt.asked.is_kill_asked and one.attempt.status is InstanceStatus.SUBMITTED
    return _is_absent_long_enough(one, grace) or (is_killed_in_queue and not has_started)


def _is_absent_long_enough(one: LiveAttempt, grace: float) -> bool:
    return one.absent_since is not None and timezone.now() - one.absent_since >= timedelta(seconds=grace)


def _note_absence(one: LiveAttempt) -> Observation:
    return Observation(one.attempt.instance_id, one.attempt.status, is_absent=True)


def _void_unstarted(findings: Findings, executor: Executor, unstarted: Sequence[LiveAttempt]) -> None:
    """Never seen to start and absent twice: whoever links the token first decides."""
    tokens = executor.store.void((one.attempt.instance_id for one in unstarted), "reconciler")
    faults.point("after_void_link")
    for one in unstarted:
        token = tokens.get(one.attempt.instance_id)
        if token is not None and token.kind is TokenKind.VOID:
            findings.endings[one.attempt.run_id].append(judge_void(one.attempt.asked))


def _judge_vanished(
    findings: Findings,
    executor: Executor,
    vanished: Sequence[tuple[LiveAttempt, Evidence]],
    told: Mapping[str, ExitInfo],
) -> None:
    again = executor.store.read(one.attempt.instance_id for one, _ in vanished)
    for one, before in vanished:
        attempt, info = one.attempt, told.get(one.ref.name)
        found = again.get(attempt.instance_id, before)
        if found.exit is not None:  # it ended between two looks
            ending = judge(executor.store, attempt, found, told=info)
        else:
            ending = with_last_words(executor.store, attempt, judge_vanished(attempt.asked, found, info))
        findings.endings[attempt.run_id].append(ending)


def _apply(findings: Findings, executor: Executor) -> set[int]:
    for run_id, observations in findings.observations.items():
        lifecycle.record_observed(run_id, observations)
    for run_id, endings in findings.endings.items():
        lifecycle.record_ended(run_id, endings)
    cancel(executor, findings.to_cancel)
    return set(findings.endings)


def cancel(executor: Executor, refs: Sequence[AttemptRef]) -> None:
    """Ask for the end of these; asked again at every poll until a listing confirms that they are gone."""
    if not refs:
        return
    try:
        executor.cancel(refs)
    except ExecutorUnavailable as error:
        logger.warning("executor %s: cancel goes unheard: %s", executor.name, error)
        note_poll_failure(executor.name, str(error))


def claim_poll(name: str, kind: str, interval: float) -> bool:
    """Whether it is our turn to ask this executor: one listing per interval, however many workers there are."""
    if not ExecutorState.objects.filter(name=name).exists():
        _introduce(name, kind)
    return _claim(name, interval)


@write_transaction
def _introduce(name: str, kind: str) -> None:
    ExecutorState.objects.bulk_create([ExecutorState(name=name, kind=kind)], ignore_conflicts=True)


@write_transaction
def _claim(name: str, interval: float) -> bool:
    now = timezone.now()
    is_due = Q(poll_started_at=None) | Q(poll_started_at__lte=now - timedelta(seconds=interval * 0.9))
    believes = Q(disbelief_until=None) | Q(disbelief_until__lte=now)
    return ExecutorState.objects.filter(is_due, believes, name=name).update(poll_started_at=now) == 1


@write_transaction
def note_poll(name: str, seconds: float, counts: Mapping[str, int], live: int = 0) -> None:
    now, running = timezone.now(), min(live, counts.get(Phase.RUNNING.value, 0))
    note_minute(name, now, live - running, running)
    ExecutorState.objects.filter(name=name).update(
        polled_at=now, poll_seconds=seconds, counts=dict(counts), failure="", failures_in_a_row=0, live=live,
        own_max_live=back_ends.max_live(name),
    )  # fmt: skip


@write_transaction
def note_poll_failure(name: str, words: str) -> None:
    ExecutorState.objects.filter(name=name).update(
        failed_at=timezone.now(), failure=words[:2000], failures_in_a_row=F("failures_in_a_row") + 1
    )


@write_transaction
def alarm(name: str, vanished: int, live: int) -> None:
    words = f"{vanished} of {live} attempts vanished from one listing without an exit record; it is not believed for 10 minutes."
    logger.error("executor %s: %s", name, words)
    ExecutorState.objects.filter(name=name).update(
        disbelief_until=timezone.now() + DISBELIEF, failed_at=timezone.now(), failure=words
    )
