"""A restored database on a server that runs jobs as their owners: the attempts' records are the owners' alone to read, so
the run gets its account back before anything is judged; where that cannot be, the run is held and it is said plainly."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.db.engine import attempts, job, make_actor, start, statuses, submit
from tests.ops.test_recover import lose, sweep
from workflows.models import JobInstance, RunAccount, UnixAccount, Workflow, WorkflowRun
from workflows.queries.accounts import DatabaseOwners
from workflows.scheduling import back_ends, epoch, intents, tick
from workflows.scheduling.recovery import recover
from workflows.unix_accounts import set_account

pytestmark = pytest.mark.django_db
ONE, OTHER = "daemon", "nobody"  # every machine has them


@pytest.fixture(autouse=True)
def spool(settings, tmp_path: Path) -> Iterator[Path]:
    settings.SPOOL, settings.RUN_AS, settings.EXECUTORS = tmp_path / "spool", "owner", ["dummy"]
    back_ends.forget()  # ids begin anew with each test; the executor must not remember those of the test before
    epoch.forget()
    yield settings.SPOOL
    back_ends.forget()
    epoch.forget()


def make_workflow(account: str = ONE) -> Workflow:
    actor = make_actor()
    set_account(actor.user, account, actor)
    return submit([job("a", command="runs=1000")], actor)


def start_attempt(workflow: Workflow) -> Callable[[], None]:
    def go_on() -> None:
        live = WorkflowRun.objects.filter(workflow=workflow, status="R").first()
        tick.tick((live or start(workflow)).pk)

    return go_on


def account_of(instance_id: int) -> str | None:
    return DatabaseOwners().accounts_of([instance_id]).get(instance_id)


def test_the_journal_knows_the_account_only_where_there_is_one(settings, spool: Path) -> None:
    start_attempt(make_workflow())()
    settings.RUN_AS = "self"
    start_attempt(submit([job("b", command="runs=1000")], args="own"))()
    [file] = (spool / "intents").iterdir()
    assert [entry.account for entry in intents.read_journal()] == [ONE, ""]
    assert ['"account"' in line for line in file.read_text().splitlines()] == [True, False]


def test_a_run_that_is_opened_anew_gets_the_account_of_its_attempts() -> None:
    workflow = make_workflow()
    sweep()
    lose(start_attempt(workflow))
    report = recover()
    assert (report.taken_up, report.live, report.problems) == (1, 1, [])
    [pk] = JobInstance.objects.values_list("pk", flat=True)
    assert account_of(pk) == ONE
    assert attempts(workflow, "a") == [("I", "")]
    assert recover().taken_up == 0


def test_a_run_that_the_backup_has_keeps_its_account() -> None:
    workflow = make_workflow()
    run = start(workflow)
    RunAccount.objects.create(run=run, account=ONE)
    sweep()
    lose(start_attempt(workflow))
    assert (recover().taken_up, RunAccount.objects.get().account) == (1, ONE)
    run.refresh_from_db()
    assert run.hold_reason == ""


def test_a_run_that_belongs_to_another_account_now_is_held_and_named() -> None:
    workflow = make_workflow()
    run = start(workflow)
    sweep()
    lose(start_attempt(workflow))
    RunAccount.objects.create(run=run, account=OTHER)
    UnixAccount.objects.update(account=OTHER)
    out = io.StringIO()
    call_command("recover", stdout=out)
    assert f"they ran as {ONE}, the run belongs to {OTHER}; it is held" in out.getvalue()
    run.refresh_from_db()
    assert "out of reach" in run.hold_reason
    epoch.forget()
    tick.tick(run.pk)
    assert statuses(workflow) == {"a": "G"}, "what may still run as somebody is not run again"


def test_a_server_that_does_not_run_jobs_as_their_owners_any_more_says_so(settings) -> None:
    workflow = make_workflow()
    run = start(workflow)
    sweep()
    lose(start_attempt(workflow))
    settings.RUN_AS = "service"
    report = recover()
    assert "JOBMON_RUN_AS is not `owner` now; it is held" in report.problems[0]
    run.refresh_from_db()
    assert run.hold_reason


def test_owners_jobs_of_lost_workflows_are_named_and_not_said_to_be_ended() -> None:
    sweep()
    lose(lambda: start_attempt(make_workflow())())
    out = io.StringIO()
    call_command("recover", "--cancel-unknown", stdout=out)
    assert "(job a, dummy)" in out.getvalue()
    assert f"jobs of {ONE}, of workflows that this database does not have, were not looked at" in out.getvalue()
    assert "were asked to end" not in out.getvalue()
    assert back_ends.get("dummy").poll(), "it goes on"
