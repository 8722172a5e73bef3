"""What a listing may and may not change: unknown is not gone, gone is not failed without a witness."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import pytest
from django.utils import timezone

from executors.base import AttemptRef, ExecutorUnavailable, ExitInfo, Hint, Listed, Phase, TokenKind, Usage
from executors.dummy import DummyExecutor
from tests.db.engine import attempts, drive, job, make_actor, start, statuses, submit
from workflows import invariants, lifecycle
from workflows.lifecycle import Ending, Refused
from workflows.models import AuditEntry, ExecutorState, Job, JobInstance, Workflow, WorkflowRun
from workflows.scheduling import back_ends, reconcile, tick
from workflows.scheduling.collect import collect
from workflows.scheduling.live_attempts import read_live
from workflows.state_machine import Reason

pytestmark = pytest.mark.django_db


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = timezone.now().timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    made = Clock()
    back_ends.use(DummyExecutor("dummy", made))
    return made


def dummy() -> DummyExecutor:
    return cast(DummyExecutor, back_ends.get("dummy"))


def live() -> JobInstance:
    return JobInstance.objects.get(live_job_id__isnull=False)


def test_a_running_attempt_is_seen_to_run(clock: Clock) -> None:
    run = start(submit([job("a", command="runs=100")]))
    tick.advance(run.pk)
    assert live().status == "B"
    reconcile.reconcile("dummy")
    assert (live().status, Job.objects.get().status) == ("R", "R")
    clock.now += 200
    tick.advance(run.pk)
    run.refresh_from_db()
    assert run.status == "D"
    assert list(JobInstance.objects.get().moves.order_by("pk").values_list("status", flat=True)) == ["I", "B", "R", "D"]


def test_a_submission_accepted_but_reported_failed_is_adopted(clock: Clock) -> None:
    run = start(submit([job("a", command="runs=10")]))
    dummy().faults.accept_but_raise = 1
    tick.advance(run.pk)
    assert live().status == "I"
    reconcile.reconcile("dummy")
    assert live().status == "R"
    clock.now += 20
    WorkflowRun.objects.update(backoff_until=None)
    assert drive(run) == "D"
    assert len(JobInstance.objects.all()) == 1


def test_a_submission_that_never_arrived_is_voided_and_made_again(clock: Clock) -> None:
    workflow = submit([job("a")])
    run = start(workflow)
    dummy().faults.raise_before_accept = 1
    tick.advance(run.pk)
    assert live().status == "I"
    reconcile.reconcile("dummy")
    assert live().absent_since is not None
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("E", "void")]
    assert Job.objects.get().num_attempts == 0
    WorkflowRun.objects.update(backoff_until=None)
    assert drive(run) == "D"
    assert attempts(workflow, "a") == [("E", "void"), ("D", "")]


def test_what_the_batch_system_says_of_a_queued_job_is_kept_until_it_runs(clock: Clock) -> None:
    workflow = submit([job("a", command="waits=100")])
    tick.advance(start(workflow).pk)

    def see(phase: Phase, message: str = "") -> tuple[str, str, int]:
        one = live()
        before = Workflow.objects.get().change_no
        listing = {one.name: Listed(one.name, "77", phase, message=message)}
        reconcile.apply_listing(dummy(), read_live("dummy"), listing)
        one.refresh_from_db()
        return one.status, one.phase_message, Workflow.objects.get().change_no - before

    assert see(Phase.PENDING, "Priority") == ("B", "Priority", 1)
    assert see(Phase.PENDING, "Priority") == ("B", "Priority", 0)
    assert see(Phase.PENDING, "Resources") == ("B", "Resources", 1)
    assert see(Phase.RUNNING, "None") == ("R", "", 1)


def test_a_failing_listing_changes_nothing(clock: Clock) -> None:
    run = start(submit([job("a", command="runs=100")]))
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    for _ in range(5):
        dummy().faults.poll_fails = 1
        reconcile.reconcile("dummy")
    assert live().status == "R"
    assert ExecutorState.objects.get(name="dummy").failures_in_a_row == 5


def test_one_empty_listing_is_not_the_end(clock: Clock) -> None:
    run = start(submit([job("a", command="runs=100")]))
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    dummy().faults.poll_is_empty = 1
    reconcile.reconcile("dummy")
    assert live().absent_since is not None
    reconcile.reconcile("dummy")
    assert live().absent_since is None


def test_a_lost_attempt_is_tried_again_and_counts(clock: Clock) -> None:
    workflow = submit([job("a", command="lost until=2")])
    assert drive(start(workflow)) == "D"
    assert attempts(workflow, "a") == [("E", "lost"), ("D", "")]
    assert Job.objects.get().num_attempts == 2


def many_running(count: int) -> WorkflowRun:
    run = start(submit([job(f"a{i}", command=f"runs=100 said={i}", max_attempts=1) for i in range(count)]))
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    return run


def pass_the_disbelief() -> None:
    """It lasts for some minutes, in which nobody asks."""
    reconcile.reconcile("dummy")
    ExecutorState.objects.update(disbelief_until=timezone.now() - timedelta(seconds=1))


def test_when_most_vanishes_at_once_nothing_is_believed(clock: Clock) -> None:
    many_running(40)
    dummy().faults.poll_is_empty = 1
    reconcile.reconcile("dummy")
    assert JobInstance.objects.filter(status="R", absent_since__isnull=False).count() == 40
    state = ExecutorState.objects.get(name="dummy")
    assert state.disbelief_until is not None and "40 of 40" in state.failure
    pass_the_disbelief()
    reconcile.reconcile("dummy")
    assert JobInstance.objects.filter(status="R", absent_since=None).count() == 40, "they are back"


def test_what_is_still_gone_after_the_disbelief_is_lost(clock: Clock) -> None:
    """A machine with many slots went down: one disbelieved listing, then each is decided without a human."""
    run = many_running(40)
    workflow = run.workflow
    dummy().faults.poll_is_empty = 2
    reconcile.reconcile("dummy")
    pass_the_disbelief()
    reconcile.reconcile("dummy")
    assert JobInstance.objects.filter(status="E", reason="lost").count() == 40
    assert drive(run) == "E"
    assert set(statuses(workflow).values()) == {"F"}


def test_an_intent_is_left_alone_while_its_maker_hands_it_over(clock: Clock) -> None:
    """With a slow disk that takes longer than the grace: everything would be void before anything is started."""
    run = start(submit([job("a")]))
    lifecycle.acquire_lease(run.pk, "elsewhere:1:1", 30)
    dummy().faults.raise_before_accept = 1
    tick.tick(run.pk)
    for _ in range(3):
        reconcile.reconcile("dummy")
    assert live().status == "I"
    lifecycle.release_lease(run.pk, "elsewhere:1:1")
    for _ in range(2):
        reconcile.reconcile("dummy")
    assert attempts(run.workflow, "a") == [("E", "void")]


def test_the_intent_of_an_earlier_holder_is_nobodys(clock: Clock) -> None:
    run = start(submit([job("a")]))
    dummy().faults.raise_before_accept = 1
    tick.tick(run.pk)
    JobInstance.objects.update(submitted_date=timezone.now() - timedelta(seconds=5))
    lifecycle.acquire_lease(run.pk, "elsewhere:1:1", 30)
    for _ in range(2):
        reconcile.reconcile("dummy")
    assert attempts(run.workflow, "a") == [("E", "void")]


def test_absence_from_before_the_submission_does_not_count_after_it(clock: Clock) -> None:
    run = start(submit([job("a", command="runs=100")]))
    dummy().faults.raise_before_accept = 1
    tick.tick(run.pk)
    reconcile.reconcile("dummy")
    assert live().absent_since is not None
    lifecycle.record_submitted(run.pk, {live().pk: "77"})
    assert live().absent_since is None


def test_an_end_that_was_overtaken_keeps_its_hint(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The poller's verdict, from a look before the exit was visible, comes first; the success still counts."""
    workflow = submit([job("a", command="runs=5")])
    run = start(workflow)
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    clock.now += 10
    store, number = dummy().store, live().pk
    read_usage = store.read_usage

    def overtake(hint: Hint) -> Usage | None:
        lifecycle.record_ended(run.pk, [Ending(number, Reason.LOST, "gone", next_try_after=timedelta(hours=1))])
        return read_usage(hint)

    monkeypatch.setattr(store, "read_usage", overtake)
    collect(run.pk)
    monkeypatch.setattr(store, "read_usage", read_usage)
    assert attempts(workflow, "a") == [("E", "lost")]
    assert [hint.instance_id for hint in store.hints()] == [number]
    assert drive(run) == "D"
    assert attempts(workflow, "a") == [("D", "")]
    assert store.hints() == []


