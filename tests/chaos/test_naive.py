"""The positive control: protocols that are known to be wrong must be caught by the checker, and ours must pass under
the very same faults. The engine is the real one, in this process; only the executor is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from executors.base import ExecutorUnavailable, Exit, JobSpec, SubmitResult, Token, Usage
from executors.dummy import DummyExecutor
from executors.dummy_store import MemoryStore
from tests.chaos.ledger import Line, Problem, Recorded, check
from tests.db.engine import job, start, submit
from workflows.models import Job, JobInstance, Workflow, WorkflowRun
from workflows.scheduling import back_ends, reconcile, tick

pytestmark = pytest.mark.django_db
JOBS = 30
PASSES = 400


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = timezone.now().timestamp()

    def __call__(self) -> float:
        return self.now


class LedgerStore(MemoryStore):
    """Writes the ledger as the jobs themselves would."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, str] = {}
        self.lines: list[Line] = []

    def start(self, instance_id: int, token: Token) -> bool:
        has_won = super().start(instance_id, token)
        if has_won:
            self.lines.append(Line(self.names[instance_id], instance_id, 1))
        return has_won

    def record_exit(self, instance_id: int, ended: Exit, visible_at: float, usage: Usage, over: str | None) -> None:
        super().record_exit(instance_id, ended, visible_at, usage, over)
        self.lines.append(Line(self.names[instance_id], instance_id, 1, ended.code))


class TokenlessStore(LedgerStore):
    """Whoever comes starts, whatever was decided about the attempt."""

    def start(self, instance_id: int, token: Token) -> bool:
        with self.lock:
            self._records.pop(instance_id, None)
        return super().start(instance_id, token)


class LedgerExecutor(DummyExecutor):
    """The dummy with a ledger."""

    def __init__(self, clock: Clock, store: LedgerStore) -> None:
        super().__init__("dummy", clock, store)
        self.ledger = store

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        self.ledger.names.update({spec.instance_id: dict(spec.environment)["JOBMON_JOB_NAME"] for spec in specs})
        return super().submit(specs)


class NaiveExecutor(LedgerExecutor):
    """On an error submits again, as a new batch job: nobody knows that the first submission was accepted."""

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        try:
            return super().submit(specs)
        except ExecutorUnavailable:
            again = super().submit([replace(spec, name=f"{spec.name}-again") for spec in specs])
            return SubmitResult({name.removesuffix("-again"): name for name in again.accepted}, again.rejected)


@pytest.fixture(autouse=True)
def fresh_back_ends() -> Iterator[None]:
    back_ends.forget()
    yield
    back_ends.forget()


def make_workflow(command: str) -> tuple[Workflow, dict[str, list[str]]]:
    upstreams = {f"job_{n}": [f"job_{n - 10}"] if n >= 10 else [] for n in range(JOBS)}
    jobs: list[Any] = [job(name, *above, command=f"{command} said={name}") for name, above in upstreams.items()]
    return submit(jobs), upstreams


def drive(run: WorkflowRun, clock: Clock, disturb: Callable[[int], None]) -> None:
    """To the end, a second at a time; the pause after a failed submission is skipped."""
    for number in range(PASSES):
        disturb(number)
        WorkflowRun.objects.filter(pk=run.pk).update(backoff_until=None)
        tick.advance(run.pk)
        reconcile.reconcile("dummy")
        run.refresh_from_db()
        if run.status != "R":
            return
        clock.now += 1
    raise AssertionError(f"run {run.pk} is still {run.status}")


def judge(workflow: Workflow, upstreams: dict[str, list[str]], store: LedgerStore) -> list[Problem]:
    statuses = dict(Job.objects.filter(dag_id=workflow.dag_id).values_list("name", "status"))
    rows = JobInstance.objects.values_list("pk", "job__name", "status", "reason")
    return check(store.lines, upstreams, statuses, {pk: Recorded(*rest) for pk, *rest in rows})


def run_under(make: Callable[[Clock], LedgerExecutor], command: str, fault: str, every: int) -> list[Problem]:
    """The problems of a run in which `fault` of the dummy strikes once in so many passes, twice in a row."""
    clock = Clock()
    executor = make(clock)
    back_ends.use(executor)

    def disturb(number: int) -> None:
        if number % every == 0:
            setattr(executor.faults, fault, 2 if fault == "poll_is_empty" else 1)

    workflow, upstreams = make_workflow(command)
    run = start(workflow)
    drive(run, clock, disturb)
    run.refresh_from_db()
    assert run.status == "D"
    return judge(workflow, upstreams, executor.ledger)


def count(problems: Sequence[Problem]) -> dict[str, int]:
    kinds = [problem.kind for problem in problems]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def test_submitting_again_after_an_error_is_caught() -> None:
    found = count(run_under(lambda clock: NaiveExecutor(clock, TokenlessStore()), "runs=2", "accept_but_raise", 3))
    assert found["doubled"] >= 10
    assert found["started-twice"] >= 10


def test_our_protocol_passes_under_the_same_errors() -> None:
    assert run_under(lambda clock: LedgerExecutor(clock, LedgerStore()), "runs=2", "accept_but_raise", 3) == []


def test_starting_what_was_given_up_is_caught() -> None:
    found = count(run_under(lambda clock: LedgerExecutor(clock, TokenlessStore()), "waits=8", "poll_is_empty", 11))
    assert found["doubled"] >= 10
    assert found["void-started"] >= 10


def test_our_token_passes_under_the_same_lies() -> None:
    assert run_under(lambda clock: LedgerExecutor(clock, LedgerStore()), "waits=8", "poll_is_empty", 11) == []
