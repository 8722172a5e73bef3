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
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.api.world import TABLE, World, snapshot, watch_writes
from workflows.models import Workflow

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")
REFUSED = (401, 403, 404, 405)
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


def kind_of(route: str, method: str) -> str:
    """'' for a method that is not declared. ANY stands for those that nothing is said about."""
    kinds = {**declared(), **TABLE["with-oidc"]}[route]
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
        with watch_writes() as writes:
            found = verdict(call(client, method, world.url(route), body, is_api))
        has_changed = writes.found and snapshot() != before[who == "operator"]
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


def section_of(route: str) -> str:
    """`workflows`, `jobs`, `api/v1/drafts`, …: its routes are walked in one world, each cell taking back what it did."""
    words = route.removeprefix("^").replace("^", "").split("/")
    return "/".join(words[:3] if words[0] == "api" else words[:1]) or "start"


def sections(routes: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for route in sorted(routes):
        found.setdefault(section_of(route), []).append(route)
    return found


EVERYWHERE, ABOUT_WORKFLOWS = sections(declared()), sections(of_workflows())


def check_routes(world: World, routes: Iterable[str], find_cells: Callable[[str], list[tuple[str, str]]]) -> None:
    before = snapshots()
    wrong = [
        f"{route}: {text}"
        for route in routes
        for method, who in find_cells(route)
        if (text := wrong_cell(world, before, route, method, who))
    ]
    assert wrong == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize("section", EVERYWHERE)
def test_the_matrix(world: World, section: str) -> None:
    """All methods and people."""

    def cells(route: str) -> list[tuple[str, str]]:
        return [(method, who) for method in METHODS for who in (PEOPLE if method in declared()[route] else FEW)]

    check_routes(world, EVERYWHERE[section], cells)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("section", ABOUT_WORKFLOWS)
def test_the_matrix_where_everybody_reads(world: World, section: str, settings) -> None:
    """Reading is for all who may sign in, and only reading."""
    settings.EVERYONE_READS = True

    def cells(route: str) -> list[tuple[str, str]]:
        return [(method, who) for method in METHODS if method in declared()[route] for who in EVERYBODY]

    check_routes(world, ABOUT_WORKFLOWS[section], cells)
