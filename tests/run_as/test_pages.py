"""What people see of JOBMON_RUN_AS=owner: logs through a worker, the account, and why nothing starts."""

from __future__ import annotations

import getpass
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from tests.db.engine import job, make_actor, start, submit
from workflows import lifecycle, owner_logs, unix_accounts
from workflows.models import AuditEntry, JobInstance, LogPiece, RunAccount, UnixAccount, WorkflowRun
from workflows.scheduling import back_ends, checks, owners, tick

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rung(settings: Any, monkeypatch: Any, tmp_path: Path) -> list[int]:
    """The server runs jobs as their owners; what a worker is asked for."""
    settings.RUN_AS, settings.SPOOL = "owner", tmp_path
    settings.RUN_AS_HELPER = tmp_path / "v1" / "jobmon-as"
    back_ends.forget()
    numbers: list[int] = []

    def send(task: str, **fields: Any) -> None:
        numbers.append(fields.get("piece_id", 0))

    monkeypatch.setattr(owner_logs.bell, "send", send)
    monkeypatch.setattr(owner_logs, "KEPT_END", timedelta(hours=1))  # a slow machine must not decide
    monkeypatch.setattr(owner_logs, "KEPT", timedelta(hours=1))
    monkeypatch.setattr(owner_logs, "ASK_AGAIN", timedelta(hours=1))
    monkeypatch.setattr(owner_logs.fetch, "__defaults__", (0.0,))
    return numbers


def make_attempt(name: str = "anna") -> JobInstance:
    """Of a run that is bound to an account, on an executor that runs nothing."""
    actor = make_actor(name)
    run = start(submit([job("one", command="sleep 1")], actor, args=name), actor)
    RunAccount.objects.create(run=run, account="asmith")
    assert tick.start_jobs(run, tick.select_ready(run, tick.find_limits(run))) == 1
    return JobInstance.objects.get(workflow_run=run)


def sign_in(name: str) -> Client:
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.get_or_create(username=name)[0])
    return client


def test_a_log_is_asked_for_once_and_shown_when_it_is_there(rung: list[int]) -> None:
    attempt = make_attempt()
    client = sign_in("anna")
    path = f"/job-instances/{attempt.pk}/log/stdout/"
    rung.clear()
    assert "Being read" in client.get(path).content.decode()
    assert "Being read" in client.get(path).content.decode()
    piece = LogPiece.objects.get()
    assert rung == [piece.pk]
    assert (piece.instance_id, piece.stream, piece.offset) == (attempt.pk, "stdout", -1)
    owner_logs.answer(piece.pk, start=0, size=9, data=b"<b>hi</b>")
    assert "&lt;b&gt;hi" in client.get(path).content.decode()
    client.get(path, {"find": "hi"})
    owner_logs.answer(rung[-1], start=0, size=9, data=b"<b>hi</b>")
    assert "Found in 1 line" in client.get(path, {"find": "hi"}).content.decode()
    answer = client.get(f"/api/v1/job-instances/{attempt.pk}/log/stdout/")
    assert answer.content == b"<b>hi</b>"
    assert "/asmith/" in client.get(path).content.decode()


def test_nobody_reads_what_they_may_not_see(rung: list[int]) -> None:
    """Not even what lies in the cache already."""
    attempt = make_attempt()
    wanted = owner_logs.Wanted(attempt.pk, "stdout", -1, 64 * 1024)
    number = owner_logs.ask(wanted)
    assert number is not None
    owner_logs.answer(number, start=0, size=6, data=b"secret")
    rung.clear()
    stranger = sign_in("eve")
    for path in (f"/job-instances/{attempt.pk}/log/stdout/", f"/api/v1/job-instances/{attempt.pk}/log/stdout/"):
        answer = stranger.get(path)
        assert answer.status_code == 404
        assert b"secret" not in answer.content
    assert rung == []


def test_problems_of_a_log_are_said(rung: list[int]) -> None:
    attempt = make_attempt()
    client = sign_in("anna")
    path = f"/job-instances/{attempt.pk}/log/stderr/"
    for problem, words in (("missing", "has not started"), ("refused", "not a regular file"), ("unavailable", "sudo")):
        LogPiece.objects.all().delete()
        client.get(path)
        owner_logs.answer(LogPiece.objects.get(stream="stderr").pk, problem=problem, words=f"{words} …")
        assert words in client.get(path).content.decode()
    assert client.get(f"/api/v1/job-instances/{attempt.pk}/log/stderr/").json()["code"] == "log-refused"


