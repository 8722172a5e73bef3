"""Hostile text in every field that people and jobs can fill, on every page in Chromium: it is text, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import models
from django.utils import timezone

from executors.spool import attempt_folder
from tests.factories import Made, Tag, make_user, make_workflow
from tests.pages.conftest import OpenPage, visit_all
from tests.pages.test_smoke import urls_of
from workflows import saved_filters
from workflows.models import (
    ApiToken,
    AuditEntry,
    ErrorGroup,
    ExecutorState,
    HostExclusion,
    Job,
    JobGroup,
    JobInstance,
    JobInstanceErrorLog,
    LogPiece,
    MailSettings,
    Operation,
    OperationItem,
    RunAccount,
    RunForecast,
    RunStall,
    SavedFilter,
    TaskDag,
    UnixAccount,
    Workflow,
    WorkflowRun,
)
from workflows.scheduling import executor_minutes, stored_facts
from workflows.scheduling.workers import note_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

HOSTILE = (
    "</pre></title><script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)>"
    "<a hx-get=/logout/ hx-trigger=load autofocus onfocus=alert(3)>{{ 7|add:1 }}{% debug %}${7*7}"
    "\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b\\\x1b[2J\u202eevil\u2066\u200f"
)
LONG_LINE = 10 * 1024 * 1024
# Fields that hold words of ours, or keys: nobody can put text of their own there
OURS = {
    "status", "state", "ErrorGroup.reason", "JobInstance.reason", "action", "via", "scope", "resume", "stopping", "phase", "kill_then", "executor_type",
    "dag_hash", "workflow_hash", "job_hash", "fingerprint", "prefix", "secret_hash", "slug", "list_name", "lease_owner",
    "outcome", "result", "kind", "query",
}  # fmt: skip
FILLED = (
    Workflow, WorkflowRun, Job, JobGroup, JobInstance, JobInstanceErrorLog, ErrorGroup, Operation, OperationItem, TaskDag,
    SavedFilter, HostExclusion, ExecutorState, AuditEntry, ApiToken, Group, RunForecast, MailSettings, UnixAccount, RunAccount,
    LogPiece, RunStall,
)  # fmt: skip

# Tables of which no page shows a text
NOT_SHOWN = (
    "ExternalIdentity", "IdempotencyRecord", "Preferences", "SignInLink", "JobStatusLabel", "JobInstanceStatusLabel",
    "WorkflowStatusLabel", "WorkflowRunStatusLabel", "DatabaseEpoch", "Notice",
    "ExecutorMinute",
)  # fmt: skip


def free_texts(model: type[models.Model]) -> list[models.Field]:
    """The fields that hold text of people and jobs."""
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField)
        and not field.primary_key
        and not {field.name, f"{model.__name__}.{field.name}"} & OURS
    ]


def fill(model: type[models.Model]) -> None:
    """Hostile text in all of the model's free text, in all its rows."""
    for field in free_texts(model):
        for row in model._default_manager.all():
            text = f"{row.pk}{HOSTILE}" if field.unique or field.name in ("name", "command", "host") else HOSTILE
            model._default_manager.filter(pk=row.pk).update(**{field.attname: text[: field.max_length]})


@pytest.fixture
def owner(db: None) -> User:
    """Sees every page."""
    return make_user("alice", is_admin=True)


@pytest.fixture
def made(owner: User) -> Made:
    made = make_workflow(
        owner, [Tag("clean", {"D": 2, "F": 2}), Tag("fit", {"R": 2, "G": 2, "E": 1}, ("clean",))], runs=2
    )
    owner.groups.add(Group.objects.create(name="fits"))
    Workflow.objects.filter(pk=made.workflow.pk).update(group=owner.groups.get())
    values = {"token_prefix": "abcd", "workflow_id": made.workflow.pk, "job_count": 2, "at": timezone.now()}
    AuditEntry.objects.create(
        actor="alice", via="page", action="start-run", before={HOSTILE: HOSTILE}, after={HOSTILE: [HOSTILE]}, **values
    )
    ApiToken.objects.create(user=owner, name="x", prefix="abcdefgh", secret_hash="0" * 64, created_at=timezone.now())
    ExecutorState.objects.create(name="local", kind="local", failures_in_a_row=3, failed_at=timezone.now(), max_live=3,
                                 counts={HOSTILE: 2})  # fmt: skip
    note_worker(HOSTILE)
    facts = {"redis_version": HOSTILE, "redis_memory": 1, "redis_clients": 1, "database": HOSTILE}
    stored_facts.note_sweep(facts)
    executor_minutes.note_minute("local", timezone.now(), 1, 2)
    saved_filters.save(owner, "jobs", "mine", "status=F")
    RunStall.objects.create(run=made.run, kind="x", words="x", since=timezone.now(), noted_at=timezone.now())
    soon = timezone.now() + timedelta(hours=1)
    RunForecast.objects.update_or_create(
        run=made.run, defaults={"made_at": timezone.now(), "earliest": soon, "latest": soon, "bound_by": "x"}
    )
    return made


def fill_all(made: Made) -> None:
    for model in FILLED:
        fill(model)
    attributes = {HOSTILE: HOSTILE, "plain": HOSTILE}
    Workflow.objects.update(attributes=attributes, name=HOSTILE, executor="local")
    Job.objects.update(attributes=attributes, executor="")
    WorkflowRun.objects.update(executor="local")
    ErrorGroup.objects.update(hosts={HOSTILE: 3})
    write_output(made.instance("E"))


def write_output(attempt: JobInstance) -> None:
    """Hostile lines, and a line of 10 MB between them."""
    JobInstance.objects.filter(pk=attempt.pk).update(stdout_path="", stderr_path="")
    folder: Path = attempt_folder(Path(settings.SPOOL), attempt.pk)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("out", "err"):
        (folder / name).write_text(f"{HOSTILE}\n{'<b>' * (LONG_LINE // 3)}\n{HOSTILE}\n", encoding="utf-8")


def test_no_text_of_people_or_jobs_is_forgotten() -> None:
    """A new model with text of its own is either filled here, or named as one that no page shows."""
    with_text = {model for model in apps.get_app_config("workflows").get_models() if free_texts(model)}
    assert with_text - set(FILLED) - {apps.get_model("workflows", name) for name in NOT_SHOWN} == set()


def test_hostile_text_is_text_on_every_page(open_page: OpenPage, made: Made, tmp_path: Path, settings) -> None:
    """The fixture fails for any dialog, script error, or request to another site."""
    settings.SPOOL = tmp_path / "spool"
    urls = urls_of(made)
    fill_all(made)
    more = {
        "search, hostile": f"/search/?q={HOSTILE[:80].replace('#', '')}",
        "chips, hostile": f"/workflows/{made.workflow.pk}/jobs/?q=%3Cscript%3Ealert(1)%3C/script%3E&x=%22%3E%3Cimg%20src=x%3E",
        "stderr": urls["log-stdout"].replace("stdout", "stderr"),
    }
    shown = 0
    for name, page in visit_all(open_page, {**urls, **more}):
        assert page.locator("h1").count() == 1, name
        found = page.evaluate("""() => ({
            elements: [...document.querySelectorAll('script:not([src]), img, [onerror], [onfocus], [hx-get="/logout/"], main iframe')].map(e => e.outerHTML.slice(0, 200)),
            text: document.body.innerText,
        })""")
        assert found["elements"] == [], name
        assert not set("\x1b\x07\u202e\u2066") & set(found["text"]), name
        assert "8add" not in found["text"], name
        shown += "<script>alert(1)" in found["text"]
    assert shown > len(urls) // 2  # the text is there, on most pages, as it was written
