"""What the authorization tests look at: one workflow with everything that hangs on it, and every kind of person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings as site_settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.utils import timezone

from executors.spool import attempt_folder
from tests.factories import Made, Tag, make_user, make_workflow
from workflows.access import create_token
from workflows.models import (
    ApiToken,
    AuditEntry,
    Draft,
    ErrorGroup,
    ExecutorState,
    IdSequence,
    Job,
    JobInstance,
    Operation,
    SavedFilter,
    SystemState,
    Workflow,
    WorkflowRun,
)
from workflows.queries.sessions import public_id_of

TABLE = yaml.safe_load(Path(__file__).with_name("matrix.yaml").read_text())
WATCHED = (Workflow, WorkflowRun, Job, JobInstance, Draft, Operation, AuditEntry, ErrorGroup)
HARMLESS = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK", "EXPLAIN")


@dataclass
class World:
    """A workflow of the owner with everything that hangs on it, and the people."""

    made: Made
    values: dict[str, object]
    users: dict[str, User]
    tokens: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    def url(self, route: str) -> str:
        route = re.sub(r"\(\?P<stream>[^)]*\)", "stdout", route.replace("^", "").removesuffix("$"))
        filled = re.sub(r"\(\?P<(\w+)>[^)]*\)|<\w+:(\w+)>", lambda match: str(self.values[match[1] or match[2]]), route)
        return "/" + filled + (f"?dag_id={self.made.workflow.dag_id}" if filled == "jobs/" else "")

    def client(self, who: str, is_api: bool) -> Client:
        """Pages know sessions, the API tokens; a token that is shown to a page opens nothing."""
        client = Client(HTTP_HOST="127.0.0.1", raise_request_exception=True)
        if who in self.tokens and (is_api or who not in self.users):
            client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens[who]}"
        elif who in self.sessions:
            client.cookies[site_settings.SESSION_COOKIE_NAME] = self.sessions[who]
        return client


def build_world() -> World:
    """Files go below SPOOL."""
    owner, twin = make_user("alice"), make_user("eve")
    users = {"owner": owner, "disabled user": twin, "stranger": make_user("mallory")}
    users["staff"] = make_user("root", is_staff=True)
    users["admin"] = make_user("toor", is_admin=True)
    team, auditors = Group.objects.create(name="fits"), Group.objects.create(name=site_settings.AUDITORS_GROUP)
    for who, group in (("reader", team), ("operator", team), ("auditor", auditors)):
        users[who] = make_user(who)
        users[who].groups.add(group)
    users["disabled user"].groups.add(team, auditors)
    made = make_workflow(owner, [Tag("fit", {"D": 2, "F": 1, "R": 1, "G": 1})], name="Fits")
    Workflow.objects.update(group=team)
    world = World(made, {}, users)
    for who in users:
        world.tokens[who] = create_token(users[who], "test")
    for scope, who in (("read", "read-only token"), ("submit", "submit token")):
        world.tokens[who] = create_token(owner, who, scope)
    world.tokens["expired token"] = create_token(owner, "old", "operate", timedelta(seconds=-1))
    world.values = fill(made, owner)
    sign_in(world)
    world.values["public_id"] = public_id_of(sign_in_once(owner))
    return world


def sign_in(world: World) -> None:
    """Every person once, and one of them is disabled afterwards: what a sign-in costs is not paid for each call."""
    for who, user in world.users.items():
        world.sessions[who] = sign_in_once(user)
    User.objects.filter(pk=world.users["disabled user"].pk).update(is_active=False)


def sign_in_once(user: User) -> str:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return str(client.cookies[site_settings.SESSION_COOKIE_NAME].value)


def fill(made: Made, owner: User) -> dict[str, object]:
    now, attempt = timezone.now(), made.instance("E")
    for stream in ("out", "err"):
        file = attempt_folder(Path(site_settings.SPOOL), attempt.pk) / stream
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("said\n")
    SystemState.objects.update_or_create(name="sweep", defaults={"at": now})
    ExecutorState.objects.update_or_create(name="local", defaults={"kind": "local"})
    IdSequence.objects.update_or_create(name="job", defaults={"next_id": 1_000_000})  # the factory takes none from it
    draft = Draft.objects.create(owner=owner, created_at=now, header={"workflow_args": "d"})
    operation = Operation.objects.create(
        workflow=made.workflow,
        user=owner,
        action="retry",
        state="draft",
        said="1 job",
        created_at=now,
        options={"counts": [], "samples": []},
    )
    create_token(owner, "to be revoked")
    assert made.run is not None
    return {
        "workflow_id": made.workflow.pk, "run_id": made.run.pk, "job_id": made.job("F").pk, "instance_id": attempt.pk,
        "group_id": made.workflow.error_groups.get().pk, "draft_id": draft.pk, "number": 0, "key": operation.uuid,
        "slug": save_filter(owner).slug, "name": "local", "host": "c041",
        "prefix": ApiToken.objects.get(name="to be revoked").prefix,
    }  # fmt: skip


def save_filter(owner: User) -> SavedFilter:
    return SavedFilter.objects.create(
        owner=owner, slug="kept", name="kept", list_name="workflows", query="mine=1", created_at=timezone.now()
    )


def snapshot() -> dict[str, Any]:
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in WATCHED}
    ignored = ("last_used_at", "last_used_from")
    tokens = ApiToken.objects.order_by("pk").values()
    rows["ApiToken"] = [{name: value for name, value in row.items() if name not in ignored} for row in tokens]
    return rows


class Writes:
    """Notes whether any statement did more than read. Sessions and the last use of a token do not count: they are no
    part of a snapshot."""

    def __init__(self) -> None:
        self.found = False
        names = [ApiToken._meta.db_table, "django_session"]
        self._own = re.compile(rf"(INSERT INTO|UPDATE|DELETE FROM) [`\"]({'|'.join(names)})[`\"]")

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        is_read = sql.lstrip("( ").upper().startswith(HARMLESS)
        is_use = self._own.match(sql) is not None and ("last_used_at" in sql or "django_session" in sql)
        self.found = self.found or not (is_read or is_use)
        return execute(sql, params, many, context)


@contextmanager
def watch_writes() -> Iterator[Writes]:
    """Rows change by statements only: where none was issued, none has changed."""
    writes = Writes()
    with connection.execute_wrapper(writes):
        yield writes
