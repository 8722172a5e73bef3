"""A dummy executor that tells the reference model what really happens, and what the product has written down of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from django.utils import timezone

from executors.base import AttemptRef, Exit, JobSpec, Listed, SubmitResult, Token, Usage
from executors.dummy import DummyExecutor
from executors.dummy_store import MemoryStore
from tests.reference.model import Model, demand, difference
from workflows.models import Job, JobInstance, JobInstanceStatusLog, WorkflowRun


class WatchedStore(MemoryStore):
    """Knows which of its attempts are being cancelled."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.cancelling: frozenset[int] = frozenset()

    def start(self, instance_id: int, token: Token) -> bool:
        has_won = super().start(instance_id, token)
        if has_won:
            self.model.begin(instance_id)
        return has_won

    def record_exit(self, instance_id: int, ended: Exit, visible_at: float, usage: Usage, over: str | None) -> None:
        super().record_exit(instance_id, ended, visible_at, usage, over)
        is_cancelled = instance_id in self.cancelling and over is None
        self.model.finish(instance_id, ended.code, visible_at, is_cancelled)


class WatchedDummy(DummyExecutor):
    """`look` brings the model up to date with the database; it is called before anything is submitted."""

    def __init__(self, clock: Callable[[], float], model: Model, look: Callable[[], None]) -> None:
        self.model, self._look, self.watched = model, look, WatchedStore(model)
        super().__init__("dummy", clock, self.watched)

    def submit(self, specs: Sequence[JobSpec]) -> SubmitResult:
        self._look()
        for spec in specs:
            self.model.hand_over(spec.instance_id, dict(spec.environment)["JOBMON_JOB_NAME"])
        return super().submit(specs)

    def poll(self) -> dict[str, Listed]:
        listing = super().poll()
        self.model.list(frozenset(map(_number, listing)))
        return listing

    def cancel(self, refs: Sequence[AttemptRef]) -> None:
        for ref in refs:
            self.model.cancel(ref.instance_id)
        self.advance()
        self.watched.cancelling = frozenset(ref.instance_id for ref in refs)
        try:
            super().cancel(refs)
        finally:
            self.watched.cancelling = frozenset()

    def lose_node(self) -> None:
        """What runs is gone without a word."""
        for name in [name for name, attempt in self._live.items() if attempt.is_running]:
            self.model.lose(self._live.pop(name).spec.instance_id)

    def forget_waiting(self) -> None:
        """A restart: what has not started is forgotten."""
        for name in [name for name, attempt in self._live.items() if not attempt.is_running]:
            del self._live[name]


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


class Follower:
    """Plays what the product has written down since the last look to the model, in its order, and compares."""

    def __init__(self, model: Model) -> None:
        self.model = model
        newest = JobInstanceStatusLog.objects.order_by("-pk").values_list("pk", flat=True).first()
        self._last = newest or 0

    def look(self) -> None:
        self._play_moves()
        self._play_end()
        found = {
            name: (status, used) for name, status, used in Job.objects.values_list("name", "status", "num_attempts")
        }
        wrong = difference(self.model.states(), found)
        demand(not wrong, f"(status, attempts used) of jobs; has to be, is: {wrong}")

    def _play_moves(self) -> None:
        moves = JobInstanceStatusLog.objects.filter(pk__gt=self._last).order_by("pk")
        rows = list(moves.values_list("pk", "job_instance_id", "status"))
        columns = ("pk", "job__name", "attempt", "reason")
        facts = {pk: tuple(rest) for pk, *rest in JobInstance.objects.values_list(*columns)} if rows else {}
        for pk, number, letter in rows:
            self._last = pk
            name, ordinal, reason = facts[number]
            if letter == "I":
                self.model.intend(number, name, ordinal)
            elif letter == "R":
                self.model.see_running(number)
            elif letter in "DE":
                self.model.end(number, "ok" if letter == "D" else reason)

    def _play_end(self) -> None:
        """Of the latest run: that it is over, and a hold that the engine has put it under by itself."""
        run = WorkflowRun.objects.select_related("workflow").order_by("-pk").first()
        if run is None:
            return
        if self.model.run == "R" and run.status != "R":
            self.model.close(run.status)
        demand(run.status == self.model.run, f"run {run.pk} has to be {self.model.run} and is {run.status}")
        demand(
            run.workflow.status == self.model.workflow,
            f"the workflow has to be {self.model.workflow} and is {run.workflow.status}",
        )
        if run.hold_reason.startswith("Submission failed"):
            self.model.is_held = True


def hold_pauses() -> None:
    """A pause after a failure is over when the test's clock says so, not the machine's: the same happens each time."""
    backing_off = WorkflowRun.objects.exclude(backoff_until=None)
    backing_off.update(backoff_until=timezone.now() + timedelta(days=1))
