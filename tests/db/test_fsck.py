"""fsck names every violation that is planted, and finds nothing in what the engine leaves behind."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests.db.engine import drive, job, make_actor, start, submit
from workflows import invariants
from workflows.models import (
    Job,
    JobGroup,
    JobInstance,
    JobInstanceStatusLog,
    TaskDag,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling import reconcile, tick

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_spool(settings: Any, tmp_path: Path) -> Path:
    """Other tests leave files in that of the suite."""
    settings.SPOOL = tmp_path / "spool"
    return settings.SPOOL


def broken() -> dict[str, list[str]]:
    return {finding.invariant.name: [item.subject for item in finding.violations] for finding in invariants.check_all()}


@pytest.fixture
def unchecked(db: None) -> Iterator[None]:
    """Rows that the database's own CHECKs would refuse may be planted."""
    on, off = (
        ("PRAGMA ignore_check_constraints = 0", "PRAGMA ignore_check_constraints = 1")
        if connection.vendor == "sqlite"
        else ("SET check_constraint_checks = 1", "SET check_constraint_checks = 0")
    )
    with connection.cursor() as cursor:
        cursor.execute(off)
        yield
        cursor.execute(on)


def a_mixed_workflow() -> Workflow:
    """One job done, one failed, one waiting, one running, in a live run."""
    jobs = [job("done", tag="x"), job("failed", command="exit=1", max_attempts=2, tag="x")]
    jobs += [job("waiting", "failed", tag="y"), job("running", "done", command="runs=1000", tag="y")]
    workflow = submit(jobs)
    run = start(workflow)
    for _ in range(6):
        tick.advance(run.pk)
        reconcile.reconcile("dummy")
    return workflow


def test_an_empty_database_is_sound() -> None:
    assert broken() == {}


def test_the_engine_leaves_nothing_behind() -> None:
    a_mixed_workflow()
    other = submit([job("a"), job("b", "a", command="exit=1 until=4"), job("c", "b", command="refused")], args="other")
    assert drive(start(other)) == "E"
    assert drive(start(other)) == "E"
    assert broken() == {}


def job_of(name: str) -> Job:
    return Job.objects.get(name=name)


def attempt_of(name: str) -> JobInstance:
    found = JobInstance.objects.filter(job__name=name).order_by("-pk").first()
    assert found is not None
    return found


def update_job(name: str, **values: object) -> None:
    Job.objects.filter(name=name).update(**values)


def forget_success() -> None:
    JobInstance.objects.filter(job__name="done").delete()


def succeed_twice() -> None:
    attempts = JobInstance.objects.filter(job__name="failed")
    attempts.update(status="D", reason="")


def lose_the_job_of_a_live_attempt() -> None:
    update_job("running", status="Q")


def lose_the_attempt_of_a_live_job() -> None:
    JobInstance.objects.filter(job__name="running").update(status="E", reason="lost", ended_at=timezone.now())


def finish_before_upstream() -> None:
    update_job("waiting", status="D", marked_done_by="")


def start_before_upstream() -> None:
    """The log has its intent before everything else."""
    first = JobInstanceStatusLog.objects.order_by("pk").values_list("pk", flat=True)[0]
    JobInstanceStatusLog.objects.filter(job_instance=attempt_of("running"), status="I").update(id=first - 1)


def miscount_upstreams() -> None:
    update_job("waiting", upstreams_left=0)


def miscount_group() -> None:
    JobGroup.objects.filter(name="x").update(count_d=7)


def miscount_group_size() -> None:
    JobGroup.objects.filter(name="y").update(jobs=3)


def miscount_edges() -> None:
    TaskDag.objects.update(edge_count=9)


def miscount_jobs() -> None:
    TaskDag.objects.update(job_count=9)


def use_too_many_attempts() -> None:
    update_job("failed", max_attempts=1)


def use_unproven_attempts() -> None:
    update_job("running", num_attempts=1)


def end_the_run_alone() -> None:
    WorkflowRun.objects.update(status="E", ended_at=timezone.now())


def end_the_workflow_alone() -> None:
    Workflow.objects.update(status="D")