def test_a_late_success_waits_for_room_to_give_up_the_newer_attempt(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes no token: whether the newer attempt may still start is not known until there is room."""
    workflow = submit([job("a")])
    run = start(workflow)
    dummy().faults.late_exit = 50
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    reconcile.reconcile("dummy")
    Job.objects.filter(name="a").update(not_before=None)
    dummy().faults.late_exit, dummy().faults.raise_before_accept = 0, 1
    store, void = dummy().store, dummy().store.void
    tick.tick(run.pk)
    assert attempts(workflow, "a") == [("E", "lost"), ("I", "")]
    clock.now += 60
    monkeypatch.setattr(store, "void", lambda ids, who: {})
    tick.tick(run.pk)
    assert attempts(workflow, "a") == [("E", "lost"), ("I", "")]
    monkeypatch.setattr(store, "void", void)
    tick.tick(run.pk)
    assert attempts(workflow, "a") == [("D", ""), ("E", "void")]
    assert drive(run) == "D"


def test_a_late_success_counts(clock: Clock) -> None:
    workflow = submit([job("a"), job("b", "a")])
    run = start(workflow)
    dummy().faults.late_exit = 50
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("E", "lost")]
    Job.objects.filter(name="a").update(not_before=timezone.now() + timedelta(hours=1))
    clock.now += 60
    dummy().faults.late_exit = 0
    assert drive(run) == "D"
    assert attempts(workflow, "a") == [("D", "")]
    assert statuses(workflow) == {"a": "D", "b": "D"}


def test_a_success_that_shows_after_the_runs_end_counts(clock: Clock) -> None:
    """The last attempt was judged lost and the run ended with it; then the exit record comes into sight."""
    workflow = submit([job("a", max_attempts=1), job("b", "a")])
    run = start(workflow)
    dummy().faults.late_exit = 50
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    reconcile.reconcile("dummy")
    assert drive(run) == "E"
    assert statuses(workflow) == {"a": "F", "b": "G"}
    clock.now += 60
    dummy().faults.late_exit = 0
    assert tick.advance(run.pk) is None, "the run is over"
    assert attempts(workflow, "a") == [("D", "")]
    assert statuses(workflow) == {"a": "D", "b": "G"}
    assert dummy().store.hints() == []
    assert drive(start(workflow)) == "D"
    assert attempts(workflow, "a") == [("D", "")], "it is not run again"
    assert invariants.check_all() == []


class ClosedBooks(DummyExecutor):
    """Cannot be asked what became of an attempt."""

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        raise ExecutorUnavailable("the books are closed")


def test_accounting_that_cannot_be_asked_does_not_stop_the_poll(clock: Clock) -> None:
    """Neither what is lost nor what is listed beside it waits for the books."""
    back_ends.use(ClosedBooks("dummy", clock))
    workflow = submit([job("gone", command="lost", max_attempts=1), job("here", command="runs=100")])
    run = start(workflow)
    tick.advance(run.pk)
    clock.now += 1
    for _ in range(3):
        reconcile.reconcile("dummy")
    tick.advance(run.pk)
    assert attempts(workflow, "gone") == [("E", "lost")]
    assert attempts(workflow, "here") == [("R", "")]


def test_drain_lets_running_jobs_finish(clock: Clock) -> None:
    workflow = submit([job("a", command="runs=10"), job("b", "a")])
    run = start(workflow)
    tick.advance(run.pk)
    lifecycle.ask_stop(run.pk, "drain", make_actor())
    assert drive(run, 3) == "R"
    clock.now += 20
    assert drive(run) == "S"
    assert statuses(workflow) == {"a": "D", "b": "G"}


def test_kill_ends_running_jobs_and_confirms_it(clock: Clock) -> None:
    workflow = submit([job("a", command="runs=1000"), job("b", "a"), job("c", command="waits=1000")])
    run = start(workflow)
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    lifecycle.ask_stop(run.pk, "kill", make_actor())
    assert drive(run) == "S"
    assert statuses(workflow) == {"a": "G", "b": "G", "c": "G"}
    assert attempts(workflow, "a") == [("E", "killed")] and attempts(workflow, "c") == [("E", "killed")]
    assert AuditEntry.objects.get(action="stop-kill").job_count == 2
    assert Job.objects.get(name="a").num_attempts == 0


def test_a_result_that_got_in_before_the_kill_stands(clock: Clock) -> None:
    workflow = submit([job("a", command="runs=10")])
    run = start(workflow)
    tick.advance(run.pk)
    clock.now += 20
    lifecycle.ask_stop(run.pk, "kill", make_actor())
    assert drive(run) == "D"
    assert attempts(workflow, "a") == [("D", "")]


def test_stopping_twice_is_one_stop_and_kill_follows_drain(clock: Clock) -> None:
    run = start(submit([job("a", command="runs=10")]))
    tick.advance(run.pk)
    actor = make_actor()
    first = lifecycle.ask_stop(run.pk, "drain", actor).stop_asked_at
    assert lifecycle.ask_stop(run.pk, "drain", actor).stop_asked_at == first
    assert lifecycle.ask_stop(run.pk, "kill", actor).stopping == "kill"
    assert lifecycle.ask_stop(run.pk, "drain", actor).stopping == "kill"


def test_cold_resume_waits_until_the_old_attempts_are_gone(clock: Clock) -> None:
    workflow = submit([job("a", command="runs=1000")])
    run = start(workflow)
    tick.advance(run.pk)
    with pytest.raises(Refused) as refused:
        start(workflow)
    assert refused.value.code == "workflow-running"
    lifecycle.ask_stop(run.pk, "drain", make_actor())
    with pytest.raises(Refused) as refused:
        start(workflow)
    assert refused.value.code == "leftovers"


def test_hot_resume_adopts_what_still_runs(clock: Clock) -> None:
    workflow = submit([job("a", command="runs=100"), job("b", "a")])
    run = start(workflow)
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    lifecycle.ask_stop(run.pk, "drain", make_actor())
    second = start(workflow, resume="hot")
    run.refresh_from_db()
    assert run.status == "S" and live().workflow_run_id == second.pk
    clock.now += 200
    assert drive(second) == "D"
    assert attempts(workflow, "a") == [("D", "")]


def test_void_and_start_exclude_each_other(clock: Clock) -> None:
    run = start(submit([job("a", command="waits=10")]))
    tick.advance(run.pk)
    tokens = dummy().store.void([live().pk], "test")
    assert tokens[live().pk].kind is TokenKind.VOID
    clock.now += 20
    dummy().poll()
    assert live().pk not in [number for number, found in dummy().store.read([live().pk]).items() if found.exit]


def test_submission_backs_off_and_after_many_tries_holds(clock: Clock) -> None:
    run = start(submit([job("a")]))
    for _ in range(20):
        lifecycle.note_submit_failure(run.pk, "qmaster does not answer")
    run.refresh_from_db()
    assert "qmaster does not answer" in run.hold_reason
    tick.advance(run.pk)
    assert not JobInstance.objects.exists()
    lifecycle.hold_run(run.pk, "", make_actor())
    assert drive(run) == "D"


def test_limits_of_run_and_tag_hold(clock: Clock) -> None:
    jobs = [job(f"x{i}", tag="x", command=f"runs=10 said={i}") for i in range(9)]
    jobs += [job(f"y{i}", tag="y", command=f"runs=10 said=y{i}") for i in range(9)]
    workflow = submit(jobs, max_concurrently_running=5, tag_limits={"x": 2})
    run = start(workflow)
    while True:
        tick.advance(run.pk)
        run.refresh_from_db()
        if run.status != "R":
            break
        now_live = JobInstance.objects.filter(live_job_id__isnull=False)
        assert now_live.count() <= 5
        assert now_live.filter(job__tag="x").count() <= 2
        clock.now += 11
    assert run.status == "D"


def test_what_is_planted_among_the_hints_holds_no_run_up(clock: Clock) -> None:
    """Where jobs run as their owners, everybody may make names there."""
    run, spool = start(submit([job("a", command="runs=100")])), back_ends.local_spool()
    (spool.ended / f"{run.pk}.999999" / "full").mkdir(parents=True)
    (spool.ended / f"{run.pk}.999998").symlink_to("/nowhere")
    try:
        tick.advance(run.pk)
        assert live().status == "B"
        assert [hint for hint in spool.hints() if hint.run_id == run.pk] == []
    finally:
        for name in spool.ended.glob(f".no-hint.{run.pk}.*"):
            shutil.rmtree(name)
