"""Each field that people, jobs, batch systems or older releases can fill, by itself: on every page its text is text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.urls import resolve
from playwright.sync_api import Page
from rest_framework import serializers

from tests.api.world import TABLE
from tests.factories import make_user
from tests.pages.conftest import OpenPage, visit_all
from tests.pages.hostile_fields import (
    END,
    FOREIGN,
    MARK,
    OURS,
    START,
    Words,
    all_labels,
    fields,
    reason_to_skip,
)
from tests.pages.hostile_world import JSON_VALUES, World, build_world, make_hostile
from tests.pages.payloads import PAYLOADS, as_many_as_fit
from workflows.api.schema import inputs

LOOK = Path(__file__).with_name("look_for_hostile.js").read_text(encoding="utf-8")
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MARKUP = (
    "\"'><u data-pwned onfocus=pwned=1 autofocus hx-get=/logout/ hx-trigger=load></pre></title><script>pwned=1</script>"
    "<img src=//evil.example/x onerror=pwned=1>{{ 7|add:1 }}{% debug %}\x1b[31mred\x1b]8;;http://evil.example\x07x\x1b\\"
    "\x1b[2J\x9b1m\r\x7f" + "W" * 300
)
SHORT_MARKUP = ("<u>", "\"u='", "{{7}}", "\x1b[2J")
# Letters and marks that turn what is beside them around, digits at both ends, and a word that nothing breaks
BIDI = "1 \u05d0\u05d1 2\u202e\u2066\u200f\u0627\u0628 (3) \u202b\u061c" + "\u05d0" * 300 + " 4\u05d1\u200f"


def _cut(long: str, short: tuple[str, ...]) -> Words:
    return Words(lambda room, number: long[:room] if room > 60 else short[number % len(short)][:room])


KINDS = {"markup": _cut(MARKUP, SHORT_MARKUP), "bidi": _cut(BIDI, ("\u05d0\u200f", "2\u202e\u05d1"))}
# Fields that are filled and whose text no page shows. A page that begins to show one is found here
NOT_ON_PAGES = {
    "auth.User.email": "Mail goes to MailSettings.address.",
    "auth.User.first_name": "People are known by their user names.",
    "auth.User.last_name": "People are known by their user names.",
    "workflows.AuditEntry.address": "For administrators, in exports and the API.",
    "workflows.ErrorGroup.fingerprint": "A hash.",
    "workflows.Job.job_hash": "A hash.",
    "workflows.JobInstance.batch": "A key of ours.",
    "workflows.Notice.digest": "Names a mail.",
    "workflows.Notice.event": "Names an event for ever.",
    "workflows.Operation.address": "Goes into the audit.",
    "workflows.Operation.request_id": "Goes into the audit.",
    "workflows.Operation.token_prefix": "Goes into the audit.",
    "workflows.Operation.via": "Goes into the audit.",
    "workflows.RunStall.kind": "A word of ours; the words beside it are shown.",
    "workflows.TaskDag.dag_hash": "A hash.",
    "workflows.TaskDag.name": "Of its workflow, whose own is shown.",
    "workflows.TaskDag.user": "Of its workflow, whose own is shown.",
    "workflows.Workflow.home": "For its jobs.",
    "workflows.Workflow.path": "For its jobs.",
    "workflows.Workflow.workflow_hash": "A hash.",
    "workflows.WorkflowRun.home": "For its jobs.",
    "workflows.WorkflowRun.path": "For its jobs.",
}
# Where the text of a request's field is kept; a sentence where it is not
KEPT_IN = {
    **{f"WorkflowHeader.{name}": f"Workflow.{name}" for name in (
        "workflow_args", "name", "description", "project", "stdout", "stderr", "working_dir", "executor", "home", "path",
        "attributes")},
    "WorkflowHeader.tag_limits": "JobGroup.name",
    "WorkflowHeader.tag_executors": "JobGroup.name",
    "WorkflowHeader.group": "auth.Group.name",
    **{f"JobInput.{name}": f"Job.{name}" for name in ("name", "command", "tag", "executor", "attributes")},
    "JobInput.upstreams": "Job.name",
    "JobInput.env_variables": "Job.command",
    **{f"RunInput.{name}": f"WorkflowRun.{name}" for name in (
        "executor", "project", "stdout", "stderr", "working_dir", "home", "path", "hostname")},
    "RunInput.tags": "WorkflowRun.scope",
    "DoneInput.note": "AuditEntry.after",
    "LimitsInput.tag_limits": "JobGroup.name",
    "HoldInput.reason": "WorkflowRun.hold_reason",
    "NoteInput.note": "Workflow.note",
    "SharingInput.group": "auth.Group.name",
    "ErrorGroupChange.note": "ErrorGroup.note",
    "TokenInput.name": "ApiToken.name",
    "TokenInput.password": "It is compared and never kept.",
    "OperationInput.filters": "Operation.said",
    "OperationConfirmation.note": "Operation.options",
    "HoldChange.reason": "ExecutorState.hold_reason",
    "HostChange.reason": "HostExclusion.reason",
}  # fmt: skip
OTHER_ROUTES = {
    "": "Sends on to the list.",
    "healthz": "No page.",
    "readyz": "No page.",
    "metrics": "No page.",
    "login/": "Shows nothing that is stored.",
}


@pytest.fixture
def owner(db: None) -> User:
    """Sees every page."""
    return make_user("alice", is_admin=True)


@pytest.fixture
def world(owner: User, tmp_path: Path, settings: Any) -> World:
    settings.SPOOL = tmp_path / "spool"
    settings.RUN_AS = "owner"
    return build_world(owner)


def look(page: Page) -> dict[str, Any]:
    return dict(page.evaluate(LOOK, [START, END]))


def problems_of(seen: dict[str, Any], width: int) -> list[str]:
    found = [f"became more than text: {html}" for html in seen["planted"]]
    found += [f"turns its neighbours around: {text}" for text in seen["loose"]]
    found += ["a script ran"] if seen["ran"] else []
    unseen = UNSEEN.findall(seen["text"] + seen["title"])
    found += [f"unseen characters: {unseen[:5]}"] if unseen else []
    return found + ([f"{seen['width']} pixels wide: {seen['wide']}"] if seen["width"] > width else [])


def visit_hostile(open_page: OpenPage, world: World, words: Words, number: int, width: int) -> set[str]:
    """The marks of the fields that are shown somewhere; anything that is more than text fails."""
    shown: set[str] = set()
    problems: dict[str, list[str]] = {}
    for name, page in visit_all(open_page, make_hostile(world, words, number), width=width):
        seen = look(page)
        shown |= set(MARK.findall(seen["html"]))
        for problem in (
            problems_of(seen, width) if page.locator("h1").count() == 1 or name == "api docs" else ["no page"]
        ):
            problems.setdefault(problem, []).append(name)
    assert not problems, "\n" + "\n".join(f"{_named(text)}   on {', '.join(on)}" for text, on in problems.items())
    return shown


def _named(problem: str) -> str:
    """With the names of the fields instead of their marks."""
    labels = {field.mark[1:]: field.label for field in fields()}
    return MARK.sub(lambda found: f"[{labels.get(found[1], found[1])}]", problem)


def test_every_field_is_filled_or_excused() -> None:
    """A new column of text is filled by itself; a new column of JSON needs a value, and an excuse a column."""
    assert {label for label in all_labels() if not reason_to_skip(label)} == {field.label for field in fields()}
    structured = {field.label for field in fields() if isinstance(field.column, models.JSONField | models.BinaryField)}
    assert structured == set(JSON_VALUES)
    for excuse in (*OURS, *NOT_ON_PAGES):
        assert any(label == excuse or label.startswith(f"{excuse}.") for label in all_labels()), excuse
    assert {label.partition(".")[0] for label in all_labels()} >= set(FOREIGN)


def texts_of_requests() -> dict[str, str]:
    """Every field of a request's body that takes words, with the class that first has it."""
    found = {}
    for serializer in (item for item in vars(inputs).values() if isinstance(item, type)):
        if not issubclass(serializer, serializers.Serializer) or serializer.__module__ != inputs.__name__:
            continue
        for name, field in serializer._declared_fields.items():
            holder = next(
                base.__name__ for base in reversed(serializer.__mro__) if name in getattr(base, "_declared_fields", {})
            )
            if takes_words(field):
                found[f"{holder}.{name}"] = name
    return found


