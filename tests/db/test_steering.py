"""What a person may do to jobs: scopes, again, done by word, limits, more resources, time-outs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from executors.dummy import DummyExecutor
from tests.db.engine import attempts, drive, job, make_actor, start, statuses, submit
from workflows import executor_control, lifecycle, planning
from workflows.lifecycle import Refused
from workflows.models import (
    AuditEntry,
    ErrorGroup,
    Job,
    JobGroup,
    JobInstance,
    JobInstanceErrorLog,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling import back_ends, housekeeping, reconcile, stored_facts, tick
from workflows.scheduling.ready import find_limits, select_ready
from workflows.scheduling.submit import start_jobs
from workflows.scope import Scope

pytestmark = pytest.mark.django_db


def ids(workflow, *names: str) -> list[int]:
    return list(Job.objects.filter(dag_id=workflow.dag_id, name__in=names).values_list("pk", flat=True))


def counts_agree(workflow) -> bool:
    for group in JobGroup.objects.filter(dag_id=workflow.dag_id):
        for letter in "GQIREFD":
            if getattr(group, f"count_{letter.lower()}") != Job.objects.filter(group=group, status=letter).count():
                return False
    return not housekeeping.find_miscounted(workflow.dag_id)


def test_resume_of_one_tag_leaves_the_rest_as_it_is() -> None:
    workflow = submit(
        [
            job("a", tag="x", command="exit=1 until=4"),
            job("b", tag="y", command="exit=2 until=4"),
            job("c", "a", tag="x"),
        ]
    )
    assert drive(start(workflow)) == "E"
    run = start(workflow, scope=Scope(tags=("x",)))
    assert drive(run) == "E"
    assert statuses(workflow) == {"a": "D", "b": "F", "c": "D"}
    assert len(attempts(workflow, "b")) == 3
    assert counts_agree(workflow)
    assert drive(start(workflow)) == "D"


def test_a_scope_without_anything_left_is_refused() -> None:
    workflow = submit([job("a", tag="x"), job("b", tag="y", command="exit=2")])
    drive(start(workflow))
    with pytest.raises(Refused) as refused:
        start(workflow, scope=Scope(tags=("x",)))
    assert refused.value.code == "nothing-to-do"


def test_a_done_job_runs_again_with_or_without_its_downstream() -> None:
    workflow = submit([job("a"), job("b", "a"), job("c", "b")])
    drive(start(workflow))
    (a,) = ids(workflow, "a")
    assert "runs again" in planning.plan_rerun(Job.objects.get(pk=a), with_downstream=False).sentence
    lifecycle.reset_jobs(workflow.pk, [a], make_actor())
    assert statuses(workflow) == {"a": "G", "b": "D", "c": "D"} and counts_agree(workflow)
    assert drive(start(workflow)) == "D"
    assert (len(attempts(workflow, "a")), len(attempts(workflow, "b"))) == (2, 1)
    lifecycle.reset_jobs(workflow.pk, planning.rerun_ids(Job.objects.get(pk=a), with_downstream=True), make_actor())
    assert set(statuses(workflow).values()) == {"G"} and counts_agree(workflow)
    assert drive(start(workflow)) == "D"
    assert [len(attempts(workflow, name)) for name in "abc"] == [3, 2, 2]
    assert counts_agree(workflow)


def test_marked_done_lets_the_downstream_run() -> None:
    workflow = submit([job("a", command="exit=1"), job("b", "a")])
    drive(start(workflow))
    lifecycle.mark_done(workflow.pk, ids(workflow, "a"), make_actor(), "computed by hand")
    assert Job.objects.get(name="a").marked_done_by == "alice"
    assert drive(start(workflow)) == "D"
    assert counts_agree(workflow)
    assert AuditEntry.objects.get(action="mark-done").after == {"note": "computed by hand"}


def test_marking_everything_done_and_starting_is_refused() -> None:
    workflow = submit([job("a", command="exit=1")])
    drive(start(workflow))
    lifecycle.mark_done(workflow.pk, ids(workflow, "a"), make_actor())
    with pytest.raises(Refused):
        start(workflow)


def test_killing_an_attempt_can_leave_the_job_failed() -> None:
    executor = DummyExecutor("dummy", lambda: 0.0)
    back_ends.use(executor)
    workflow = submit([job("a", command="runs=1000"), job("b", "a")])
    run = start(workflow)
    tick.advance(run.pk)
    lifecycle.ask_kill(workflow.pk, ids(workflow, "a"), "fail", make_actor())
    assert drive(run) == "E"
    assert statuses(workflow) == {"a": "F", "b": "G"}
    assert attempts(workflow, "a") == [("E", "killed")]


def test_a_hot_resume_forgets_what_was_to_become_of_what_is_killed() -> None:
    executor = DummyExecutor("dummy", lambda: 0.0)
    back_ends.use(executor)
    workflow = submit([job("a", command="runs=1000"), job("b", "a")])
    first = start(workflow)
    tick.advance(first.pk)
    lifecycle.ask_kill(workflow.pk, ids(workflow, "a"), "fail", make_actor())
    lifecycle.ask_stop(first.pk, "drain", make_actor())
    second = start(workflow, resume="hot")
    lifecycle.ask_stop(second.pk, "kill", make_actor())
    assert drive(second) == "S"
    assert statuses(workflow) == {"a": "G", "b": "G"}


def test_what_was_killed_has_an_error_and_a_group_of_its_own() -> None:
    back_ends.use(DummyExecutor("dummy", lambda: 0.0))
    workflow = submit([job("a", command="runs=1000"), job("q", command="waits=1000")])
    run = start(workflow)
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    lifecycle.ask_kill(workflow.pk, ids(workflow, "a", "q"), "fail", make_actor())
    assert drive(run) == "E"
    group = ErrorGroup.objects.get()
    assert (group.title, group.reason, group.attempts) == ("Killed by a person", "killed", 2)
    assert set(Job.objects.values_list("status", "error_group_id")) == {("F", group.pk)}
    written = JobInstanceErrorLog.objects.values_list("description", flat=True)
    assert all(text.startswith("Killed by alice") for text in written) and len(written) == 2


def test_limits_change_on_a_live_run() -> None:
    back_ends.use(DummyExecutor("dummy", lambda: 0.0))
    workflow = submit(
        [job(f"x{i}", tag="x", command=f"runs=1000 said={i}") for i in range(6)], max_concurrently_running=2
    )
    run = start(workflow)
    tick.advance(run.pk)
    assert JobInstance.objects.count() == 2
    lifecycle.set_limits(workflow.pk, make_actor(), None, {"x": 4})
    tick.advance(run.pk)
    assert JobInstance.objects.count() == 4
    with pytest.raises(Refused):
        lifecycle.set_limits(workflow.pk, make_actor(), None, {"nosuch": 4})


def test_memory_and_run_time_are_asked_for_again_with_more() -> None:
    workflow = submit(
        [job("a", command="memory until=3", mem_free=4), job("b", command="runtime until=2", max_runtime=101)]
    )
    assert drive(start(workflow)) == "D"
    asked = list(JobInstance.objects.filter(job__name="a").order_by("pk").values_list("mem_free", flat=True))
    assert asked == [4, 6, 9]
    runtimes = list(JobInstance.objects.filter(job__name="b").order_by("pk").values_list("max_runtime", flat=True))
    assert runtimes == [101, 152]


def test_fail_fast_starts_nothing_after_a_failure() -> None:
    workflow = submit(
        [job("a", command="exit=1", max_attempts=1), *[job(f"b{i}") for i in range(5)]],
        max_concurrently_running=1,
        fail_fast=True,
    )
    assert drive(start(workflow)) == "E"
    assert sorted(statuses(workflow).values()) == ["F", "G", "G", "G", "G", "G"]


def test_a_run_that_outlives_its_time_is_killed() -> None:
    back_ends.use(DummyExecutor("dummy", lambda: 0.0))
    workflow = submit([job("a", command="runs=1000")], seconds_until_timeout=60)
    run = start(workflow)
    tick.advance(run.pk)
    WorkflowRun.objects.update(created_date=timezone.now() - timedelta(seconds=61))
    assert drive(run) == "S"
    assert attempts(workflow, "a") == [("E", "killed")]
    assert AuditEntry.objects.filter(action="stop-kill", actor="server", via="time-out").exists()


def test_failures_that_are_alike_are_one_group() -> None:
    jobs = [job(f"a{i}", command=f"exit=1 said=ValueError:{i}", max_attempts=1) for i in range(3)]
    workflow = submit([*jobs, job("m", command="memory", max_attempts=1)])
    drive(start(workflow))
    groups = {group.reason: group for group in ErrorGroup.objects.filter(workflow=workflow)}
    assert groups["exit"].attempts == 3 and groups["memory"].attempts == 1
    assert Job.objects.filter(error_group=groups["exit"], status="F").count() == 3
    plan = planning.plan_start(workflow, Scope(error_group=groups["exit"].pk), "cold")
    assert "3 tried again" in plan.sentence


def test_the_preview_counts_what_the_start_then_does() -> None:
    workflow = submit([job("a", tag="x"), job("b", tag="x", command="exit=1"), job("c", "b", tag="y")])
    drive(start(workflow))
    plan = planning.plan_start(Workflow.objects.get(), Scope(), "cold")
    shown = {(row.tag, row.what): row.jobs for row in plan.rows}
    assert shown == {("x", "kept"): 1, ("x", "tried again"): 1, ("y", "not done yet"): 1}
    start(workflow)
    assert sorted(statuses(workflow).items()) == [("a", "D"), ("b", "G"), ("c", "G")]


def test_what_was_stopped_is_not_called_a_first_try() -> None:
    back_ends.use(DummyExecutor("dummy", lambda: 0.0))
    workflow = submit([job("a", command="runs=1000"), job("f", command="runs=999")])
    assert (
        planning.plan_start(workflow, Scope(), "cold").sentence
        == "0 jobs kept, 0 tried again, 2 run for the first time."
    )
    run = start(workflow)
    tick.advance(run.pk)
    lifecycle.ask_kill(workflow.pk, ids(workflow, "f"), "fail", make_actor())
    lifecycle.ask_stop(run.pk, "kill", make_actor())
    assert drive(run) == "S"
    plan = planning.plan_start(Workflow.objects.get(), Scope(), "cold")
    assert plan.sentence == "0 jobs kept, 1 tried again, 1 not done yet."
    assert plan.warnings == ()


def test_miscounted_upstreams_are_found_and_repaired(caplog: pytest.LogCaptureFixture) -> None:
    workflow = submit([job("a"), job("b", "a")])
    run = start(workflow)
    Job.objects.filter(name="b").update(upstreams_left=0)
    assert housekeeping.verify_readiness(run.pk, workflow.dag_id) == 1
    assert Job.objects.get(name="b").upstreams_left == 1
    assert "ALARM" in caplog.text


def test_options_of_a_run_replace_those_of_the_workflow() -> None:
    workflow = submit([job("a")])
    start(workflow, fail_fast=True, seconds_until_timeout=5, max_concurrently_running=3)
    workflow.refresh_from_db()
    assert (workflow.fail_fast, workflow.seconds_until_timeout) == (True, 5)
    assert WorkflowRun.objects.get().max_concurrently_running == 3


def test_a_job_reset_behind_the_choice_does_not_start() -> None:
    workflow = submit([job("a"), job("b", "a", command="exit=1 until=4")])
    drive(start(workflow))
    run = start(workflow)
    chosen = select_ready(run, find_limits(run))
    assert [ready.name for ready in chosen] == ["b"]
    lifecycle.reset_jobs(workflow.pk, ids(workflow, "a"), make_actor())
    assert start_jobs(run, chosen) == 0
    assert drive(run) == "D"


def test_runs_that_choose_at_the_same_time_keep_to_the_limit_of_the_executor() -> None:
    """Both have seen the whole room before either took of it."""
    runs = [start(submit([job(f"{name}{n}") for n in range(3)], args=name)) for name in "ab"]
    reconcile.claim_poll("dummy", "dummy", 1.0)
    executor_control.set_limit("dummy", 4, make_actor())
    chosen = [(run, limits, select_ready(run, limits)) for run in runs for limits in [find_limits(run)]]
    started = [start_jobs(run, jobs, most_live=limits.most_live) for run, limits, jobs in chosen]
    assert started == [3, 1]
    assert [drive(run) for run in runs] == ["D", "D"]


def test_whoever_has_lost_the_lease_starts_nothing_more() -> None:
    """It slept after it had chosen. The next one has counted anew, and the limits hold for what that one starts."""
    run = start(submit([job("a")]))
    sleeper = lifecycle.acquire_lease(run.pk, "sleeper", -1)
    chosen = select_ready(run, find_limits(run))
    lifecycle.acquire_lease(run.pk, "following", 60)
    assert start_jobs(run, chosen, sleeper) == 0
    lifecycle.release_lease(run.pk, "following")
    assert drive(run) == "D"


def test_a_long_name_still_gives_a_file_name(tmp_path: Path) -> None:
    workflow = submit([job("ä" * 255)], stdout=str(tmp_path), stderr=str(tmp_path))
    drive(start(workflow))
    attempt = JobInstance.objects.get()
    assert len(Path(attempt.stdout_path).name.encode()) <= 255
    assert attempt.stdout_path.endswith(f".o{attempt.pk}")


def test_an_ended_run_remembers_what_its_failures_block() -> None:
    workflow = submit([job("a", command="exit=1", max_attempts=1), job("b", "a"), job("c", "b"), job("d")])
    run = start(workflow)
    assert drive(run) == "E"
    stored_facts.refresh_facts()
    run.refresh_from_db()
    assert run.final_counts == {"G": 2, "Q": 0, "I": 0, "R": 0, "E": 0, "F": 1, "D": 1, "B": 2}
    lifecycle.mark_done(workflow.pk, ids(workflow, "a"), make_actor())
    stored_facts.refresh_facts()
    run.refresh_from_db()
    assert run.final_counts["B"] == 2, "as it was at its end"
