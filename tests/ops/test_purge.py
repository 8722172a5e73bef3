"""`manage.py purge` takes all of an old workflow, nothing of another one, and may be interrupted."""

from __future__ import annotations

import collections
import gzip
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Model
from django.utils import timezone

from executors.spool import attempt_folder, local_prefix
from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from workflows.models import (
    AuditEntry,
    Draft,
    Job,
    JobInstance,
    Operation,
    OperationItem,
    RunMinute,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling import purge as purging

pytestmark = pytest.mark.django_db
TAGS = (Tag("clean", {"D": 3, "F": 1}), Tag("fit", {"D": 2, "F": 1}, ("clean",)))


@pytest.fixture
def spool(settings, tmp_path: Path) -> Path:
    settings.SPOOL = tmp_path / "spool"
    return settings.SPOOL


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


def age(made: Made, days: int, status: str = "E") -> None:
    then = timezone.now() - timedelta(days=days)
    Workflow.objects.filter(pk=made.workflow.pk).update(status=status, status_date=then)
    if status != "R":
        WorkflowRun.objects.filter(workflow=made.workflow).update(status=status, ended_at=then)


def make_old(owner: User, spool: Path, days: int = 100, args: str = "old") -> Made:
    """A finished workflow with something in every table and files in both layouts."""
    made = make_workflow(owner, TAGS, args=args, status="E")
    assert made.run is not None
    now = timezone.now()
    RunMinute.objects.create(run=made.run, group=made.workflow.dag.groups.first(), minute=now)
    operation = Operation.objects.create(
        workflow=made.workflow, user=owner, action="retry", state="finished", created_at=now
    )
    operation.items.create(job_id=made.all_jobs[0].pk)
    Draft.objects.create(owner=owner, created_at=now, header={}, workflow=made.workflow)
    make_audit(made.workflow)
    for attempt in made.instances:
        folder = attempt_folder(spool, attempt.pk)
        folder.mkdir(parents=True)
        (folder / "out").write_text("said")
        Path(local_prefix(spool, attempt.pk)).parent.mkdir(parents=True, exist_ok=True)
        for ending in purging.LOCAL_ENDINGS:
            Path(f"{local_prefix(spool, attempt.pk)}.{ending}").write_text("x")
    age(made, days)
    return made


def count_rows() -> dict[str, int]:
    models = [*apps.get_app_config("workflows").get_models(), User]
    return {model.__name__: model.objects.count() for model in models}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("purge", *arguments, stdout=out)
    return out.getvalue()


def test_everything_of_an_old_workflow_goes(owner: User, spool: Path) -> None:
    before = count_rows()
    made = make_old(owner, spool)
    assert len(files(spool)) == 6 * len(made.instances)
    text = run("--older-than", "90d")
    after = count_rows()
    assert {name for name in after if after[name] != before[name]} == {"AuditEntry", "Draft"}
    assert files(spool) == []
    assert Draft.objects.get().workflow is None
    assert f"workflow {made.workflow.pk} 'old' of alice: 7 jobs, {len(made.instances)} attempts" in text
    assert "1 workflows with 7 jobs were removed." in text
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.via, entry.workflow_id, entry.before["jobs"]) == (
        "purge",
        "system",
        made.workflow.pk,
        "7",
    )


def test_a_dry_run_changes_nothing(owner: User, spool: Path) -> None:
    make_old(owner, spool)
    before, there = count_rows(), files(spool)
    assert "1 workflows with 7 jobs would be removed." in run("--older-than", "90d", "--dry-run")
    assert (count_rows(), files(spool)) == (before, there)


def test_what_is_young_running_or_live_stays(owner: User, spool: Path) -> None:
    young = make_old(owner, spool, 89, "young")
    running = make_workflow(owner, TAGS, args="running")
    age(running, 400, "R")
    leftovers = make_workflow(owner, [Tag("fit", {"R": 1, "D": 1})], args="leftovers")
    age(leftovers, 400, "S")
    created = make_workflow(owner, TAGS, args="created", status="C")
    age(created, 400, "C")
    kept = {made.workflow.pk for made in (young, running, leftovers, created)}
    old = make_old(owner, spool)
    attempts = JobInstance.objects.count() - len(old.instances)
    there = len(files(spool)) - 6 * len(old.instances)
    run("--older-than", "90d")
    assert set(Workflow.objects.values_list("pk", flat=True)) == kept
    assert (JobInstance.objects.count(), len(files(spool))) == (attempts, there)


