"""A real Grid Engine that runs jobs as their owners, and the engine of this process in front of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from executors.run_as_router import RunAsExecutor
from executors.run_as_store import RoutedStore
from executors.sge import SgeExecutor
from executors.spool import Spool
from tests.db.engine import job, make_actor, start, submit
from tests.executors.cluster import SgeCluster
from tests.run_as.people import People
from tests.waiting import wait_until
from workflows.actor import Actor
from workflows.models import JobInstance, WorkflowRun
from workflows.queries.accounts import DatabaseOwners
from workflows.scheduling import back_ends, epoch, reconcile, tick
from workflows.unix_accounts import set_account


@pytest.fixture
def server(people: People, sge_cluster: SgeCluster, settings: Any, monkeypatch: Any) -> Iterator[RunAsExecutor]:
    """The engine of this process, with jobs as their owners; what it has done in others' names, the service does."""
    settings.DEPLOYMENT = secrets.token_hex(3)  # ids begin anew with each test, names must not
    sge_cluster.empty()
    epoch.forget()
    systems = {"kind": "sge", "bin": str(sge_cluster.binaries), "options": []}
    config = sge_cluster.config(people.spool, name="sge", poll_interval=0.2, grace=3.0, accounting_wait=0.0)
    people.configure({"sge": {**systems, "environment": config.environment}})
    spool = Spool(people.spool)
    store = RoutedStore(spool, DatabaseOwners(), people.run_as)
    base = replace(config, user=people.service, command_prefix=(), name_prefix=f"jm{settings.DEPLOYMENT}-")
    executor = RunAsExecutor(SgeExecutor(base, spool), people.run_as, DatabaseOwners(), store)
    settings.RUN_AS, settings.EXECUTORS, settings.SPOOL = "owner", ["sge"], people.spool
    settings.RUN_AS_HELPER = people.helper
    back_ends.forget()
    back_ends.use(executor)
    monkeypatch.setattr(back_ends, "run_as", lambda: people.run_as)
    yield executor
    for account, names in DatabaseOwners().live_accounts("sge").items():
        executor.twin(account).cancel([ref_of(pk) for pk in names.values()])
    back_ends._made.clear()


def ref_of(pk: int) -> Any:
    row = JobInstance.objects.get(pk=pk)
    return reconcile.AttemptRef(row.pk, row.name, row.executor_id, 0.0)


def person(name: str, account: str) -> Actor:
    actor = make_actor(name)
    if account:
        set_account(actor.user, account, actor)
    return actor


def drive(run: WorkflowRun, until: Callable[[], Any], what: str) -> None:
    def step() -> Any:
        tick.advance(run.pk)
        reconcile.reconcile("sge")
        return until()

    wait_until(step, 150, what, 0.1)


def is_over(run: WorkflowRun) -> bool:
    run.refresh_from_db()
    return run.status != "R"


def run_one(actor: Actor, command: str, **header: Any) -> JobInstance:
    """A workflow of one job, run to its end."""
    workflow = submit([job("one", command=command, max_attempts=1)], actor, args=command, executor="sge", **header)
    run = start(workflow, actor)
    drive(run, lambda: is_over(run), f"the end of {command}")
    found = JobInstance.objects.filter(workflow_run=run).order_by("-pk").first()
    assert found is not None
    return found
