"""fsck on what was recorded over time, on the attempts' files and on the jobs' own ledger: each breach is planted and
found, and only what is asked for is repaired."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from executors.local_spool import LocalSpool
from executors.spool import Spool
from tests.db.engine import drive, job, make_actor, start, submit
from tests.db.test_fsck import broken, fsck
from workflows import lifecycle
from workflows.audit import write_audit
from workflows.models import AuditEntry, Job, JobInstance, JobInstanceStatusLog, Workflow, WorkflowRun
from workflows.scheduling import back_ends, tick

pytestmark = pytest.mark.django_db
START, END = "start n host 12 - 1700000000\n", "0m0.0s 0m0.0s\n0m0.0s 0m0.0s\nexit 0\n"


@pytest.fixture(autouse=True)
def spool_folder(settings: Any, tmp_path: Path) -> Path:
    settings.SPOOL = tmp_path / "spool"
    return settings.SPOOL


def a_limited_workflow() -> Workflow:
    """Six jobs, two at a time, those with the tag one at a time; done."""
    jobs = [job(f"a{number}", tag="x" if number < 3 else "") for number in range(6)]
    workflow = submit(jobs, max_concurrently_running=2, tag_limits={"x": 1})
    assert drive(start(workflow)) == "D"
    return workflow


def make_live_at_once(name: str, others: int) -> None:
    """The log says that these had begun before any of them ended."""
    ids = list(JobInstance.objects.filter(job__name__startswith=name).order_by("pk").values_list("pk", flat=True))
    moves = JobInstanceStatusLog.objects.filter(job_instance__in=ids[:others])
    moves.exclude(status="I").delete()
    for instance_id in ids[:others]:
        JobInstanceStatusLog.objects.create(job_instance_id=instance_id, status="D", status_time=timezone.now())


def test_limits_that_held_are_no_violation() -> None:
    a_limited_workflow()
    assert broken() == {}


def test_a_limit_of_the_run_that_was_exceeded_is_found() -> None:
    workflow = a_limited_workflow()
    make_live_at_once("a", 6)
    assert f"workflow {workflow.pk}" in broken()["limits"]


def test_a_limit_of_a_tag_that_was_exceeded_is_found() -> None:
    a_limited_workflow()
    group = Job.objects.get(name="a0").group_id
    make_live_at_once("a", 2)
    assert f"group {group}" in broken()["limits"]


def test_a_limit_that_was_lower_later_was_not_exceeded_before() -> None:
    workflow = submit([job(f"a{number}") for number in range(6)], max_concurrently_running=5)
    assert drive(start(workflow)) == "D"
    lifecycle.set_limits(workflow.pk, make_actor(), 1, {})
    WorkflowRun.objects.update(max_concurrently_running=1)
    assert broken() == {}


def a_live_run() -> WorkflowRun:
    run = start(submit([job("a", command="runs=99")]))
    tick.advance(run.pk)
    return run


def forget_the_fence() -> None:
    WorkflowRun.objects.update(fence=0)


def half_a_lease() -> None:
    WorkflowRun.objects.update(lease_owner="somebody", lease_expires_at=None)


def forget_who_started() -> None:
    AuditEntry.objects.filter(action="start-run").delete()


def forget_who_submitted() -> None:
    AuditEntry.objects.filter(action="submit").delete()


def stop_without_a_word() -> None:
    WorkflowRun.objects.update(stop_asked_by="nobody", stop_asked_at=timezone.now(), stopping="drain")


def say_it_twice() -> None:
    write_audit(make_actor(), "start-run", f"run {WorkflowRun.objects.get().pk}")


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (forget_the_fence, "fence"),
        (half_a_lease, "fence"),
        (forget_who_started, "audit"),
        (forget_who_submitted, "audit"),
        (stop_without_a_word, "audit"),
        (say_it_twice, "audit"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_planted_violation_is_named(plant: Callable[[], None], name: str) -> None:
    a_live_run()
    assert broken() == {}
    plant()
    assert list(broken()) == [name]


def test_a_lease_of_a_run_that_is_over_is_found() -> None:
    run = start(submit([job("a")]))
    assert drive(run) == "D"
    WorkflowRun.objects.update(lease_owner="somebody", lease_expires_at=timezone.now())
    assert broken() == {"fence": [f"run {run.pk}"]}


# the files


def make_attempt(status: str = "R", executor: str = "local", **values: Any) -> JobInstance:
    run = a_live_run()
    JobInstance.objects.filter(workflow_run=run).update(executor_type=executor, status=status, **values)
    return JobInstance.objects.get(workflow_run=run)


def write_token(root: Path, instance_id: int, text: str) -> Path:
    spool = LocalSpool(root)
    spool.create()
    assert spool.prepare(instance_id, "true")
    path = Path(spool.file(instance_id, "token"))
    path.write_text(text)
    path.chmod(0o600)
    return path


def spool_findings() -> list[str]:
    _, text = fsck("--only", "spool")
    return [line.removeprefix("spool: ") for line in text.splitlines() if line.startswith("spool: ")]


def test_a_sound_spool(spool_folder: Path) -> None:
    attempt = make_attempt()
    write_token(spool_folder, attempt.pk, START)
    assert spool_findings() == []


def test_a_live_attempt_without_files(spool_folder: Path) -> None:
    attempt = make_attempt()
    spool_folder.mkdir(parents=True, exist_ok=True)
    back_ends.forget()
    assert spool_findings()[0].startswith(f"attempt {attempt.pk} is live, but has no files")


def test_files_without_an_attempt(spool_folder: Path) -> None:
    write_token(spool_folder, 987654, START)
    assert spool_findings()[0].startswith("attempt 987654 has files")


def test_folders_of_the_other_layout_are_read_too(spool_folder: Path) -> None:
    spool = Spool(spool_folder)
    spool.create()
    assert spool.prepare(987655, "true")
    assert spool_findings()[0].startswith("attempt 987655 has files")


def test_an_attempt_that_runs_under_a_void(spool_folder: Path) -> None:
    attempt = make_attempt()
    write_token(spool_folder, attempt.pk, "void n who\n")
    assert f"attempt {attempt.pk} is R, but its token says that it never may start" in spool_findings()[0]


def test_a_success_without_an_exit(spool_folder: Path) -> None:
    attempt = make_attempt("D", ended_at=timezone.now())
    write_token(spool_folder, attempt.pk, START)
    assert "does not tell of an end with 0" in spool_findings()[0]
    Path(LocalSpool(spool_folder).file(attempt.pk, "token")).write_text(START + END)
    assert spool_findings() == []


def test_a_given_up_attempt_that_started(spool_folder: Path) -> None:
    attempt = make_attempt("E", reason="void", ended_at=timezone.now())
    write_token(spool_folder, attempt.pk, START)
    assert "was given up as never started" in spool_findings()[0]


@pytest.mark.parametrize("what", ["command", "folder"])
def test_files_that_others_may_read(spool_folder: Path, what: str) -> None:
    attempt = make_attempt()
    write_token(spool_folder, attempt.pk, START)
    command = Path(LocalSpool(spool_folder).file(attempt.pk, "command"))
    (command if what == "command" else command.parent).chmod(0o755)
    assert "is open to others" in spool_findings()[0]


def test_old_temporaries_go_only_when_asked(spool_folder: Path) -> None:
    attempt = make_attempt()
    token = write_token(spool_folder, attempt.pk, START)
    old, new = token.parent / ".token.old", token.parent / ".token.new"
    old.touch()
    new.touch()
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    assert [str(old) in line for line in spool_findings()] == [True]
    assert old.exists()
    assert fsck("--only", "spool", "--repair", "spool")[0] == 0
    assert (old.exists(), new.exists(), token.exists()) == (False, True, True)


def test_readiness_is_repaired_only_when_asked() -> None:
    start(submit([job("a", command="runs=99"), job("b", "a")]))
    Job.objects.filter(name="b").update(upstreams_left=0)
    assert fsck("--only", "readiness")[0] == 1
    assert Job.objects.get(name="b").upstreams_left == 0
    assert fsck("--only", "readiness", "--repair", "readiness")[0] == 0
    assert Job.objects.get(name="b").upstreams_left == 1


# the ledger


def a_done_job() -> int:
    assert drive(start(submit([job("a")]))) == "D"
    return JobInstance.objects.get().pk


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("start a {0} 7\nend a {0} 7 0\n", []),
        ("start a {0} 7\nstart a {0} 8\nend a {0} 8 0\n", ["one-start"]),
        ("start a {0} 7\nend a {0} 7 1\n", ["one-success"]),
        ("start a {0} 7\nend a {0} 7 0\nstart a 999 8\nend a 999 8 0\n", ["one-start"]),
    ],
    ids=["good", "started-twice", "no-success", "unknown-attempt"],
)
def test_the_ledger_is_believed(tmp_path: Path, text: str, names: list[str]) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text(text.format(a_done_job()))
    status, output = fsck("--ledger", str(ledger))
    assert status == len(names), output
    assert [name for name in ("one-start", "one-success") if f"{name}: " in output] == names


def write_two_successes(ledger: Path, reason: str) -> list[int]:
    """The ids of two attempts of a job that both wrote their last line; the second is recorded as failed."""
    first = a_done_job()
    twin = JobInstance.objects.get()
    twin.pk, twin.name, twin.status, twin.reason = first + 1000, "twin", "E", reason
    twin.save(force_insert=True)
    ledger.write_text("".join(f"start a {pk} 7\nend a {pk} 7 0\n" for pk in (first, twin.pk)))
    return [first, twin.pk]


def test_two_successes_of_one_job(tmp_path: Path) -> None:
    both = write_two_successes(tmp_path / "ledger", "exit")
    assert f"succeeded in the attempts {both}" in fsck("--ledger", str(tmp_path / "ledger"))[1]


@pytest.mark.parametrize("reason", ["killed", "lost", "signal", "memory", "runtime"])
def test_what_was_ended_after_its_last_line_is_no_success(tmp_path: Path, reason: str) -> None:
    write_two_successes(tmp_path / "ledger", reason)
    assert "one-success: " not in fsck("--ledger", str(tmp_path / "ledger"))[1]


def test_a_start_of_what_was_given_up(tmp_path: Path) -> None:
    attempt = make_attempt("E", reason="void", ended_at=timezone.now())
    (tmp_path / "ledger").write_text(f"start a {attempt.pk} 7\n")
    assert (
        f"one-start: attempt {attempt.pk} started, but is recorded as void"
        in fsck("--ledger", str(tmp_path / "ledger"))[1]
    )


def test_an_unreadable_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("hello\n")
    with pytest.raises(CommandError, match="line 1"):
        fsck("--ledger", str(tmp_path / "ledger"))
