"""Eight threads report, stop, resume and sweep the same workflows: no deadlock, no transaction that had to run again, and
every invariant holds. One lock order is what makes it so."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db import connection, connections
from django.utils import timezone

from tests.db.engine import drive, job, make_actor, start, submit
from workflows import binding, invariants, lifecycle, transactions
from workflows.bulk import allocate_ids
from workflows.estimate import Estimate
from workflows.graph import Header, JobInput, build_graph
from workflows.lifecycle import Refused
from workflows.models import JobInstance, RunForecast, RunStall, RunUsage, SystemState, Workflow, WorkflowRun
from workflows.scheduling import forecast, housekeeping, reconcile, stalls, stored_facts, tick, usage_facts
from workflows.scheduling.set_clock import take_back_future

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(os.environ.get("JOBMON_TEST_DATABASE") != "mariadb", reason="deadlocks are MariaDB's"),
]
COMMANDS = ("ok", "exit=3", "exit=1 until=2", "lost until=2", "refused", "runs=0.05", "runs=0.2", "waits=0.05")
WORKFLOWS, JOBS = 3, 40


def make_jobs(name: str) -> list[JobInput]:
    """Each waits for up to two of those before it."""
    rng = random.Random(name)
    names = [f"{name}{number}" for number in range(JOBS)]
    return [
        job(one, *sorted(set(rng.choices(names[:number], k=2))) if number else (), max_attempts=2,
            tag=rng.choice("xyz"), command=f"{rng.choice(COMMANDS)} said={one}")
        for number, one in enumerate(names)
    ]  # fmt: skip


def count_deadlocks() -> int:
    """Of the whole server."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        return int(cursor.fetchone()[1])


def describe_deadlock() -> str:
    """The last one, in InnoDB's words."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW ENGINE INNODB STATUS")
        text = str(cursor.fetchone()[2])
    return text.partition("LATEST DETECTED DEADLOCK")[2].partition("\nTRANSACTIONS\n")[0]


def latest_run(workflow: Workflow) -> int:
    return WorkflowRun.objects.filter(workflow=workflow).order_by("-pk").values_list("pk", flat=True)[0]


def make_acts(workflows: list[Workflow]) -> list[Callable[[random.Random], object]]:
    """What each of the eight does, again and again."""
    actor = make_actor()

    def advance(rng: random.Random) -> object:
        return tick.advance(latest_run(rng.choice(workflows)))

    def poll(rng: random.Random) -> object:
        return reconcile.reconcile("dummy")

    def stop(rng: random.Random) -> object:
        return lifecycle.ask_stop(latest_run(rng.choice(workflows)), rng.choice(("drain", "kill")), actor)

    def resume(rng: random.Random) -> object:
        return start(rng.choice(workflows), actor, resume=rng.choice(("cold", "hot")))

    def sweep(rng: random.Random) -> object:
        take_back_future()
        stored_facts.refresh_facts()
        return housekeeping.sweep()

    def post_again(rng: random.Random) -> object:
        name = rng.choice("abc")
        return binding.bind(build_graph(Header(workflow_args=name, executor="dummy"), make_jobs(name)), actor)

    return [advance, advance, advance, poll, stop, resume, sweep, post_again]


def act_together(acts: list[Callable[[random.Random], object]], times: int) -> list[BaseException]:
    errors: list[BaseException] = []
    gate = threading.Barrier(len(acts))

    def repeat(number: int, act: Callable[[random.Random], object]) -> None:
        rng = random.Random(number)
        try:
            gate.wait(60)
            for _ in range(times):
                with suppress(Refused):
                    act(rng)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=repeat, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def run_together(times: int) -> None:
    names = "abc"[:WORKFLOWS]
    workflows = [submit(make_jobs(name), args=name) for name in names]
    for workflow in workflows:
        start(workflow)
    retries, deadlocks = transactions.retries_counted, count_deadlocks()
    errors = act_together(make_acts(workflows), times)
    assert errors == []
    assert transactions.retries_counted == retries, describe_deadlock()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        assert count_deadlocks() == deadlocks
    assert invariants.check_all() == []
    bring_to_an_end(workflows)


def test_the_first_ids_of_all_are_taken_by_eight_at_once() -> None:
    """As when several people submit to a server that is new: the row that counts is not there yet."""
    gate, own, taken = threading.Barrier(8), threading.local(), list[tuple[int, int]]()

    @transactions.write_transaction
    def take_five(number: int) -> int:
        return allocate_ids(f"sequence {number}", 5)

    def take(rng: random.Random) -> None:
        own.number = getattr(own, "number", 0) + 1
        gate.wait(60)
        taken.append((own.number, take_five(own.number)))

    retries, deadlocks = transactions.retries_counted, count_deadlocks()
    assert act_together([take] * 8, times=20) == []
    assert sorted(taken) == [(number, 1 + 5 * turn) for number in range(1, 21) for turn in range(8)]
    assert transactions.retries_counted == retries, describe_deadlock()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        assert count_deadlocks() == deadlocks, describe_deadlock()


def test_sweeps_at_once_store_each_fact_once() -> None:
    """As when the clock was set, or one sweep takes longer than the pause before the next."""
    run = start(submit(make_jobs("a")))
    moment = timezone.now()
    gate = threading.Barrier(4, action=lambda: (RunStall.objects.all().delete(), RunForecast.objects.all().delete(),
                                                SystemState.objects.filter(name="sweep").delete()))  # fmt: skip

    def sweep(rng: random.Random) -> None:
        gate.wait(60)
        stalls._note(run.pk, stalls.Cause("held", "On hold"), moment, moment)
        forecast._store(run.pk, Estimate(None, None, "", "Not known"), moment)
        usage_facts.sum_up(run, moment)
        stored_facts.note_sweep()

    retries = transactions.retries_counted
    assert act_together([sweep] * 4, times=10) == []
    assert transactions.retries_counted == retries, describe_deadlock()
    assert RunStall.objects.count() == RunForecast.objects.count() == 1
    assert RunUsage.objects.filter(run=run, group=None).count() == 1


def bring_to_an_end(workflows: list[Workflow]) -> None:
    for workflow in workflows:
        with suppress(Refused):
            start(workflow, resume="hot")
        run = WorkflowRun.objects.filter(workflow=workflow).order_by("-pk")[0]
        assert drive(run, 2000) != "R"
    assert not JobInstance.objects.filter(live_job_id__isnull=False).exists()
    assert invariants.check_all() == []


@pytest.mark.timeout(280)
def test_eight_threads_do_not_get_in_each_others_way() -> None:
    run_together(times=25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_threads_for_long() -> None:
    run_together(times=1000)
