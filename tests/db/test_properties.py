"""The whole engine through the database, against whatever order of events, faults and crashes Hypothesis thinks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from executors import faults
from executors.base import TokenKind
from executors.dummy import DummyExecutor
from tests.db.engine import make_actor, start
from workflows import binding, invariants, lifecycle
from workflows.graph import Graph, Header, JobInput, build_graph
from workflows.lifecycle import Refused
from workflows.models import ExecutorState, Job, JobInstance, Workflow, WorkflowRun
from workflows.models.lookup import StatusLabel
from workflows.scheduling import back_ends, housekeeping, reconcile, set_clock, tick

COMMANDS = ("ok", "exit=3", "exit=1 until=2", "exit=1 until=4", "lost until=2", "signal=9", "memory until=2", "refused",
            "runs=20", "waits=20", "waits=10 runs=30", "runs=40 exit=1 until=2", "runs=500")  # fmt: skip
POINTS = ("before_intent_commit", "after_intent_commit", "pause_before_submit", "after_submit", "after_id_stored",
          "after_exit_read", "before_downstream", "after_void_link")  # fmt: skip
SPOILS = ("accept_but_raise", "raise_before_accept", "poll_fails", "poll_is_empty", "cancel_fails")
MAY_REFUSE = {"workflow-running", "workflow-already-complete", "leftovers", "run-over", "owner-disabled"}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A few jobs, each waiting for some of those before it; every command is a script of the dummy executor."""
    count = draw(st.integers(1, 6))
    jobs = []
    for position in range(count):
        ups = draw(st.sets(st.integers(0, position - 1), max_size=3)) if position else set()
        command = f"{draw(st.sampled_from(COMMANDS))} said=job{position}"
        attempts = draw(st.integers(1, 3))
        tag = draw(st.sampled_from(["", "x", "y"]))
        jobs.append(JobInput(f"j{position}", command, tag=tag, max_attempts=attempts, upstreams=sorted(ups)))
    limit = draw(st.sampled_from([None, 1, 2]))
    return build_graph(Header(workflow_args="p", executor="dummy", max_concurrently_running=limit), jobs)


