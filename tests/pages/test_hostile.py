"""Hostile text in every field that people and jobs can fill, on every page in Chromium: it is text, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import models
from django.test import Client
from django.utils import timezone

from executors.spool import attempt_folder
from tests.factories import Made, Tag, make_user, make_workflow
from tests.pages.conftest import OpenPage, visit_all
from tests.pages.payloads import PAYLOADS, as_many_as_fit
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
            text += "" if field.max_length else as_many_as_fit(None, 0)
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
    lines = [HOSTILE, "<b>" * (LONG_LINE // 3), HOSTILE, *PAYLOADS, HOSTILE]
    for name in ("out", "err"):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


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


# Payload by payload, without a browser: what is on a page is what would be there with harmless text.


class Pieces(HTMLParser):
    """The kinds of elements of a page: their names with those of their attributes, and where `javascript:` leads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, ...]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, *sorted(name for name, _ in attrs)))
        for name, value in attrs:
            is_address = name in ("href", "src", "action", "formaction")
            if is_address and re.match(r"\s*(javascript|data|vbscript):", value or "", re.IGNORECASE):
                self.found.add((tag, name, str(value)[:60]))


def pieces_of(client: Client, urls: dict[str, str]) -> dict[str, set[tuple[str, ...]]]:
    found = {}
    for name, url in urls.items():
        pieces = Pieces()
        response = client.get(url)
        assert response.status_code == 200, (name, response.status_code)
        pieces.feed(response.content.decode())
        found[name] = pieces.found
    return found


def put_everywhere(made: Made, text_for: Callable[[int | None, int], str], first: int) -> None:
    """In every field its own texts, so that each field has had all of them after some rounds."""
    number = first
    for model in FILLED:
        for field in free_texts(model):
            for row in model._default_manager.all():
                is_one = field.unique or field.name in ("name", "command", "host")
                start, number = f"{row.pk}" if is_one else "", number + 1
                length = None if field.max_length is None else field.max_length - len(start)
                text = start + text_for(length, first + number)
                model._default_manager.filter(pk=row.pk).update(**{field.attname: text})
    Workflow.objects.update(executor="local")
    WorkflowRun.objects.update(executor="local")
    Job.objects.update(executor="")
    for name in ("out", "err"):
        file = attempt_folder(Path(settings.SPOOL), made.instance("E").pk) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_for(None, first), encoding="utf-8")
    JobInstance.objects.update(stdout_path="", stderr_path="")


def harmless(length: int | None, first: int) -> str:
    """As long as what will be in its place, so that what is cut is cut."""
    return "x" * len(as_many_as_fit(length, first))


ROUNDS = [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 60))]


def test_there_are_sixty_different_texts() -> None:
    assert len(set(PAYLOADS)) == 60


@pytest.mark.parametrize("first", ROUNDS)
def test_no_text_makes_an_element_or_an_attribute(
    owner: User, made: Made, tmp_path: Path, settings, first: int
) -> None:
    settings.SPOOL = tmp_path / "spool"
    client, urls = Client(HTTP_HOST="127.0.0.1"), urls_of(made)
    client.force_login(owner)
    put_everywhere(made, harmless, first)
    before = pieces_of(client, urls)
    put_everywhere(made, as_many_as_fit, first)
    after = pieces_of(client, urls)
    known = set().union(*before.values())
    assert {name: found - known for name, found in after.items() if found - known} == {}