def test_an_interrupted_purge_is_finished_by_the_next(
    owner: User, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_old(owner, spool)
    monkeypatch.setattr(purging, "AT_ONCE", 2)
    seen: list[int] = []

    def stop_after_three(attempt_id: int) -> None:
        seen.append(attempt_id)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(purging, "remove_files", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        run("--older-than", "90d")
    assert JobInstance.objects.count() == len(made.instances) - 2
    monkeypatch.undo()
    run("--older-than", "90d")
    assert not Workflow.objects.exists()


def test_a_workflow_that_is_resumed_meanwhile_stays(owner: User, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_old(owner, spool)
    jobs = made.workflow.dag.jobs.count()
    real = purging._next_attempts

    def resume_first(workflow: Workflow) -> list[int]:
        age(made, 0, "R")
        return real(workflow)

    monkeypatch.setattr(purging, "_next_attempts", resume_first)
    assert "was resumed meanwhile and stays" in run("--older-than", "90d")
    assert made.workflow.dag.jobs.count() == jobs
    assert JobInstance.objects.count() == len(made.instances)
    assert len(files(spool)) == 6 * len(made.instances)


def test_jobs_go_after_their_workflow_and_what_is_left_is_found(
    owner: User, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workflow with a part of its jobs must never be there for a resume."""
    before = count_rows()
    make_old(owner, spool)
    monkeypatch.setattr(purging, "AT_ONCE", 3)
    real = purging._remove_jobs
    batches: list[int] = []

    def stop_at_the_second(ids: list[int]) -> None:
        assert not Workflow.objects.exists()
        batches.append(len(ids))
        if len(batches) == 2:
            raise KeyboardInterrupt
        real(ids)

    monkeypatch.setattr(purging, "_remove_jobs", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run("--older-than", "90d")
    assert Job.objects.count() == 4
    monkeypatch.undo()
    run("--older-than", "90d")
    after = count_rows()
    assert {name for name in after if after[name] != before[name]} == {"AuditEntry", "Draft"}


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "d", "3h", "1.5d", "999999d"])
def test_a_time_that_is_not_understood_removes_nothing(owner: User, spool: Path, text: str) -> None:
    make_old(owner, spool)
    with pytest.raises(CommandError, match="not a number of days"):
        run(f"--older-than={text}")
    assert Workflow.objects.count() == 1


def test_only_as_many_as_needed_go_oldest_first(owner: User, spool: Path) -> None:
    """Each has 7 jobs."""
    first, second, third = (make_old(owner, spool, args=f"old {number}") for number in range(3))
    call_command("purge", "--older-than", "90d", "--until-jobs", "14", stdout=io.StringIO())
    assert set(Workflow.objects.values_list("pk", flat=True)) == {second.workflow.pk, third.workflow.pk}
    assert first.workflow.pk < second.workflow.pk
    call_command("purge", "--older-than", "90d", "--until-jobs", "14", stdout=io.StringIO())
    assert Workflow.objects.count() == 2


def test_what_hangs_on_a_workflow_goes_in_small_batches(
    owner: User, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction has more of them, however many an operation had; a resume in between ends it."""
    made = make_old(owner, spool)
    operation = Operation.objects.get()
    operation.items.bulk_create(OperationItem(operation=operation, job_id=number) for number in range(10))
    failed = Job.objects.filter(error_group__isnull=False).count()
    monkeypatch.setattr(purging, "ROWS_AT_ONCE", 4)
    real = purging._thin_batch
    batches: list[tuple[str, int]] = []

    def note(workflow_id: int, before: datetime, model: type[Model], ids: list[int]) -> bool:
        batches.append((model.__name__, len(ids)))
        return real(workflow_id, before, model, ids)

    monkeypatch.setattr(purging, "_thin_batch", note)
    run("--older-than", "90d")
    assert batches == [
        ("OperationItem", 4),
        ("OperationItem", 4),
        ("OperationItem", 3),
        ("RunMinute", 1),
        ("Job", failed),
    ]
    assert failed == 2
    assert not Workflow.objects.filter(pk=made.workflow.pk).exists()


def test_a_resume_between_two_batches_keeps_the_workflow(
    owner: User, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_old(owner, spool)
    monkeypatch.setattr(purging, "_next_attempts", lambda workflow: [])
    real = purging._thin_batch

    def resumed(*arguments: Any) -> bool:
        age(made, 0, "R")
        return real(*arguments)

    monkeypatch.setattr(purging, "_thin_batch", resumed)
    assert "was resumed meanwhile and stays" in run("--older-than", "90d")
    assert OperationItem.objects.count() == 1


def test_what_goes_is_archived_first(owner: User, spool: Path, tmp_path: Path) -> None:
    made = make_old(owner, spool)
    attempts, jobs = len(made.instances), len(made.all_jobs)
    with pytest.raises(CommandError, match="is not a folder"):
        call_command("purge", "--older-than", "90d", "--archive", str(tmp_path / "none"))
    (tmp_path / "archive").mkdir()
    before = count_rows()
    call_command("purge", "--older-than", "90d", "--archive", str(tmp_path / "archive"), stdout=io.StringIO())
    after = count_rows()
    assert Workflow.objects.count() == 0
    [file] = (tmp_path / "archive").iterdir()
    assert file.name == f"workflow-{made.workflow.pk}.jsonl.gz"
    assert file.stat().st_mode & 0o077 == 0
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    found = collections.Counter(row["table"] for row in rows)
    assert (found["job"], found["job_instance"], found["workflow"]) == (jobs, attempts, 1)
    models = {model.__name__: model._meta.db_table for model in apps.get_app_config("workflows").get_models()}
    gone = {table: before[name] - after[name] for name, table in models.items() if after[name] < before[name]}
    assert gone["operation_item"] == gone["run_minute"] == 1
    assert {table: found[table] for table in gone} == gone, "every row that goes is in the file"
    assert found["job_edge"] > 0
    assert found["job_instance_error_log"] > 0
    assert {row["command"] for row in rows if row["table"] == "job"} == {job.command for job in made.all_jobs}


def test_a_disk_that_is_full_keeps_the_workflow(owner: User, spool: Path, tmp_path: Path) -> None:
    make_old(owner, spool)
    (tmp_path / "archive").mkdir()
    target = tmp_path / "archive" / f"workflow-{Workflow.objects.get().pk}.jsonl.gz"
    target.mkdir()
    with pytest.raises(CommandError, match="cannot be archived and stays"):
        call_command("purge", "--older-than", "90d", "--archive", str(tmp_path / "archive"))
    assert Workflow.objects.count() == 1
