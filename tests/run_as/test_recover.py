"""A database that was restored from a backup, where jobs ran as their owner on a real Grid Engine: what ran since is read
through the helper, what is over is not run again, and what still runs goes on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import call_command

from executors.run_as_router import RunAsExecutor
from tests.db.engine import job, start, submit
from tests.ops.test_recover import lose
from tests.run_as.grid import drive, is_over, person
from tests.run_as.people import People, uid_of
from tests.waiting import wait_until
from workflows.models import Job, JobInstance, RunAccount, WorkflowRun
from workflows.scheduling import epoch, tick
from workflows.scheduling.recovery import recover

pytestmark = [pytest.mark.django_db, pytest.mark.sge]


def statuses(run: WorkflowRun) -> dict[str, str]:
    return dict(Job.objects.filter(dag=run.workflow.dag).values_list("name", "status"))


def starts(ledger: Path) -> list[str]:
    return sorted(ledger.read_text().split()) if ledger.exists() else []


def make_run(people: People, ledger: Path, gate: Path) -> WorkflowRun:
    """A quick job, one that fails, one that waits for the gate, and one behind it; each writes down that it starts."""
    note = "echo {0} >>" + str(ledger)
    jobs = [
        job("quick", command=note.format("quick")),
        job("bad", command=f"{note.format('bad')}; exit 3", max_attempts=1),
        job("long", command=f"{note.format('long')}; until [ -e {gate} ]; do sleep 0.2; done"),
        job("last", "long", "quick", command=note.format("last")),
    ]
    actor = person("anna", people.alice)
    return start(submit(jobs, actor, executor="sge"), actor)


def test_owners_attempts_are_found_again_and_nothing_runs_twice(people: People, server: RunAsExecutor) -> None:
    home = people.folder / people.alice
    ledger, gate = home / "ledger", home / "gate"
    for left in (ledger, gate):
        left.unlink(missing_ok=True)
    run = make_run(people, ledger, gate)
    for _ in range(epoch.LAG + 1):
        epoch.move_on()

    def run_on() -> None:
        tick.advance(run.pk)
        began = {"quick": "D", "bad": "F", "long": "R"}
        drive(run, lambda: began.items() <= statuses(run).items(), "two are over, one runs")

    lose(run_on)
    assert set(statuses(run).values()) == {"G"}
    assert not JobInstance.objects.exists()
    assert not epoch.may_start()
    wait_until(lambda: starts(ledger) == ["bad", "long", "quick"], 60, "their own words")
    tick.advance(run.pk)
    assert not JobInstance.objects.exists(), "nothing starts before it is known what ran"

    out = io.StringIO()
    call_command("recover", stdout=out)
    assert "3 attempts since the backup were taken up: 2 are over, 1 go on." in out.getvalue()
    assert statuses(run) == {"quick": "D", "bad": "F", "long": "I", "last": "G"}, "the reconciler adopts what goes on"
    assert RunAccount.objects.get(pk=run.pk).account == people.alice
    assert recover().taken_up == 0

    gate.touch()
    drive(run, lambda: is_over(run), "the end")
    assert statuses(run) == {"quick": "D", "bad": "F", "long": "D", "last": "D"}
    assert starts(ledger) == ["bad", "last", "long", "quick"]
    assert ledger.stat().st_uid == uid_of(people.alice)
