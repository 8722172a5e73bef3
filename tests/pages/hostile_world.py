"""A site in which everything that can be written is hostile: two workflows with all that hangs on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import models
from django.utils import timezone

from executors.spool import attempt_folder
from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.pages.hostile_fields import Field, Words, field_of, fill
from tests.pages.test_smoke import urls_of
from workflows import saved_filters
from workflows.models import (
    ApiToken,
    ExecutorState,
    HostExclusion,
    Job,
    JobInstance,
    MailSettings,
    Notice,
    Operation,
    OperationItem,
    RunForecast,
    RunStall,
    SavedFilter,
    SystemState,
    UnixAccount,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling import executor_minutes, stored_facts
from workflows.scheduling.workers import note_worker

LONG_LINE = 10 * 1024 * 1024
AUDITED = ("start-run", "hold", "release", "set-limits", "stop-kill", "kill-attempts", "change-requests", "reset")
# Half of the rows keep these: what they say decides what else a page shows
STEERING = (
    "workflows.JobInstance.reason",
    "workflows.AuditEntry.action", "workflows.SavedFilter.query",
    "workflows.AuditEntry.target", "workflows.Workflow.name", "workflows.WorkflowRun.resume",
)  # fmt: skip


@dataclass
class World:
    owner: User
    first: Made  # under an executor of this site
    second: Made  # under one that has a hostile name
    urls: dict[str, str]
    kept: dict[str, set[Any]]


def build_world(owner: User) -> World:
    """Harmless still; files go below SPOOL."""
    first = _make_workflow(owner, "fit")
    second = _make_workflow(owner, "map")
    _make_people(owner, first, second)
    _make_system(owner, first)
    for made in (first, second):
        _make_states(made)
    urls = urls_of(first)
    _write_files(first, ["said"])
    for kind in AUDITED * 2:
        make_audit(first.workflow, kind, target="run 1", job_count=2)
    _end_operations()
    return World(owner, first, second, {**urls, **_more_urls(first, second)}, _kept(first))


def _make_workflow(owner: User, name: str) -> Made:
    counts = {"D": 2, "F": 3, "R": 2, "I": 2, "E": 1, "G": 2}
    reasons = ("exit", "refused", "killed", "lost")
    tags = [Tag(f"{name}_a", {"D": 2, "F": 2}), Tag(f"{name}_b", counts, (f"{name}_a",), reasons)]
    return make_workflow(owner, tags, runs=3, name=name)


def _make_people(owner: User, first: Made, second: Made) -> None:
    now, other = timezone.now(), make_user("bob")
    for made, name in ((first, "fits"), (second, "maps")):
        group = Group.objects.create(name=name)
        owner.groups.add(group)
        Workflow.objects.filter(pk=made.workflow.pk).update(group=group, group_may_operate=True)
    for user, prefix in ((owner, "abcdefgh"), (other, "hgfedcba")):
        ApiToken.objects.create(
            user=user, name="x", prefix=prefix, secret_hash="0" * 64, created_at=now, last_used_at=now
        )
        UnixAccount.objects.create(user=user, account=f"u{user.pk}", verified_at=now, verified_by="root")
        for list_name in ("workflows", "jobs"):
            for name in ("one", "two"):
                saved_filters.save(user, list_name, name, "status=F")
    SavedFilter.objects.filter(owner=other).update(is_shared=True)
    MailSettings.objects.create(user=owner, since=now, verified_at=now)
    for number in range(2):
        Notice.objects.create(
            user=owner, event=str(number), kind="stall", workflow_id=1, words="x", path="/x/", created_at=now,
            state_at=now, state="given-up",
        )  # fmt: skip


def _make_system(owner: User, first: Made) -> None:
    now, long_ago = timezone.now(), timezone.now() - timedelta(hours=2)
    for name in ("local", "sge", "x"):
        values = {"kind": "sge", "failures_in_a_row": 3, "failed_at": now, "polled_at": long_ago, "held_at": now,
                  "max_live": 3, "live": 3, "reasons_due_at": now}  # fmt: skip
        ExecutorState.objects.create(name=name, hold_reason="x", failure="x", **values)
    for host in (first.instance("E").nodename, "other"):
        HostExclusion.objects.create(executor="local", host=host, changed_at=now)
    note_worker("worker")
    stored_facts.note_sweep({"redis_version": "7", "redis_memory": 1, "redis_clients": 1, "database": "SQLite"})
    executor_minutes.note_minute("local", now, 1, 2)


def _make_states(made: Made) -> None:
    """What pages tell of runs and attempts in trouble."""
    now, run = timezone.now(), made.run
    assert run is not None
    long_ago = now - timedelta(hours=1)  # nobody has come since
    WorkflowRun.objects.filter(pk=run.pk).update(held_at=now, hold_reason="x", lease_expires_at=long_ago)
    WorkflowRun.objects.filter(workflow=made.workflow).exclude(pk=run.pk).update(
        stopping="kill", stop_asked_at=now, stop_asked_by="x"
    )
    live = JobInstance.objects.filter(workflow_run=run, ended_at=None).order_by("pk")
    for number, attempt in enumerate(live):
        phase, asked = ("stuck", None) if number % 2 else ("", now)
        JobInstance.objects.filter(pk=attempt.pk).update(phase=phase, kill_asked_at=asked, kill_then="fail")
    Job.objects.filter(dag_id=made.workflow.dag_id, status="D").update(marked_done_by="x")
    RunStall.objects.create(run=run, kind="x", words="x", since=now, noted_at=now)
    RunForecast.objects.update_or_create(
        run=run, defaults={"made_at": now, "earliest": now, "latest": now + timedelta(hours=1), "bound_by": "x"}
    )


def _end_operations() -> None:
    """One that failed, with jobs left out; a draft and one that is being collected stay as they are."""
    done = Operation.objects.exclude(confirmed_at=None).get()
    done.items.update(outcome="skipped")
    Operation.objects.filter(pk=done.pk).update(state="failed", ended_at=timezone.now(), problem="x", skipped=2)
    old = timezone.now() - timedelta(minutes=1)
    values = {
        "user": done.user,
        "created_at": old,
        "confirmed_at": old,
        "ended_at": old,
        "action": "retry",
        "said": "x",
    }
    stopped = Operation.objects.create(workflow=done.workflow, state="stopped", jobs=1, **values)
    OperationItem.objects.create(operation=stopped, job_id=1, outcome="skipped", why="x")


def _more_urls(first: Made, second: Made) -> dict[str, str]:
    done, other = Operation.objects.get(state="failed"), second.workflow.pk
    assert second.run is not None and first.run is not None
    urls = {
        "operation, skipped": f"/operations/{done.uuid}/?outcome=skipped",
        "operation, stopped": f"/operations/{Operation.objects.get(state='stopped').uuid}/",
        "run before": f"/workflow-runs/{first.run.pk - 1}/",
        "token of another": "/tokens/hgfedcba/revoke/",
        "mail confirmed": "/account/mail/confirm/?code=%3Cu%3E%22",
        "once": "/login/once/?code=%3Cu%3E%22",
        "api docs": "/api/docs/",
        "jobs of a graph": f"/jobs/?dag_id={first.workflow.dag_id}",
        "second": f"/workflows/{other}/",
        "second, run": f"/workflow-runs/{second.run.pk}/",
        "second, attempt": f"/job-instances/{second.instance('R').pk}/",
        "timeline, by host": f"/workflows/{first.workflow.pk}/timeline/?by=host",
        "all columns": f"/workflows/{first.workflow.pk}/jobs/?cols={quote(','.join(_columns()))}",
    }
    for letter in "DFRIEG":
        urls[f"job, {letter}"] = f"/jobs/{first.job(letter).pk}/"
        urls[f"second, job, {letter}"] = f"/jobs/{second.job(letter).pk}/"
    for letter in "DERB":
        urls[f"attempt, {letter}"] = f"/job-instances/{first.instance(letter).pk}/"
    return urls


def _columns() -> list[str]:
    from workflows.tables import JobTable

    return [str(name) for name in JobTable.base_columns]


def _kept(first: Made) -> dict[str, set[Any]]:
    attempts = JobInstance.objects.filter(workflow_run__workflow=first.workflow).values_list("pk", flat=True)
    kept: dict[str, set[Any]] = {
        "workflows.JobInstance.executor_type": set(attempts),
        "workflows.WorkflowRun.executor": set(first.workflow.runs.values_list("pk", flat=True)),
        "workflows.Workflow.executor": {first.workflow.pk},
        "workflows.HostExclusion.executor": set(HostExclusion.objects.values_list("pk", flat=True)[:1]),
        "workflows.Job.executor": set(Job.objects.filter(dag=first.workflow.dag).values_list("pk", flat=True)),
    }
    for label in STEERING:
        model = field_of(label).model
        kept[label] = set(list(model._default_manager.order_by("pk").values_list("pk", flat=True))[::2])
    kept["workflows.JobInstance.reason"] |= set(JobInstance.objects.filter(reason="").values_list("pk", flat=True))
    return kept


# Values of JSON: what is written into them by its field's own text
JSON_VALUES: dict[str, Callable[[str], Any]] = {
    "workflows.Workflow.attributes": lambda text: {text: text, "plain": text},
    "workflows.Job.attributes": lambda text: {text: text, "plain": text},
    "workflows.AuditEntry.before": lambda text: {text: text, "hold": text, "note": text, "run": text, "stopping": text},
    "workflows.AuditEntry.after": lambda text: {text: [text, text], "hold": text, "note": text, "run": text, "then": text},
    "workflows.ErrorGroup.hosts": lambda text: {text: 3},
    "workflows.ExecutorState.counts": lambda text: {text: 2},
    "workflows.Operation.options": lambda text: {"counts": [[text, "F", 1]], "samples": [[text, "F", text]]},
    "workflows.SystemState.facts": lambda text: {"redis_version": text, "redis_memory": 1, "database": text},
}  # fmt: skip


def make_hostile(world: World, words: Words, number: int = 0) -> dict[str, str]:
    """This kind of text in everything; the addresses of all pages after that."""
    fill(words, world.kept, number)
    for label, value in JSON_VALUES.items():
        field = field_of(label)
        rows: models.QuerySet[Any] = field.model._default_manager.all()
        if label.endswith("facts"):
            rows = rows.filter(name="sweep")
        if label.endswith("options"):
            rows = rows.exclude(state="collecting")
        rows.update(**{field.name: value(words.text(field, number=number))})
    _fill_names(words, number)
    _write_streams(world, words, number)
    attempts = JobInstance.objects.filter(pk=world.first.instance("E").pk)
    host = attempts.get().nodename.replace("/", "|")  # as part of an address
    attempts.update(nodename=host)
    HostExclusion.objects.filter(executor="local").update(host=host)
    return {**world.urls, "host": f"/hosts/local/{quote(host, safe='')}/"}


def _fill_names(words: Words, number: int) -> None:
    """Rows that are found by a name, which is their key."""
    field = field_of("ExecutorState.name")
    rows = ExecutorState.objects.exclude(name__in=("local", "sge"))
    rows.update(name=words.text(field, number=number))
    worker: Field = field_of("SystemState.name")
    name = words.bare("worker " + worker.mark, 150, number)
    SystemState.objects.filter(name__startswith="worker ").update(name=name)


def _write_streams(world: World, words: Words, number: int) -> None:
    """What an attempt wrote: short lines, and one of 10 MB."""
    field = field_of("JobInstanceErrorLog.description")
    JobInstance.objects.filter(pk=world.first.instance("E").pk).update(stdout_path="", stderr_path="")
    lines = [words.text(field, row, number + row) for row in range(5)]
    _write_files(world.first, [*lines[:3], "<b>" * (LONG_LINE // 3), *lines[3:]])


def _write_files(made: Made, lines: list[str]) -> None:
    folder: Path = attempt_folder(Path(settings.SPOOL), made.instance("E").pk)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("out", "err"):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