def takes_words(field: serializers.Field[Any, Any, Any, Any]) -> bool:
    if isinstance(field, serializers.DictField):
        return True  # its keys are words
    if isinstance(field, serializers.ListField):
        return takes_words(field.child)
    return isinstance(field, serializers.CharField | serializers.JSONField)


def test_every_text_of_a_request_is_filled_where_it_is_kept() -> None:
    """A new field of the API has to say which column holds its text; that one is filled, or excused there."""
    assert sorted(texts_of_requests()) == sorted(KEPT_IN)
    known = {label.removeprefix("workflows.") for label in all_labels()}
    assert {column for column in KEPT_IN.values() if column and "." in column and " " not in column} <= known


def test_every_page_is_opened(world: World) -> None:
    """Those of tests/api/matrix.yaml that answer GET."""
    opened = {resolve(re.sub(r"\?.*", "", url)).route for url in world.urls.values()}
    wanted = {route for route, methods in TABLE["pages"].items() if "GET" in methods or "ANY" in methods}
    assert {_plain(route) for route in wanted} - {_plain(route) for route in opened} == set(OTHER_ROUTES)


def _plain(route: str) -> str:
    return re.sub(r"\(\?P<(\w+)>[^)]*\)|<\w+:(\w+)>", r"<\1\2>", route).strip("^$")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_is_text_in_every_field(open_page: OpenPage, world: World, kind: str) -> None:
    """On a phone's width. The fixture fails for dialogs, errors, breaches of the policy and requests to other sites."""
    shown = visit_hostile(open_page, world, KINDS[kind], 0, 390)
    hidden = {field.label for field in fields() if field.mark[1:] not in shown}
    assert sorted(hidden) == sorted(NOT_ON_PAGES)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(900)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", range(0, len(PAYLOADS), 6))
def test_every_payload_is_text_in_every_field(open_page: OpenPage, world: World, first: int) -> None:
    """Each field by another one of sixty; long ones hold all of them."""
    words = Words(lambda room, number: as_many_as_fit(room, first + number))
    visit_hostile(open_page, world, words, first, 1440)
