"""Workflows of two people on a real Grid Engine: whose jobs, whose files, and what one of them may try on the other."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from executors.base import ExecutorUnavailable, JobSpec, TokenKind
from executors.run_as_batch import OwnedSge
from executors.run_as_router import NO_ACCOUNT, RunAsExecutor
from executors.sge import SgeExecutor
from tests.db.engine import job, make_actor, start, submit
from tests.executors.cluster import SgeCluster, log_commands
from tests.run_as.grid import drive, is_over, person, run_one
from tests.run_as.people import People, uid_of
from tests.waiting import wait_until
from workflows import lifecycle, logs, owner_logs
from workflows.models import Job, JobInstance, RunAccount
from workflows.scheduling import owners, reconcile, tick
from workflows.unix_accounts import HOLD, NotUsable, set_account

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sge]


def test_jobs_files_and_listings_belong_to_the_owners(people: People, server: RunAsExecutor, tmp_path: Path) -> None:
    """Single jobs and an array, in the attempt's own folder and in one of the owner's; and logs, read by a worker."""
    for name, account in (("anna", people.alice), ("ben", people.bob)):
        home, gate = people.folder / account, people.folder / f"gate of {name}"
        gate.unlink(missing_ok=True)
        actor = person(name, account)
        wait = f"until [ -e '{gate}' ]; do sleep 0.1; done"
        jobs = [job(f"j{n}", command=f"id -un; echo {n} >&2; {wait}") for n in range(3)]
        workflow = submit(jobs, actor, args=name, executor="sge", stdout=str(home / "logs"), working_dir=str(home))
        run = start(workflow, actor)
        tick.advance(run.pk)
        rows = server.twin(account).list_rows()
        assert {row.owner for row in rows} == {account}
        assert len(rows) == 3
        gate.touch()
        drive(run, partial(is_over, run), "the end")
        assert run.status == "D", list(JobInstance.objects.values_list("evidence", flat=True))
        for attempt in JobInstance.objects.filter(workflow_run=run):
            folder = people.runs / account / str(attempt.pk // 1000) / str(attempt.pk)
            made = [folder, *folder.iterdir(), Path(attempt.stdout_path)]
            assert {path.stat().st_uid for path in made} == {uid_of(account)}
            assert Path(attempt.stdout_path).read_text() == f"{account}\n"
    assert not (people.spool / "0").exists()


def test_logs_are_read_by_a_worker_for_those_who_may(people: People, server: RunAsExecutor, monkeypatch: Any) -> None:
    rung: list[int] = []
    monkeypatch.setattr(owner_logs.bell, "send", lambda task, piece_id: rung.append(piece_id))
    monkeypatch.setattr(owner_logs, "ASK_AGAIN", timedelta(hours=1))  # a slow machine must not decide
    monkeypatch.setattr(owner_logs, "KEPT_END", timedelta(hours=1))
    attempt = run_one(person("anna", people.alice), "echo out; echo err >&2; exit 3")
    assert "err" in attempt.errors.get().description
    file = logs.locate(attempt, "stdout")
    assert str(file.path).startswith(str(people.runs / people.alice))
    with pytest.raises(logs.LogUnavailable, match="Look again"):
        logs.read_piece(file)
    with pytest.raises(logs.LogUnavailable, match="Look again"):
        logs.read_piece(file)
    assert len(rung) == 1  # asked for once, however often the page is loaded
    owners.read_log(rung[0])
    owners.read_log(10**9)  # a forged bell
    assert logs.read_piece(file).data == b"out\n"
    assert rung == rung[:1]


def test_secret_files_are_read_as_the_owner(people: People, server: RunAsExecutor) -> None:
    """alice's own; neither bob's, nor the service's, whatever root and the service could read."""
    files = {}
    for account in (people.alice, people.bob, people.service):
        files[account] = people.folder / f"secret of {account}"
        files[account].write_text(f"s3cret of {account}\n")
        files[account].chmod(0o600)
        os.chown(files[account], uid_of(account), -1)
    anna = person("anna", people.alice)
    attempts = {
        account: run_one(anna, f"#JOBMON X from file {path}\n[ \"$X\" = 's3cret of {people.alice}' ] && id -un")
        for account, path in files.items()
    }
    assert attempts[people.alice].status == "D"
    for account in (people.bob, people.service):
        attempt = attempts[account]
        assert (attempt.status, attempt.exit_code) == ("E", 126)
        assert f"X cannot be read from the file {files[account]}" in attempt.errors.get().description
        assert f"{people.alice}, as whom the job runs, may not read it" in attempt.errors.get().description
    for file in (people.runs / people.alice).rglob("*"):
        assert not file.is_file() or f"s3cret of {people.bob}" not in file.read_text()