class Engine(RuleBasedStateMachine):
    """Every rule is something that happens to a server; after each the invariants of `fsck` must hold."""

    graph: Graph
    workflow: Workflow

    def __init__(self) -> None:
        super().__init__()
        empty_tables()
        faults.arm("")
        self.now = timezone.now().timestamp()
        self.dummy = DummyExecutor("dummy", lambda: self.now)
        back_ends.forget()
        back_ends.use(self.dummy)
        self.actor = make_actor()
        self.done: set[int] = set()
        self.fences: dict[int, int] = {}

    @initialize(graph=graphs())
    def submit_and_start(self, graph: Graph) -> None:
        self.graph = graph
        self.workflow = binding.bind(graph, self.actor).workflow
        start(self.workflow, self.actor)

    @property
    def run(self) -> WorkflowRun:
        latest = WorkflowRun.objects.order_by("-pk").first()
        assert latest is not None
        return latest

    @rule()
    def a_bell_rings(self) -> None:
        tick.advance(self.run.pk)

    @rule()
    def a_bell_of_an_old_run_rings(self) -> None:
        for run_id in WorkflowRun.objects.order_by("pk").values_list("pk", flat=True)[:2]:
            tick.advance(run_id)

    @rule()
    def the_executor_is_polled(self) -> None:
        reconcile.reconcile("dummy")

    @rule(seconds=st.sampled_from([1, 15, 45, 600]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        WorkflowRun.objects.update(backoff_until=None)

    @rule(name=st.sampled_from(SPOILS))
    def the_back_end_misbehaves(self, name: str) -> None:
        setattr(self.dummy.faults, name, 1)

    @rule(seconds=st.sampled_from([0, 30]))
    def exits_become_visible_late(self, seconds: int) -> None:
        self.dummy.faults.late_exit = seconds

    @rule(point=st.sampled_from(POINTS), action=st.sampled_from([tick.advance, reconcile.reconcile]))
    def a_worker_dies(self, point: str, action: Callable[[Any], Any]) -> None:
        faults.arm(f"{point}:raise@1")
        try:
            action(self.run.pk if action is tick.advance else "dummy")
        except faults.FaultInjected:
            pass
        finally:
            faults.arm("")

    @rule()
    def a_node_is_lost(self) -> None:
        """What runs is gone without a word."""
        self.dummy._live = {name: attempt for name, attempt in self.dummy._live.items() if not attempt.is_running}

    @rule(is_active=st.booleans())
    def the_owner_is_disabled_or_let_in(self, is_active: bool) -> None:
        User.objects.update(is_active=is_active)

    @rule()
    def a_bell_is_heard_by_two(self) -> None:
        tick.advance(self.run.pk)
        reconcile.reconcile("dummy")
        tick.advance(self.run.pk)

    @rule(seconds=st.sampled_from([3600, -3600]))
    def a_clock_was_set(self, seconds: int) -> None:
        """A worker whose clock was wrong has polled and died; the sweep comes by."""
        ExecutorState.objects.update(poll_started_at=timezone.now() + timedelta(seconds=seconds))
        set_clock.take_back_future()
        housekeeping.sweep()

    @rule(mode=st.sampled_from(["drain", "kill"]))
    def a_person_stops(self, mode: str) -> None:
        self.try_to(lambda: lifecycle.ask_stop(self.run.pk, mode, self.actor))

    @rule(resume=st.sampled_from(["cold", "hot"]))
    def a_person_resumes(self, resume: str) -> None:
        self.try_to(lambda: start(self.workflow, self.actor, resume=resume))

    @rule(reason=st.sampled_from(["", "disk full"]))
    def a_person_holds_or_releases(self, reason: str) -> None:
        lifecycle.hold_run(self.run.pk, reason, self.actor)

    @rule()
    def the_graph_is_posted_again(self) -> None:
        bound = binding.bind(self.graph, self.actor)
        assert (bound.workflow.pk, bound.is_new) == (self.workflow.pk, False)

    def try_to(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Refused as refused:
            assert refused.code in MAY_REFUSE, refused

    @invariant()
    def nothing_is_violated(self) -> None:
        broken = invariants.check_all()
        assert broken == [], [(found.invariant.name, found.violations) for found in broken]

    @invariant()
    def what_is_done_stays_done(self) -> None:
        done = set(Job.objects.filter(status="D").values_list("pk", flat=True))
        assert self.done <= done
        self.done = done

    @invariant()
    def no_fence_falls(self) -> None:
        fences = dict(WorkflowRun.objects.values_list("pk", "fence"))
        assert all(fences.get(pk, 0) >= fence for pk, fence in self.fences.items())
        self.fences = fences

    @invariant()
    def the_executor_agrees(self) -> None:
        """What really ran, by the executor's own account: no start without a token, no success twice without a loss."""
        rows = JobInstance.objects.values_list("pk", "job_id", "status", "reason")
        evidence = self.dummy.store.read([pk for pk, *_ in rows])
        lost = {job_id for _, job_id, _, reason in rows if reason == "lost"}
        succeeded: Counter[int] = Counter()
        for pk, job_id, status, reason in rows:
            found = evidence.get(pk)
            has_succeeded = found is not None and found.exit is not None and found.exit.code == 0
            succeeded[job_id] += has_succeeded
            if status == "D":
                assert has_succeeded, f"attempt {pk} is D without an exit record that says 0"
            if reason == "void":
                assert found is None or found.token is None or found.token.kind is TokenKind.VOID
        twice = {job_id for job_id, count in succeeded.items() if count > 1} - lost
        assert not twice, f"jobs {twice} ran to success twice"

    def teardown(self) -> None:
        """Whatever happened: once all is well again, the workflow comes to its end and nothing stays behind."""
        if not hasattr(self, "workflow"):
            return
        self.dummy.faults.__init__()
        User.objects.update(is_active=True)
        run = self.run
        if run.status == "R" and not run.stopping:
            lifecycle.hold_run(run.pk, "", self.actor)
        for _ in range(40):
            self.time_passes(600)
            self.the_executor_is_polled()
            for run_id in WorkflowRun.objects.values_list("pk", flat=True):
                tick.advance(run_id)
            self.nothing_is_violated()
            if self.run.status != "R" and not self.dummy.store.hints():
                break
        assert self.run.status != "R", list(Job.objects.values_list("name", "status", "num_attempts"))
        assert self.dummy.store.hints() == []
        assert not JobInstance.objects.filter(live_job_id__isnull=False).exists()


def empty_tables() -> None:
    """As a fresh database, but for who may come in and what the migrations put there."""
    models = [model for model in apps.get_app_config("workflows").get_models() if not issubclass(model, StatusLabel)]
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")


def run_engine(examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),  # what fails is long in any case; shrinking it would take minutes
    )
    try:
        run_state_machine_as_test(Engine, settings=chosen)
    finally:
        faults.arm("")
        empty_tables()


@pytest.mark.django_db(transaction=True)
def test_no_order_of_events_breaks_an_invariant() -> None:
    run_engine(examples=25, steps=30)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
def test_no_order_of_many_events_breaks_an_invariant(request: pytest.FixtureRequest) -> None:
    if not request.config.option.markexpr:
        pytest.skip("the long form; `pytest -m slow tests/db` runs it")
    run_engine(examples=200, steps=50)