def forget_a_move() -> None:
    JobInstanceStatusLog.objects.filter(job_instance=attempt_of("done"), status="D").delete()


def forget_all_moves() -> None:
    JobInstanceStatusLog.objects.filter(job_instance=attempt_of("done")).delete()


def forget_the_intent() -> None:
    JobInstanceStatusLog.objects.filter(job_instance=attempt_of("done"), status="I").delete()


def move_down() -> None:
    JobInstanceStatusLog.objects.create(job_instance=attempt_of("done"), status="R", status_time=timezone.now())


def move_to_nowhere() -> None:
    JobInstanceStatusLog.objects.create(job_instance=attempt_of("done"), status="Z", status_time=timezone.now())


PLANTED: list[tuple[Callable[[], None], str, str]] = [
    (forget_success, "done-once", "job {done}"),
    (succeed_twice, "done-once", "job {failed}"),
    (lose_the_job_of_a_live_attempt, "job-follows-instance", "job {running}"),
    (lose_the_attempt_of_a_live_job, "job-follows-instance", "job {running}"),
    (finish_before_upstream, "order", "job {waiting}"),
    (start_before_upstream, "order", "job {running}"),
    (miscount_upstreams, "readiness", "job {waiting}"),
    (miscount_group, "readiness", "group"),
    (miscount_group_size, "readiness", "group"),
    (miscount_edges, "readiness", "dag"),
    (miscount_jobs, "readiness", "dag"),
    (use_too_many_attempts, "attempts", "job {failed}"),
    (use_unproven_attempts, "attempts", "job {running}"),
    (end_the_run_alone, "closed", "run"),
    (end_the_workflow_alone, "closed", "workflow"),
    (forget_a_move, "chain", "attempt"),
    (forget_all_moves, "chain", "attempt"),
    (forget_the_intent, "chain", "attempt"),
    (move_down, "chain", "attempt"),
    (move_to_nowhere, "chain", "attempt"),
]


@pytest.mark.parametrize(("plant", "name", "subject"), PLANTED, ids=[plant.__name__ for plant, _, _ in PLANTED])
def test_a_planted_violation_is_named(plant: Callable[[], None], name: str, subject: str) -> None:
    a_mixed_workflow()
    assert broken() == {}
    ids = dict(Job.objects.values_list("name", "pk"))
    plant()
    found = broken()
    assert name in found, found
    assert any(item.startswith(subject.format(**ids)) for item in found[name]), found


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (WorkflowRun, {"ended_at": timezone.now()}),
        (WorkflowRun, {"status": "S"}),
        (JobInstance, {"reason": "exit"}),
        (JobInstance, {"ended_at": timezone.now()}),
    ],
)
def test_what_the_database_refuses_is_found_too(unchecked: None, model: type, values: dict[str, object]) -> None:
    run = start(submit([job("running", command="runs=1000")]))
    tick.advance(run.pk)
    model.objects.update(**values)
    assert "closed" in broken()


def test_equal_ids_of_living_attempts_are_named() -> None:
    run = start(submit([job("a", command="runs=99"), job("b", command="runs=99 ok")]))
    tick.advance(run.pk)
    JobInstance.objects.update(executor_id="4711")
    assert broken() == {"names": ["dummy id 4711"]}


@pytest.mark.parametrize("action", ["reset", "rerun-jobs"])
def test_what_a_person_had_run_again_may_succeed_twice(action: str) -> None:
    from workflows.audit import write_audit

    workflow = a_mixed_workflow()
    succeed_twice()
    assert "done-once" in broken()
    write_audit(make_actor(), action, "job 1", workflow_id=workflow.pk)
    assert "done-once" not in broken()


def fsck(*arguments: str) -> tuple[int, str]:
    output = StringIO()
    try:
        call_command("fsck", *arguments, stdout=output)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue()
    return 0, output.getvalue()


def test_the_exit_status_counts_broken_invariants() -> None:
    a_mixed_workflow()
    assert fsck()[0] == 0
    miscount_group()
    use_too_many_attempts()
    move_down()
    status, text = fsck()
    assert status == 3
    lines = text.splitlines()
    assert any(
        line.startswith("readiness: group") and "D 7 (there are 1)" in line and "Drain" in line for line in lines
    )
    assert "13 invariants checked, 3 broken." in lines
    assert fsck("--only", "chain")[0] == 1
    assert fsck("--strict")[0] == 3 + len(invariants.NOT_CHECKED)