def test_the_end_is_told_by_a_bell_in_the_servers_spool(people: People, server: RunAsExecutor) -> None:
    actor = person("anna", people.alice)
    run = start(submit([job("one", command="sleep 1")], actor, executor="sge"), actor)
    tick.advance(run.pk)
    attempt = JobInstance.objects.get()
    hint = people.spool / "ended" / f"{run.pk}.{attempt.pk}"
    wait_until(hint.exists, 120, "the hint")
    assert hint.stat().st_uid == uid_of(people.alice)
    tick.advance(run.pk)  # no listing was asked for
    attempt.refresh_from_db()
    assert attempt.status == "D"
    assert not hint.exists()


def test_without_an_account_nothing_starts(people: People, server: RunAsExecutor) -> None:
    actor = person("nobody-yet", "")
    run = start(submit([job("one", command="true")], actor, executor="sge"), actor)
    tick.advance(run.pk)
    run.refresh_from_db()
    assert run.hold_reason.startswith(HOLD)
    assert not JobInstance.objects.exists()
    lifecycle.hold_run(run.pk, "", actor)  # whoever releases it gains nothing
    tick.advance(run.pk)
    assert not JobInstance.objects.exists()
    set_account(actor.user, people.bob, actor)
    lifecycle.hold_run(run.pk, "", actor)
    drive(run, lambda: is_over(run), "the end")
    assert run.status == "D"
    assert RunAccount.objects.get(pk=run.pk).account == people.bob


@pytest.mark.slow
def test_a_run_stays_with_the_account_it_began_with(people: People, server: RunAsExecutor) -> None:
    actor = person("anna", people.alice)
    jobs = [job("first", command="sleep 2"), job("second", "first", command="id -un")]
    run = start(submit(jobs, actor, executor="sge"), actor)
    tick.advance(run.pk)
    set_account(actor.user, people.bob, actor)
    drive(run, lambda: Job.objects.filter(name="first", status="D").exists(), "the end of the first")
    tick.advance(run.pk)
    run.refresh_from_db()
    assert f"started as {people.alice}" in run.hold_reason
    assert JobInstance.objects.count() == 1


def test_accounts_that_may_not_be_mapped(people: People, server: RunAsExecutor) -> None:
    anna, ben = person("anna", people.alice), make_actor("ben")
    for account in ("root", "no-such-account", "", people.alice, "../x", "0", str(uid_of(people.bob))):
        if account:
            with pytest.raises(NotUsable):
                set_account(ben.user, account, anna)
    assert not User.objects.filter(unix_account__user=ben.user).exists()


def test_nothing_in_a_request_changes_whose_job_it_is(people: People, server: RunAsExecutor) -> None:
    """Names, paths, environments and folders that speak of somebody else."""
    people_of_bob = people.folder / people.bob
    people_of_bob.chmod(0o700)
    actor = person("anna", people.alice)
    (people.folder / "link").unlink(missing_ok=True)
    (people.folder / "link").symlink_to(people_of_bob)
    command = f"id -un; echo x >{people_of_bob}/mine; SUDO_USER=root sudo -n -u {people.bob} {people.helper} </dev/null"
    attempt = run_one(actor, command)
    assert attempt.exit_code != 0
    assert attempt.status == "E"
    assert not (people_of_bob / "mine").exists()
    attempt = run_one(actor, "id -un", stdout=str(people.folder / "link"), stderr=str(people.folder / "link"))
    assert attempt.status == "E"
    assert [path.name for path in people_of_bob.iterdir() if re.search(r"one|\d", path.name)] == []


def spec(account: str | None, number: int, **given: Any) -> JobSpec:
    name = f"jmx-{number}"
    return JobSpec(number, 1, name, name, 0, "id -un", account=account, **given)


def test_a_job_without_an_account_never_runs_as_the_service(people: People, server: RunAsExecutor) -> None:
    result = server.submit([spec(None, 900_001), spec("", 900_002)])
    assert not result.accepted
    assert set(result.rejected.values()) == {NO_ACCOUNT}
    for account in (
        people.stranger,
        people.robot,
        people.daemon,
        "root",
        "no-such",
        "-u",
        "a b",
        f"#{uid_of(people.bob)}",
    ):
        with pytest.raises(ExecutorUnavailable):
            server.submit([spec(account, 900_003)])
    twin = server.twin(people.alice)
    assert twin.submit([spec(people.bob, 900_004)]).rejected == {"jmx-900004": "it belongs to another account"}
    assert isinstance(twin, OwnedSge)