def test_a_worker_reads_nothing_that_was_not_asked_for(rung: list[int]) -> None:
    owners.read_log(12345)
    wanted = owner_logs.Wanted(999, "stdout", -1, 10)
    number = owner_logs.ask(wanted)
    assert number is not None
    owners.read_log(number)
    assert LogPiece.objects.get().problem == "missing"
    LogPiece.objects.update(asked_at=timezone.now() - 2 * owner_logs.REMOVED_AFTER)
    owner_logs.remove_old()
    assert not LogPiece.objects.exists()


def map_account(*words: str) -> str:
    out = io.StringIO()
    call_command("unix_account", *words, stdout=out)
    return out.getvalue()


def test_without_an_account_the_run_is_held_and_says_so(rung: list[int], find_account: Callable[[], str]) -> None:
    actor = make_actor("anna")
    run = start(submit([job("one")], actor), actor)
    tick.advance(run.pk)
    assert not JobInstance.objects.exists()
    client = sign_in("anna")
    assert "no Unix account" in client.get("/account/").content.decode()
    assert unix_accounts.HOLD in client.get(f"/workflows/{run.workflow_id}/").content.decode()
    assert client.get(f"/api/v1/workflow-runs/{run.pk}/").json()["hold_reason"].startswith(unix_accounts.HOLD)
    account = find_account()
    assert f"run as {account}" in map_account("anna", account)
    assert account in client.get("/account/").content.decode()
    run.refresh_from_db()
    assert run.hold_reason == ""
    tick.advance(run.pk)
    assert RunAccount.objects.get(pk=run.pk).account == account
    assert JobInstance.objects.exists()


@pytest.fixture
def find_account() -> Callable[[], str]:
    """An account of this machine that is neither root's nor ours."""

    def find() -> str:
        return next(name for name in ("nobody", "daemon") if name != getpass.getuser())

    return find


def test_the_mapping_is_explicit_one_to_one_and_audited(rung: list[int], find_account: Callable[[], str]) -> None:
    make_actor("anna")
    make_actor("ben")
    assert "no Unix account" in map_account("anna")
    account = find_account()
    map_account("anna", account)
    for words in (("ben", account), ("ben", "root"), ("ben", "no-such-account"), ("nobody-here", account)):
        with pytest.raises(CommandError):
            map_account(*words)
    map_account("anna", "--remove")
    assert not UnixAccount.objects.exists()
    assert AuditEntry.objects.filter(action="map-account").count() == 2


def test_what_started_as_the_service_does_not_go_on_as_the_owner(
    rung: list[int], settings: Any, find_account: Any
) -> None:
    settings.RUN_AS = "service"
    actor = make_actor("anna")
    run = start(submit([job("one"), job("two", "one")], actor), actor)
    assert tick.start_jobs(run, tick.select_ready(run, tick.find_limits(run))) == 1
    settings.RUN_AS = "owner"
    map_account("anna", find_account())
    assert not owners.may_start(WorkflowRun.objects.get(pk=run.pk))
    run.refresh_from_db()
    assert "started as the service" in run.hold_reason
    assert AuditEntry.objects.get(action="hold").actor == "server", "nobody has held it"
    assert not RunAccount.objects.exists()


def test_a_hot_resume_stays_with_the_account(rung: list[int]) -> None:
    attempt = make_attempt()
    actor = make_actor("anna")
    lifecycle.ask_stop(attempt.workflow_run_id, "drain", actor)
    run = start(attempt.workflow_run.workflow, actor, resume="hot")
    assert RunAccount.objects.get(pk=run.pk).account == "asmith"


def test_executors_that_cannot_are_refused(rung: list[int], settings: Any) -> None:
    settings.EXECUTORS = ["local", "sequential", "sge"]
    for name, words in (("local", "as the service"), ("sequential", "as the service"), ("sge", "docs/run-as.md")):
        finding = checks.check(name)
        assert finding.verdict is checks.Verdict.WRONG
        assert words in finding.words


def test_a_server_does_not_lose_sight_of_owners_attempts(rung: list[int], settings: Any) -> None:
    make_attempt()
    settings.RUN_AS = "service"
    assert "still run as their owners" in checks.check("dummy").words
