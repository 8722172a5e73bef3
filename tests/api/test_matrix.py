"""The authorization matrix: every route of the URL resolver, method and person, against matrix.yaml.

Kinds: `public` anybody; `harmless` the same, or a refusal; `signed-in` whoever is; `submits` all of these but
auditors; `staff`, `admin`, and `staff-or-404` where not even the address is admitted.
Of a workflow: `see`, `stop`, `operate`, `owner`, each narrower than the one before; who sees it but may not gets 403.
`mine` is what belongs to one person and exists for nobody else, staff included; `personal` the same, where an auditor
may act too. A word after it is the scope that a token needs.
Who may not see a thing gets 404. A refused call, and every reading one, leaves all rows as they were. Everything twice:
where everybody reads everything, and where only the group does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as site_settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
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

pytestmark = pytest.mark.django_db
TABLE = yaml.safe_load(Path(__file__).with_name("matrix.yaml").read_text())
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")
REFUSED = (401, 403, 404, 405)
WATCHED = (Workflow, WorkflowRun, Job, JobInstance, Draft, Operation, AuditEntry, ErrorGroup)
PEOPLE = (
    "anonymous", "expired token", "disabled user", "stranger", "reader", "operator", "auditor", "owner", "staff", "admin",
    "read-only token", "submit token",
)  # fmt: skip
FEW = ("anonymous", "stranger", "owner", "admin")  # for methods that are refused anyway
EVERYBODY = ("anonymous", "disabled user", "stranger", "reader", "auditor", "owner", "staff")
OWNERS = {"owner", "read-only token", "submit token"}
SEES = {"reader", "operator", "auditor", "staff", "admin", *OWNERS}
MAY = {
    "see": SEES,
    "stop": {"operator", "staff", "admin", *OWNERS},
    "operate": {"operator", *OWNERS},
    "owner": OWNERS,
    "submits": {*SEES, "stranger"} - {"auditor"},
    "staff": {"staff", "admin"},
    "admin": {"admin"},
}


def walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, path)
        else:
            yield path


def declared() -> dict[str, dict[str, str]]:
    return {**TABLE["pages"], **{f"api/{path}": methods for path, methods in TABLE["api"].items()}}


def test_every_route_is_declared() -> None:
    assert set(walk(get_resolver().url_patterns)) - set(declared()) == set()


def test_nothing_is_declared_that_is_not_there() -> None:
    assert set(declared()) - set(walk(get_resolver().url_patterns)) == set()


def test_every_body_belongs_to_a_call() -> None:
    calls = {f"{method} {path}" for part in ("pages", "api") for path, kinds in TABLE[part].items() for method in kinds}
    assert set(TABLE["bodies"]) - calls == set()


@dataclass
class World:
    """A workflow of the owner with everything that hangs on it, and the people."""

    made: Made
    values: dict[str, object]
    users: dict[str, User]
    tokens: dict[str, str] = field(default_factory=dict)

    def url(self, route: str) -> str:
        route = re.sub(r"\(\?P<stream>[^)]*\)", "stdout", route.replace("^", "").removesuffix("$"))
        filled = re.sub(r"\(\?P<(\w+)>[^)]*\)|<\w+:(\w+)>", lambda match: str(self.values[match[1] or match[2]]), route)
        return "/" + filled + (f"?dag_id={self.made.workflow.dag_id}" if filled == "jobs/" else "")

    def client(self, who: str, is_api: bool) -> Client:
        """Pages know sessions, the API tokens; a token that is shown to a page opens nothing."""
        client = Client(HTTP_HOST="127.0.0.1", raise_request_exception=True)
        if who in self.tokens and (is_api or who not in self.users):
            client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens[who]}"
        elif who in self.users:
            client.force_login(self.users[who])
        if who == "disabled user":
            User.objects.filter(pk=self.users[who].pk).update(is_active=False)
        return client


@pytest.fixture
def world(db: None, settings, tmp_path: Path) -> World:
    settings.SPOOL = tmp_path / "spool"
    settings.METRICS_FILE = tmp_path / "counters.sqlite3"
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
    return world


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


def call(client: Client, method: str, url: str, body: object, is_api: bool) -> HttpResponseBase:
    if is_api:
        return client.generic(method, url, json.dumps(body) if body else "", "application/json")
    if method == "POST":
        return client.post(url, body or {})
    return client.generic(method, url)


def verdict(response: HttpResponseBase) -> str:
    """login, 401, 403, 404, 405; else ok, also when what was sent makes no sense or comes at the wrong time."""
    status = response.status_code
    assert status < 500, f"{status}: {getattr(response, 'content', b'')[:500]!r}"
    if status == 302 and response["Location"].startswith("/login/?next="):
        return "login"
    return str(status) if status in REFUSED else "ok"


def expected(kind: str, who: str, method: str, is_api: bool) -> str:
    kind, _, scope = kind.partition(" ")
    if kind == "public":
        return "ok"
    outside = {"anonymous", "expired token", "disabled user"} | (
        set() if is_api else {"read-only token", "submit token"}
    )
    if who in outside:
        return "404" if kind == "staff-or-404" else "401" if is_api else "login"
    if is_api and not has_scope(who, scope):
        return "403"
    if is_api and who == "auditor" and method not in SAFE and kind not in ("signed-in", "personal"):
        return "403"
    return expected_inside(kind, who)


def has_scope(who: str, scope: str) -> bool:
    granted = {"read-only token": "read", "submit token": "submit"}.get(who, "operate")
    order = ("read", "submit", "operate")
    return order.index(granted) >= order.index(scope or "read")


def expected_inside(kind: str, who: str) -> str:
    if kind == "signed-in":
        return "ok"
    if kind in ("mine", "personal"):
        return "ok" if who in OWNERS else "404"
    if kind == "staff-or-404":
        return "ok" if who in MAY["staff"] else "404"
    if who in MAY[kind]:
        return "ok"
    is_hidden = kind in ("see", "stop", "operate", "owner") and who not in SEES and not site_settings.EVERYONE_READS
    return "ok" if kind == "see" and not is_hidden else "404" if is_hidden else "403"


def snapshot() -> dict[str, Any]:
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in WATCHED}
    ignored = ("last_used_at", "last_used_from")
    tokens = ApiToken.objects.order_by("pk").values()
    rows["ApiToken"] = [{name: value for name, value in row.items() if name not in ignored} for row in tokens]
    return rows


def kind_of(route: str, method: str) -> str:
    """'' for a method that is not declared. ANY stands for those that nothing is said about."""
    kinds = declared()[route]
    return kinds.get("GET" if method == "HEAD" else method, kinds.get("ANY", ""))


def let_group_operate(who: str) -> None:
    """Reader and operator are members of the same group; the workflow says which of the two they are."""
    if who == "operator":
        Workflow.objects.update(group_may_operate=True)


def wrong_cell(world: World, before: dict[bool, dict[str, Any]], route: str, method: str, who: str) -> str:
    """What is wrong with this cell, or ''. Leaves no trace."""
    is_api, kind = route.startswith("api/"), kind_of(route, method)
    body = TABLE["bodies"].get(f"{method} {route.removeprefix('api/')}")
    with transaction.atomic():
        let_group_operate(who)
        client = world.client(who, is_api)
        found = verdict(call(client, method, world.url(route), body, is_api))
        has_changed = snapshot() != before[who == "operator"]
        transaction.set_rollback(True)
    if not kind:
        is_right = found in ("login", *map(str, REFUSED)) or (is_api and method == "OPTIONS" and found == "ok")
        wanted = "a refusal"
    elif kind == "harmless":
        is_right, wanted = found in ("ok", "405"), "ok or 405"
    else:
        wanted = expected(kind, who, method, is_api)
        is_right = found == wanted
    if not is_right:
        return f"{method} for {who}: {found}, not {wanted}"
    if has_changed and (found != "ok" or method in SAFE):
        return f"{method} for {who}: {found}, and yet rows changed"
    return ""


def snapshots() -> dict[bool, dict[str, Any]]:
    """All rows, as they are for everybody and as they are for an operator."""
    plain = snapshot()
    with transaction.atomic():
        let_group_operate("operator")
        operated = snapshot()
        transaction.set_rollback(True)
    return {False: plain, True: operated}


def of_workflows() -> set[str]:
    """Routes on which the site's setting may have an effect."""
    kinds = {"see", "stop", "operate", "owner"}
    return {
        route for route, methods in declared().items() if kinds & {kind.partition(" ")[0] for kind in methods.values()}
    }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "route" in metafunc.fixturenames:
        is_about_reading = "everybody_reads" in metafunc.function.__name__
        metafunc.parametrize("route", sorted(of_workflows() if is_about_reading else declared()))


def check_route(world: World, route: str, methods: Iterable[str], people: Iterable[str]) -> None:
    before = snapshots()
    cells = [(method, who) for method in methods for who in (people if method in declared()[route] else FEW)]
    wrong = [text for method, who in cells if (text := wrong_cell(world, before, route, method, who))]
    assert wrong == [], route


def test_the_matrix(world: World, route: str) -> None:
    """One route: all methods and people."""
    check_route(world, route, METHODS, PEOPLE)


def test_the_matrix_where_everybody_reads(world: World, route: str, settings) -> None:
    """Reading is for all who may sign in, and only reading."""
    settings.EVERYONE_READS = True
    check_route(world, route, [method for method in METHODS if method in declared()[route]], EVERYBODY)