def test_another_persons_attempt_cannot_be_forged(people: People, server: RunAsExecutor) -> None:
    """bob names his own job and files like alice's attempt: it neither appears as hers, nor ends hers."""
    anna, ben = person("anna", people.alice), person("ben", people.bob)
    run = start(submit([job("one", command="exec sleep 100")], anna, executor="sge"), anna)
    tick.advance(run.pk)
    hers = JobInstance.objects.get()
    fake = people.runs / people.bob / str(hers.pk // 1000) / str(hers.pk)
    fake.mkdir(parents=True, exist_ok=True)
    (fake / "token").write_text("start abc host 1 1 1\n0m0.0s 0m0.0s\n0m0.0s 0m0.0s\nexit 0\n")
    for folder in (people.runs / people.bob, fake.parent, fake, fake / "token"):
        os.chown(folder, uid_of(people.bob), -1)
    (people.spool / "ended" / f"{run.pk}.{hers.pk}").touch()
    his = server.twin(people.bob).submit([replace(spec(people.bob, hers.pk + 1), name=hers.name, batch=hers.name)])
    for _ in range(3):
        tick.advance(run.pk)
        reconcile.claim_poll("sge", "sge", 0)
        reconcile.reconcile("sge")
    hers.refresh_from_db()
    assert hers.status in "BR"
    assert set(server.poll()) == {hers.name}
    server.twin(people.bob).cancel([reconcile.AttemptRef(hers.pk, hers.name, hers.executor_id, 0.0)])
    wait_until(lambda: hers.name in server.poll() and not server.twin(people.bob).list_rows(), 60, "bob's end alone")
    refused = people.ask(people.bob, "cancel", system="sge", who="x", instances=[hers.pk], ids=[str(hers.executor_id)])
    assert refused["answer"]["code"] == 0
    assert refused["answer"]["stdout"] == ""
    assert hers.name in server.poll()
    assert his.accepted
    assert ben.name == "ben"


@pytest.mark.slow
def test_kill_ends_a_job_of_the_owner(people: People, server: RunAsExecutor) -> None:
    actor = person("anna", people.alice)
    run = start(submit([job("one", command="exec sleep 100")], actor, executor="sge"), actor)
    tick.advance(run.pk)
    drive(run, lambda: JobInstance.objects.filter(status="R").exists(), "its start")
    lifecycle.ask_stop(run.pk, "kill", actor)
    drive(run, lambda: is_over(run), "its end")
    assert run.status == "S"


def test_one_person_who_cannot_be_asked_does_not_stop_the_others(people: People, server: RunAsExecutor) -> None:
    anna, ben = person("anna", people.alice), person("ben", people.bob)
    first = start(submit([job("one", command="sleep 1")], anna, args="a", executor="sge"), anna)
    second = start(submit([job("one", command="sleep 1")], ben, args="b", executor="sge"), ben)
    for run in (first, second):
        tick.advance(run.pk)
    folder = people.runs / people.bob
    mode = folder.stat().st_mode
    folder.chmod(0o777)  # the helper refuses a folder that others may write
    drive(first, lambda: is_over(first), "the end of anna's")
    assert first.status == "D"
    assert JobInstance.objects.get(workflow_run=second).status in "BR"
    folder.chmod(mode)
    drive(second, lambda: is_over(second), "the end of ben's")
    assert second.status == "D"


@pytest.mark.slow
def test_void_is_the_owners_too(people: People, server: RunAsExecutor) -> None:
    actor = person("anna", people.alice)
    run = start(submit([job("one", command="true")], actor, executor="sge"), actor)
    RunAccount.objects.create(run=run, account=people.alice)
    made = tick.start_jobs(run, tick.select_ready(run, tick.find_limits(run)))
    assert made == 1
    attempt = JobInstance.objects.get()
    drive(run, lambda: is_over(run), "the end")
    stands = server.store.void([attempt.pk], "late success")[attempt.pk]
    assert stands.kind is TokenKind.START


def test_why_jobs_of_two_owners_wait_is_one_question(people: People, server: RunAsExecutor, tmp_path: Path) -> None:
    """The server asks it itself: anybody may know why anybody's job waits."""
    programs, log = log_commands(SgeCluster.binaries, ["qstat"], tmp_path / "programs")
    base = server.base
    assert isinstance(base, SgeExecutor)
    asking = replace(base.config, verify=False, reason_interval=0.5)
    server.base = SgeExecutor(asking, base._spool)
    server.site = server.base.site
    runs = []
    for name, account in (("anna", people.alice), ("ben", people.bob)):
        actor = person(name, account)
        runs.append(start(submit([job("big", mem_free=900_000.0)], actor, args=name, executor="sge"), actor))
        tick.advance(runs[-1].pk)
    listed = list(server.poll().values())
    server.base.config = replace(asking, bin_dir=programs)
    told = server.explain_queue(listed)
    assert log.read_text() == "qstat\n"
    assert set(told.by_name) == set(JobInstance.objects.values_list("name", flat=True))

    def are_explained() -> bool:
        reconcile.reconcile("sge")
        words = JobInstance.objects.values_list("phase_message", flat=True)
        return all("offers less mem_free than 819T" in one for one in words)

    wait_until(are_explained, 60, "both are explained", 0.2)
    for run in runs:
        lifecycle.ask_stop(run.pk, "kill", make_actor("anna"))
        drive(run, partial(is_over, run), "the end")
