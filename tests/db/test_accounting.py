"""What accounting may change: the reason of a failure while its verdict waits, usage afterwards, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from executors.base import AttemptRef, ExecutorUnavailable, ExitInfo, Site, Usage
from executors.dummy import DummyExecutor
from tests.db.engine import attempts, drive, job, make_actor, start, submit
from workflows import lifecycle
from workflows.models import ExecutorState, Job, JobInstance, Workflow, WorkflowRun
from workflows.scheduling import accounting, back_ends, reconcile, retention, tick

pytestmark = pytest.mark.django_db
WAIT = 20.0


class Accounted(DummyExecutor):
    """A dummy with accounting: it tells what a test has written into its books, and counts the questions."""

    site = Site(memory_cap=2.5, runtime_cap=12, has_accounting=True, accounting_wait=WAIT)

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__("dummy", lambda: time.time() + self.ahead)
        self.books: dict[str, ExitInfo] = {}
        self.asked: list[int] = []
        self.is_closed = False

    def exit_info(self, refs: Sequence[AttemptRef]) -> dict[str, ExitInfo]:
        self.asked.append(len(refs))
        if self.is_closed:
            raise ExecutorUnavailable("the books are closed")
        return {ref.name: self.books[ref.name] for ref in refs if ref.name in self.books}


@pytest.fixture
def executor() -> Accounted:
    made = Accounted()
    back_ends.use(made)
    accounting.forget()
    return made


def begin(executor: Accounted, command: str, **values: object) -> tuple[Workflow, WorkflowRun, JobInstance]:
    """A run with one attempt that is in the books of nobody yet."""
    workflow = submit([job("a", command=command, **values)])
    run = start(workflow)
    tick.advance(run.pk)
    return workflow, run, JobInstance.objects.get()


def test_the_verdict_on_a_failure_waits_for_accounting(executor: Accounted) -> None:
    workflow, run, attempt = begin(executor, "exit=137 until=2")
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("B", "")], "nothing is known yet"
    executor.books[attempt.name] = ExitInfo(signal=9, over="memory")
    reconcile.reconcile("dummy")
    attempt.refresh_from_db()
    assert (attempt.reason, attempt.exit_code) == ("memory", 137)
    assert "Over memory: asked 2 GB" in attempt.evidence


def test_it_waits_no_longer_than_told(executor: Accounted) -> None:
    executor.ahead = -WAIT - 1
    workflow, _, _ = begin(executor, "exit=1", max_attempts=1)
    assert attempts(workflow, "a") == [("E", "exit")]


def test_neither_a_success_nor_a_killed_attempt_waits(executor: Accounted) -> None:
    workflow, _, _ = begin(executor, "ok")
    assert attempts(workflow, "a") == [("D", "")]
    other = submit([job("b", command="runs=100")], args="b")
    run = start(other)
    tick.advance(run.pk)
    lifecycle.ask_stop(run.pk, "kill", make_actor())
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    assert attempts(other, "b") == [("E", "killed")]


@pytest.mark.parametrize(("over", "column", "grown"), [("memory", "mem_free", 2.5), ("runtime", "max_runtime", 12)])
def test_a_retry_asks_for_more_but_not_for_more_than_there_is(
    executor: Accounted, over: str, column: str, grown: float
) -> None:
    _, _, attempt = begin(executor, "lost until=2", max_runtime=10)
    executor.books[attempt.name] = ExitInfo(exit_code=137, signal=9, over=over)
    reconcile.reconcile("dummy")
    assert getattr(Job.objects.get(), column) == grown


def test_what_accounting_says_was_ended_is_not_waited_for(executor: Accounted) -> None:
    executor.grace = 1000.0
    workflow, _, attempt = begin(executor, "lost")
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("B", "")]
    executor.books[attempt.name] = ExitInfo(exit_code=137, signal=9)
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a")[0] == ("E", "signal")


def test_a_code_alone_does_not_spare_the_grace(executor: Accounted) -> None:
    """The exit record may still be on its way."""
    executor.grace = 1000.0
    workflow, _, attempt = begin(executor, "lost")
    executor.books[attempt.name] = ExitInfo(exit_code=0)
    for _ in range(3):
        reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("B", "")]


def test_closed_books_do_not_keep_what_is_gone_alive(executor: Accounted) -> None:
    workflow, _, _ = begin(executor, "lost")
    executor.is_closed = True
    reconcile.reconcile("dummy")
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a")[0] == ("E", "lost")


def test_many_that_vanish_with_a_record_are_believed(executor: Accounted) -> None:
    """Forty jobs over their run time at the same moment are no lying listing."""
    run = start(submit([job(f"a{i}", command=f"lost runs=5 said={i}", max_attempts=1) for i in range(40)]))
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    executor.ahead = 10
    for name in JobInstance.objects.values_list("name", flat=True):
        executor.books[name] = ExitInfo(exit_code=137, signal=9, over="runtime")
    reconcile.reconcile("dummy")
    assert JobInstance.objects.filter(reason="runtime").count() == 40
    assert ExecutorState.objects.get(name="dummy").disbelief_until is None


def test_a_pending_attempt_that_is_killed_needs_no_grace(executor: Accounted) -> None:
    executor.grace = 1000.0
    workflow, run, _ = begin(executor, "waits=1000")
    lifecycle.ask_stop(run.pk, "kill", make_actor())
    tick.advance(run.pk)
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("E", "killed")]


def clear_usage(workflow: Workflow) -> None:
    JobInstance.objects.filter(job__dag_id=workflow.dag_id).update(maxvmem=None, io=None)


def test_usage_is_filled_in_once_for_all(executor: Accounted) -> None:
    workflow = submit([job(f"a{i}") for i in range(30)])
    assert drive(start(workflow)) == "D"
    clear_usage(workflow)
    accounting.forget()
    before = Workflow.objects.get(pk=workflow.pk).change_no
    names = list(JobInstance.objects.order_by("pk").values_list("name", flat=True))
    executor.books = {name: ExitInfo(usage=Usage(wallclock=99.0, maxvmem=7, io=8)) for name in names[:20]}
    executor.asked.clear()
    assert accounting.fill_usage(executor) == 20
    assert JobInstance.objects.filter(maxvmem=7, io=8).exclude(wallclock=99.0).count() == 20, "what was measured stands"
    assert Workflow.objects.get(pk=workflow.pk).change_no == before + 1
    executor.books |= {name: ExitInfo(usage=Usage(maxvmem=7)) for name in names[20:]}
    assert accounting.fill_usage(executor) == 10
    assert executor.asked == [30, 10]
    assert accounting.fill_usage(executor) == 0
    assert executor.asked == [30, 10], "nothing is lacking, nobody is asked"


def test_old_attempts_are_given_up(executor: Accounted) -> None:
    workflow = submit([job("a")])
    assert drive(start(workflow)) == "D"
    clear_usage(workflow)
    accounting.forget()
    JobInstance.objects.update(ended_at=timezone.now() - accounting.USAGE_WAIT - timedelta(seconds=1))
    executor.asked.clear()
    assert accounting.fill_usage(executor) == 0
    assert executor.asked == []


def test_an_executor_without_accounting_is_not_asked(executor: Accounted) -> None:
    executor.site = replace(executor.site, has_accounting=False, accounting_wait=0.0)
    workflow, _, _ = begin(executor, "exit=1", max_attempts=1)
    reconcile.reconcile("dummy")
    assert attempts(workflow, "a") == [("E", "exit")]
    assert executor.asked == []


def test_the_number_of_live_attempts_is_the_executors(executor: Accounted) -> None:
    executor.site = replace(executor.site, max_live=3)
    run = start(submit([job(f"a{i}", command=f"runs=100 said={i}") for i in range(9)]))
    tick.advance(run.pk)
    assert JobInstance.objects.count() == 3


def test_an_executor_with_wrong_settings_does_not_silence_the_others(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EXECUTORS = ["dummy", "sge"]
    monkeypatch.setenv("JOBMON_SGE_ARRAY_SIZE", "many")
    assert back_ends.stores() == [back_ends.get("dummy").store]
    assert drive(start(submit([job("a")]))) == "D"
    workflow = submit([job("b", executor="sge")], args="b")
    assert drive(start(workflow)) == "E"
    assert attempts(workflow, "b") == [("E", "refused")]
    assert "ARRAY_SIZE: 'many'" in JobInstance.objects.get(job__name="b").evidence


def make_batch(folder: Path, name: str, days: float) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "tasks").write_text("/a\n/b\n")
    then = time.time() - days * 86400
    os.utime(folder / name, (then, then))


def test_old_folders_of_batches_are_removed_and_nothing_else(executor: Accounted, tmp_path: Path) -> None:
    run = start(submit([job(f"a{i}", command=f"runs=100 said={i}") for i in range(4)]))
    tick.advance(run.pk)
    live, ended, *_ = JobInstance.objects.order_by("pk")
    past = timezone.now() - timedelta(days=3)
    JobInstance.objects.filter(pk=ended.pk).update(status="D", ended_at=past, batch=f"jm1-b{ended.pk}")
    JobInstance.objects.filter(pk=live.pk).update(batch=f"jm1-b{live.pk}")
    for number in (live.pk, ended.pk, 999999):
        make_batch(tmp_path, f"jm1-b{number}", 2.0)
    make_batch(tmp_path, "jm1-b999998", 0.5)
    make_batch(tmp_path, "somebody-elses", 9.0)
    (tmp_path / "jm1-b7").symlink_to(tmp_path / "somebody-elses")
    assert retention.remove_old_batches(tmp_path) == 2
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"jm1-b{live.pk}", "jm1-b999998", "somebody-elses", "jm1-b7"}
    assert (tmp_path / "somebody-elses" / "tasks").exists()


def test_no_folder_at_all(tmp_path: Path) -> None:
    assert retention.remove_old_batches(tmp_path / "batches") == 0
