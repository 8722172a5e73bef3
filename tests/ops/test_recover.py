"""A database that was restored from a backup: nothing starts before `recover`, which finds all that ran since."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction

from executors.spool import local_prefix
from tests.db.engine import attempts, job, make_actor, start, statuses, submit
from workflows import lifecycle
from workflows.models import AuditEntry, DatabaseEpoch, JobInstance, Workflow, WorkflowRun
from workflows.scheduling import back_ends, epoch, intents, tick
from workflows.scheduling.collect import collect
from workflows.scheduling.recovery import highest_in_spool, number_of, recover

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def spool(settings, tmp_path: Path) -> Iterator[Path]:
    settings.SPOOL = tmp_path / "spool"
    settings.SHEPHERD_DIR = tmp_path / "nobody"
    back_ends.forget()
    epoch.forget()
    yield settings.SPOOL
    back_ends.forget()
    epoch.forget()


def sweep(times: int = epoch.LAG + 1) -> None:
    for _ in range(times):
        epoch.move_on()


def make_run(*names: str, **header: object) -> WorkflowRun:
    """Of jobs in a row, on this machine; no shepherd is there to start them."""
    jobs = [job(name, *([names[number - 1]] if number else []), max_attempts=3) for number, name in enumerate(names)]
    return start(submit(jobs, executor="local", **header))


def write_token(spool: Path, pk: int, code: int | None = None, word: str = "start") -> None:
    path = Path(f"{local_prefix(spool, pk)}.token")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"{word} n0nce host" + (f" 123 456 {time.time():.0f}\n" if word == "start" else "\n")
    path.write_text(text + (f"0m0.010s 0m0.020s\n0m0.010s 0m0.020s\nexit {code}\n" if code is not None else ""))


def make_attempt(run: WorkflowRun, spool: Path, code: int | None = None, word: str = "start") -> int:
    """The run starts what may start; that attempt runs, or has ended with this code. Its id."""
    WorkflowRun.objects.filter(pk=run.pk).update(backoff_until=None, submit_failures=0)
    before = set(JobInstance.objects.values_list("pk", flat=True))
    tick.tick(run.pk)
    [pk] = set(JobInstance.objects.values_list("pk", flat=True)) - before
    write_token(spool, pk, code, word)
    if code is not None:
        (spool / "local" / "ended").mkdir(parents=True, exist_ok=True)
        (spool / "local" / "ended" / f"{run.pk}.{pk}").touch()
        collect(run.pk)
    return pk


def lose(what: Callable[[], None]) -> None:
    """Do it, and restore the database of before; the spool keeps its files."""
    point = transaction.savepoint()
    what()
    sweep()
    transaction.savepoint_rollback(point)
    epoch.forget()


def test_nothing_starts_in_a_restored_database(spool: Path) -> None:
    run = make_run("a")
    sweep()
    lose(lambda: None)
    assert epoch.is_behind()
    tick.tick(run.pk)
    assert statuses(run.workflow) == {"a": "G"}
    before = epoch.read_spool()
    epoch.move_on()
    assert epoch.read_spool() == before
    call_command("recover", stdout=io.StringIO())
    epoch.forget()
    tick.tick(run.pk)
    assert statuses(run.workflow) == {"a": "I"}


def test_another_database_on_the_same_spool_is_refused(spool: Path) -> None:
    sweep()
    DatabaseEpoch.objects.update(identity="another")
    assert epoch.is_behind()
    DatabaseEpoch.objects.all().delete()
    assert epoch.is_behind()


def test_a_spool_without_memory_is_not_ahead(spool: Path) -> None:
    sweep()
    (spool / "epoch").unlink()
    assert not epoch.is_behind()
    sweep(1)
    assert not epoch.is_behind()
    (spool / "epoch").write_text("nonsense")
    assert not epoch.is_behind()


def test_what_ended_since_the_backup_is_done_and_not_run_again(spool: Path) -> None:
    run = make_run("a", "b", "c")
    sweep()

    def go_on() -> None:
        make_attempt(run, spool, 0)
        make_attempt(run, spool, 1)
        make_attempt(run, spool, 0)
        make_attempt(run, spool)

    lose(go_on)
    assert statuses(run.workflow) == {"a": "G", "b": "G", "c": "G"}
    report = recover()
    assert (report.taken_up, report.ended, report.live) == (4, 3, 1)
    assert statuses(run.workflow) == {"a": "D", "b": "D", "c": "I"}
    assert attempts(run.workflow, "b") == [("E", "exit"), ("D", "")]
    assert report.foreign == report.problems == report.left_alone == report.opened_runs == []
    again = recover()
    assert (again.taken_up, again.ended) == (0, 0)
    epoch.catch_up()
    tick.tick(run.pk)
    assert JobInstance.objects.count() == 4
    last = JobInstance.objects.latest("pk").pk
    write_token(spool, last, 0)
    recover()
    assert tick.tick(run.pk).outcome == "D"


def test_ids_are_not_given_twice(spool: Path) -> None:
    run = make_run("a", "b")
    sweep()
    used: list[int] = []
    lose(lambda: used.append(make_attempt(run, spool, 0)))
    for path in (spool / "intents").iterdir():
        path.unlink()
    recover()
    epoch.catch_up()
    epoch.forget()
    assert make_attempt(run, spool) == used[0] + 1
    assert highest_in_spool(spool) == used[0] + 1


def test_an_older_attempt_that_was_lost_makes_way(spool: Path) -> None:
    run = make_run("a")
    older = make_attempt(run, spool)
    sweep()

    def go_on() -> None:
        ending = lifecycle.Ending(older, lifecycle.endings.Reason.LOST, "gone", description="gone")
        lifecycle.record_ended(run.pk, [ending])
        make_attempt(run, spool)

    lose(go_on)
    assert attempts(run.workflow, "a") == [("I", "")]
    report = recover()
    assert (report.taken_up, report.live) == (1, 1)
    assert attempts(run.workflow, "a") == [("E", "lost"), ("I", "")]


def test_what_never_started_never_will(spool: Path) -> None:
    run = make_run("a")
    sweep()
    lose(lambda: (make_attempt(run, spool, word="void"), None)[1])
    recover()
    assert attempts(run.workflow, "a") == [("E", "void")]
    assert statuses(run.workflow) == {"a": "Q"}


def test_a_run_that_was_opened_since_is_opened_again_on_hold(spool: Path) -> None:
    workflow = submit([job("a"), job("b")], executor="local")
    sweep()

    def go_on() -> None:
        run = start(workflow)
        lifecycle.set_limits(workflow.pk, make_actor(), 1, {})
        make_attempt(run, spool, 0)

    lose(go_on)
    report = recover()
    [run_id] = report.opened_runs
    run = WorkflowRun.objects.get(pk=run_id)
    assert "restored from a backup" in run.hold_reason
    assert statuses(workflow) == {"a": "D", "b": "G"}
    epoch.catch_up()
    epoch.forget()
    tick.tick(run_id)
    assert statuses(workflow) == {"a": "D", "b": "G"}


def test_workflows_that_the_backup_does_not_have_are_named(spool: Path) -> None:
    sweep()
    lose(lambda: (make_attempt(make_run("late"), spool), None)[1])
    out = io.StringIO()
    call_command("recover", stdout=out)
    assert "1 attempts of workflows that this database does not have" in out.getvalue()
    assert "(job late, local)" in out.getvalue()
    assert Workflow.objects.count() == 0
    assert AuditEntry.objects.get().action == "recover"
    assert not epoch.is_behind()


def test_all_runs_may_be_held(spool: Path) -> None:
    run = make_run("a")
    sweep()
    lose(lambda: None)
    out = io.StringIO()
    call_command("recover", "--hold", stdout=out)
    run.refresh_from_db()
    assert "Held after a restore" in run.hold_reason
    assert "1 live runs are on hold" in out.getvalue()


def test_there_is_nothing_to_recover_in_a_database_that_is_new_enough(spool: Path) -> None:
    sweep()
    out = io.StringIO()
    call_command("recover", stdout=out)
    assert "nothing to recover" in out.getvalue()


def test_an_intent_that_the_spool_does_not_take_is_not_submitted(spool: Path) -> None:
    run = make_run("a")
    spool.mkdir(exist_ok=True)
    (spool / "intents").write_text("in the way")
    tick.tick(run.pk)
    run.refresh_from_db()
    assert run.submit_failures == 1
    assert JobInstance.objects.get().status == "I"


def test_the_journal_survives_a_torn_line(spool: Path) -> None:
    run = make_run("a")
    tick.tick(run.pk)
    [file] = (spool / "intents").iterdir()
    with file.open("a") as stream:
        stream.write('{"id": 7, "na')
    [entry] = intents.read_journal()
    assert (entry.job, entry.executor, entry.workflow) == ("a", "local", run.workflow.workflow_hash)


def test_names_of_this_deployment() -> None:
    assert number_of("jm1-17") == 17
    assert number_of("jm1-b17") == number_of("jm1-b17.3") == 17
    assert number_of("jm2-17") == number_of("other") == number_of("jm1-x") == 0