def test_json_for_machines() -> None:
    a_mixed_workflow()
    use_too_many_attempts()
    status, text = fsck("--json")
    answer = json.loads(text)
    assert status == 1
    assert [item["invariant"] for item in answer["broken"]] == ["attempts"]
    assert answer["broken"][0]["violations"] == [
        {"subject": f"job {job_of('failed').pk} (failed)", "found": "used 2 attempts of 1"}
    ]
    assert set(answer["checked"]) == {*invariants.INVARIANTS_BY_NAME, "spool"}


def test_metrics_for_prometheus(tmp_path: Path) -> None:
    a_mixed_workflow()
    use_too_many_attempts()
    path, before = tmp_path / "jobmon.prom", int(time.time())
    assert fsck("--metrics-file", str(path))[0] == 1
    families = {family.name: family for family in text_string_to_metric_families(path.read_text())}
    found = {sample.labels["invariant"]: sample.value for sample in families["jobmon_fsck_violations"].samples}
    assert set(found) == {*invariants.INVARIANTS_BY_NAME, "spool"}
    assert {name: count for name, count in found.items() if count} == {"attempts": 1}
    [ended] = families["jobmon_fsck_time_seconds"].samples
    assert before <= ended.value <= time.time() + 1
    assert {family.type for family in families.values()} == {"gauge"}
    assert path.stat().st_mode & 0o777 == 0o644, "the node exporter is another account"
    assert list(tmp_path.glob("jobmon.prom.*")) == []


def test_many_violations_are_counted_and_some_listed() -> None:
    submit([job(f"a{number}") for number in range(150)])
    Job.objects.update(upstreams_left=1)
    status, text = fsck()
    assert status == 1
    assert "50 more of 150" in text
    assert text.count("readiness: job") == 100


def test_nothing_is_changed() -> None:
    a_mixed_workflow()
    with connection.execute_wrapper(refuse_writes):
        fsck()


def refuse_writes(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
    assert sql.lstrip().upper().startswith("SELECT"), sql
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("model", "constraint"), [(JobInstance, "one_live_instance"), (WorkflowRun, "one_live_run")])
def test_two_living_are_named_even_where_the_index_is_gone(model: type, constraint: str) -> None:
    found = next(item for item in model._meta.constraints if item.name == constraint)
    run = start(submit([job("a", command="runs=99")]))
    tick.advance(run.pk)
    model._meta.constraints.remove(found)  # SQLite makes the table anew from what is left
    with connection.schema_editor() as editor:
        editor.remove_constraint(model, found)
    try:
        if model is JobInstance:
            copy_attempt()
        else:
            copy_run(run)
        assert "one-live" in broken()
    finally:
        JobInstance.objects.all().delete()
        WorkflowRun.objects.all().delete()
        model._meta.constraints.append(found)
        with connection.schema_editor() as editor:
            editor.add_constraint(model, found)


def copy_attempt() -> None:
    twin = JobInstance.objects.get()
    twin.pk, twin.name, twin.executor_id = twin.pk + 1000, "twin", "twin"
    twin.save(force_insert=True)


def copy_run(run: WorkflowRun) -> None:
    run.refresh_from_db()
    run.pk = None
    run.save(force_insert=True)


@pytest.mark.django_db(transaction=True)
def test_equal_names_are_named_even_where_the_index_is_gone() -> None:
    unique = JobInstance._meta.get_field("name")
    plain = copy.copy(unique)
    plain._unique = False
    run = start(submit([job("a", command="runs=99"), job("b", command="runs=99 ok")]))
    tick.advance(run.pk)
    with connection.schema_editor() as editor:
        editor.alter_field(JobInstance, unique, plain)
    try:
        JobInstance.objects.update(name="same")
        assert broken() == {"names": ["attempt same"]}
    finally:
        JobInstance.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.alter_field(JobInstance, plain, unique)
