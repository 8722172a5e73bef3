"""The table itself: total, only rising, and what a job becomes for every way an attempt may end."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.state_machine import (
    ENDED,
    INSTANCE_ORDER,
    JOB_LIVE,
    JOB_MOVES,
    JOB_WAITS_FOR_ATTEMPT,
    LABELS,
    LIVE,
    RUN_MOVES,
    USES_ATTEMPT,
    WORKFLOW_MOVES,
    InstanceStatus,
    JobStatus,
    Reason,
    RunStatus,
    WorkflowStatus,
    job_after_attempt,
    rises,
    uses_attempt,
)

OUTCOMES: list[Reason | None] = [None, *Reason]


@pytest.mark.parametrize(
    ("table", "statuses"), [(JOB_MOVES, JobStatus), (WORKFLOW_MOVES, WorkflowStatus), (RUN_MOVES, RunStatus)]
)
def test_tables_are_total_and_nothing_moves_to_itself(
    table: dict[StrEnum, frozenset[StrEnum]], statuses: type[StrEnum]
) -> None:
    assert set(table) == set(statuses)
    for status, following in table.items():
        assert following <= set(statuses)
        assert status not in following


@pytest.mark.parametrize("kind", LABELS)
def test_every_status_has_a_label_of_its_own(kind: type[StrEnum]) -> None:
    assert set(LABELS[kind]) == {status.value for status in kind}
    assert len(set(LABELS[kind].values())) == len(kind)


def test_an_attempt_is_live_or_over() -> None:
    assert set(InstanceStatus) == LIVE | ENDED
    assert not LIVE & ENDED
    assert not JOB_LIVE & JOB_WAITS_FOR_ATTEMPT


@pytest.mark.parametrize(("old", "new"), list(product(InstanceStatus, repeat=2)))
def test_an_attempt_only_rises(old: InstanceStatus, new: InstanceStatus) -> None:
    assert rises(old, new) == ("IBRED".index(new) > "IBRED".index(old))
    assert not (rises(old, new) and rises(new, old))
    if rises(old, new) and old in ENDED:
        assert (old, new) == (InstanceStatus.ERROR, InstanceStatus.DONE)


def test_the_order_is_that_of_all_statuses() -> None:
    assert sorted(INSTANCE_ORDER.values()) == list(range(len(InstanceStatus)))


EXPECTED = {
    None: ("D", "D"),
    Reason.EXIT: ("E", "F"),
    Reason.SIGNAL: ("E", "F"),
    Reason.MEMORY: ("E", "F"),
    Reason.RUNTIME: ("E", "F"),
    Reason.LOST: ("E", "F"),
    Reason.KILLED: ("G", "G"),
    Reason.REFUSED: ("F", "F"),
    Reason.VOID: ("Q", "Q"),
}


@pytest.mark.parametrize("reason", OUTCOMES)
def test_what_a_job_becomes(reason: Reason | None) -> None:
    """With attempts left, and without."""
    assert (job_after_attempt(reason, 1, 3).value, job_after_attempt(reason, 3, 3).value) == EXPECTED[reason]


@pytest.mark.parametrize(("status", "reason"), list(product(sorted(JOB_LIVE), OUTCOMES)))
def test_the_end_of_an_attempt_is_a_legal_move_of_its_job(status: JobStatus, reason: Reason | None) -> None:
    for used in (0, 1, 3):
        assert job_after_attempt(reason, used, 3) in JOB_MOVES[status]


def test_only_the_jobs_own_failures_and_success_use_an_attempt() -> None:
    assert {reason for reason in OUTCOMES if uses_attempt(reason)} == USES_ATTEMPT | {None}
    assert set(Reason) - USES_ATTEMPT == {Reason.KILLED, Reason.REFUSED, Reason.VOID}


@given(st.lists(st.sampled_from(list(InstanceStatus)), max_size=12))
def test_any_events_in_any_order_leave_a_chain_that_only_rises(events: list[InstanceStatus]) -> None:
    """Overtaken events change nothing, repeated ones neither."""
    status, chain = InstanceStatus.INSTANTIATED, [InstanceStatus.INSTANTIATED]
    for event in [event for event in events for _ in range(2)]:
        if rises(status, event):
            status = event
            chain.append(event)
    assert chain == sorted(set(chain), key=INSTANCE_ORDER.__getitem__)
    assert status == max([InstanceStatus.INSTANTIATED, *events], key=INSTANCE_ORDER.__getitem__)


@given(st.lists(st.sampled_from(OUTCOMES), max_size=40), st.integers(1, 5))
def test_a_job_ends_within_its_attempts(outcomes: list[Reason | None], most: int) -> None:
    """D if and only if one attempt succeeded; never more attempts used than allowed; nothing after an end."""
    status, used = JobStatus.REGISTERED, 0
    seen: Counter[Reason | None] = Counter()
    for reason in outcomes:
        if status in (JobStatus.DONE, JobStatus.ERROR_FATAL):
            break
        used += uses_attempt(reason)
        seen[reason] += 1
        status = job_after_attempt(reason, used, most)
        assert used <= most
    assert (status is JobStatus.DONE) == (seen[None] == 1)
    assert used == sum(count for reason, count in seen.items() if uses_attempt(reason))
    if status is JobStatus.ERROR_FATAL:
        assert used == most or seen[Reason.REFUSED]
