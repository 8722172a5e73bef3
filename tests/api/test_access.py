"""Who may call what: every route, with every kind of token and none."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import URLPattern
from django.utils import timezone

from tests.api.caller import GRAPH, Caller, caller_for, graph
from tests.db.engine import drive, start
from tests.factories import make_user
from workflows.access import create_token
from workflows.api.urls import urlpatterns
from workflows.models import ApiToken, Draft, ErrorGroup, ExecutorState, JobInstance, Workflow

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Route:
    """`statuses` are those of the owner; `scope` what a token needs at least; others get 404 where it is `private`."""

    method: str
    path: str
    statuses: tuple[int, ...] = (200,)
    scope: str = "read"
    body: object = None
    private: bool = True

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


ROUTES = [
    Route("GET", "", private=False),
    Route("POST", "login-links/", (201,), "operate", private=False),
    Route("GET", "workflows/", private=False),
    Route("POST", "workflows/", (201,), "submit", {**GRAPH, "workflow_args": "another"}, private=False),
    Route("GET", "workflows/{workflow}/"),
    Route("POST", "workflows/{workflow}/runs/", (201, 409), "submit", {}),
    Route("GET", "workflows/{workflow}/runs/"),
    Route("GET", "workflows/{workflow}/jobs/"),
    Route("GET", "workflows/{workflow}/errors/"),
    Route("GET", "workflows/{workflow}/job-instances/"),
    Route("GET", "workflows/{workflow}/activity/"),
    Route("POST", "workflows/{workflow}/operations/", (201,), "operate", {"action": "retry", "filters": {}}),
    Route("GET", "operations/", private=False),
    Route("GET", "operations/{operation}/"),
    Route("GET", "operations/{operation}/jobs/"),
    Route("POST", "operations/{operation}/confirm/", (202,), "operate", {}),
    Route("POST", "operations/{operation}/stop/", (200,), "operate"),
    Route("GET", "audit/", (403,), private=False),
    Route("GET", "workflows/{workflow}/graph/"),
    Route("GET", "workflows/{workflow}/error-groups/"),
    Route("GET", "error-groups/{group}/"),
    Route("PATCH", "error-groups/{group}/", (200,), "operate", {"state": "fixed"}),
    Route("GET", "executors/", private=False),
    Route("PUT", "executors/{executor}/hold/", (200, 403), "operate", {"reason": ""}, private=False),
    Route("PUT", "executors/{executor}/limit/", (403,), "operate", {"max_live": None}, private=False),
    Route("PUT", "hosts/{executor}/{host}/exclusion/", (403,), "operate", {"is_excluded": False}, private=False),
    Route("GET", "tokens/", private=False),
    Route("POST", "tokens/", (201,), "operate", {"name": "x", "scope": "read"}, private=False),
    Route("DELETE", "tokens/{token}/", (204,), "operate"),
    Route("GET", "jobs/{job}/tree/"),
    Route("POST", "workflow-runs/{run}/hold/", (200, 202, 409), "operate", {"reason": "x"}),
    Route("POST", "workflow-runs/{run}/release/", (200, 202, 409), "operate"),
    Route("PUT", "workflows/{workflow}/limits/", (200,), "operate", {"max_concurrently_running": 5}),
    Route("POST", "workflows/{workflow}/reset/", (200, 202, 409), "operate", {"job_ids": [1]}),
    Route("POST", "workflows/{workflow}/requests/", (200,), "operate", {"job_ids": [1], "slots": 2}),
    Route("PUT", "workflows/{workflow}/sharing/", (200,), "operate", {"group": None}),
    Route("PUT", "workflows/{workflow}/note/", (200, 204), "operate", {"note": "x"}),
    Route("POST", "jobs/{job}/rerun/", (202, 409), "operate", {}),
    Route("POST", "jobs/{job}/done/", (200, 202, 409), "operate", {}),
    Route("GET", "jobs/{job}/why/"),
    Route("POST", "drafts/", (201,), "submit", {"workflow_args": "d"}, private=False),
    Route("PUT", "drafts/{draft}/chunks/0/", (204,), "submit", {"jobs": GRAPH["jobs"]}),
    Route("POST", "drafts/{draft}/commit/", (200, 201, 400), "submit"),
    Route("GET", "workflow-runs/{run}/"),
    Route("GET", "workflow-runs/{run}/timeline/"),
    Route("GET", "workflow-runs/{run}/resources/"),
    Route("GET", "workflow-runs/{run}/forecast/"),
    Route("GET", "search/?q=1", private=False),
    Route("GET", "hosts/", private=False),
    Route("POST", "workflow-runs/{run}/stop/", (202, 409), "operate", {"mode": "drain"}),
    Route("GET", "jobs/{job}/"),
    Route("GET", "job-instances/{instance}/"),
    Route("GET", "job-instances/{instance}/log/stdout/", (200, 404)),
    Route("GET", "job-instances/{instance}/log/stderr/", (200, 404)),
]
SCOPES = ("read", "submit", "operate")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


@pytest.fixture
def ids(owner: User, api: Caller) -> dict[str, object]:
    """A workflow of the owner that has run, and a draft."""
    failing = {"workflow_args": "x", "jobs": [*GRAPH["jobs"], {"name": "bad", "command": "exit=1", "max_attempts": 1}]}
    workflow = Workflow.objects.get(pk=api.post("workflows/", failing).body["id"])
    run = start(workflow)
    assert drive(run) == "E"
    draft = api.post("drafts/", {"workflow_args": "draft"}).body["id"]
    attempt = JobInstance.objects.get(job__name="bad")
    create_token(owner, "to be revoked")
    ExecutorState.objects.update_or_create(name="local", defaults={"kind": "local"})
    return {
        "workflow": workflow.pk, "run": run.pk, "job": attempt.job_id, "instance": attempt.pk, "draft": draft,
        "operation": api.post(f"workflows/{workflow.pk}/operations/", {"action": "retry", "filters": {}}).body["id"],
        "group": ErrorGroup.objects.get().pk, "token": ApiToken.objects.get(name="to be revoked").prefix, "executor": "local", "host": "c001",
    }  # fmt: skip


def visit(caller: Caller, route: Route, ids: dict[str, object]) -> int:
    return caller.call(route.method, route.path.format(**ids), route.body).status


@every_route
def test_the_owner_may(api: Caller, ids: dict[str, object], route: Route) -> None:
    assert visit(api, route, ids) in route.statuses


@every_route
def test_nobody_may_without_a_token(nobody: Caller, ids: dict[str, object], route: Route) -> None:
    answer = nobody.call(route.method, route.path.format(**ids), route.body)
    assert (answer.status, answer.code, answer.headers["WWW-Authenticate"]) == (401, "not-authenticated", "Bearer")


def expire(token: ApiToken) -> None:
    token.expires_at = timezone.now() - timedelta(seconds=1)
    token.save()


def revoke(token: ApiToken) -> None:
    token.revoked_at = timezone.now()
    token.save()


def disable(token: ApiToken) -> None:
    token.user.is_active = False
    token.user.save()


def change_secret(token: ApiToken) -> None:
    token.secret_hash = "0" * 64
    token.save()


def change_prefix(token: ApiToken) -> None:
    token.prefix = "00000000"
    token.save()


@contextmanager
def taken_back() -> Iterator[None]:
    """What happens inside is undone: the next case finds the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@every_route
def test_a_token_that_is_not_valid_opens_nothing(api: Caller, ids: dict[str, object], route: Route) -> None:
    for spoil in (expire, revoke, disable, change_secret, change_prefix):
        with taken_back():
            spoil(ApiToken.objects.get(name="test"))
            answer = api.call(route.method, route.path.format(**ids), route.body)
        assert (answer.status, answer.code) == (401, "not-authenticated"), spoil


@every_route
def test_a_scope_allows_what_it_says(owner: User, ids: dict[str, object], route: Route) -> None:
    for scope in SCOPES:
        with taken_back():
            status = visit(caller_for(owner, scope), route, ids)
        if SCOPES.index(scope) >= SCOPES.index(route.scope):
            assert status in route.statuses, scope
        else:
            assert status == 403, scope


@every_route
def test_for_a_stranger_it_does_not_exist(stranger: Caller, ids: dict[str, object], route: Route) -> None:
    status = visit(stranger, route, ids)
    if route.private:
        assert status == 404
    else:
        assert status in route.statuses


@every_route
def test_a_stranger_learns_as_much_as_of_what_is_not_there(
    stranger: Caller, ids: dict[str, object], route: Route
) -> None:
    if not route.private:
        return
    real = stranger.call(route.method, route.path.format(**ids), route.body)
    absent = dict.fromkeys(ids, 10**12) | {"draft": uuid.uuid4(), "operation": uuid.uuid4()}
    assert real.body == stranger.call(route.method, route.path.format(**absent), route.body).body


@every_route
def test_ids_that_nothing_has(api: Caller, ids: dict[str, object], route: Route) -> None:
    if route.private and "{draft}" not in route.path:
        for number in (0, 2**31, 2**63, 10**18 - 1, 10**30):
            assert visit(api, route, dict.fromkeys(ids, number)) == 404, number


MAY_STAFF_TOO = ("stop/", "hold/", "release/", "note/")


@every_route
def test_staff_read_and_stop_but_change_nothing_else(staff: Caller, ids: dict[str, object], route: Route) -> None:
    status = visit(staff, route, ids)
    if any(name in route.path for name in ("{draft}", "{token}", "{operation}")):
        assert status == 404
    elif route.private and route.scope != "read" and not route.path.endswith(MAY_STAFF_TOO):
        assert status == 403
    else:
        assert status in route.statuses


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_other_methods_are_refused(api: Caller, ids: dict[str, object], path: str) -> None:
    allowed = {route.method for route in ROUTES if route.path == path}
    for method in set(METHODS) - allowed:
        answer = api.call(method, path.format(**ids), {})
        assert (answer.status, answer.code) == (405, "method-not-allowed"), method
        assert set(answer.headers["Allow"].split(", ")) >= allowed


def test_every_route_of_the_api_is_in_this_list() -> None:
    """A new route without a line above fails here."""
    declared = {path_of(route.path.partition("?q=")[0]) for route in ROUTES}
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        path = str(pattern.pattern)
        if not path.startswith(("schema/", "docs/")):
            assert path_of(path) in declared, path


def path_of(path: str) -> str:
    """Without the names and kinds of parameters, and with stdout for both streams."""
    import re

    path = path.removeprefix("^").removeprefix("v1/").removesuffix("$").replace("(?P<stream>stdout|stderr)", "stdout")
    return re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]*>|\{\w+\}|\b0(?=/)", "*", path).replace("stderr", "stdout")


TOKENS = ["jm_", "jm_x", "jm_" + "a" * 300, "x" * 100, "jm_00000000", "jm_0000 0000", "jm_é", "jm_\x7f" + "0" * 40]


@pytest.mark.parametrize("text", TOKENS)
def test_any_text_in_the_place_of_a_token_is_refused(nobody: Caller, text: str) -> None:
    assert nobody.get("", Authorization=f"Bearer {text}").status == 401


@pytest.mark.parametrize("text", ["", "Bearer", "bearer ", "Basic YTpi", "Token x", "Bearer  ", "\t"])
def test_any_text_in_the_place_of_a_scheme_is_refused(nobody: Caller, text: str) -> None:
    assert nobody.get("", Authorization=text).status == 401


def test_the_scheme_is_read_in_any_case(api: Caller) -> None:
    assert api.get("", Authorization=f"bEARER {api.token}").status == 200


def test_a_bad_token_is_not_saved_by_a_session(owner: User) -> None:
    caller = Caller("jm_0000000000")
    caller.client.force_login(owner)
    assert caller.get("").status == 401


def test_the_use_of_a_token_is_noted(api: Caller, owner: User) -> None:
    api.get("")
    used = ApiToken.objects.get(user=owner)
    assert used.last_used_at is not None
    assert used.last_used_from == "127.0.0.1"


def test_a_draft_is_its_owners_alone(api: Caller, stranger: Caller, staff: Caller) -> None:
    draft = api.post("drafts/", {"workflow_args": "d"}).body["id"]
    for caller in (stranger, staff):
        assert caller.put(f"drafts/{draft}/chunks/0/", {"jobs": []}).status == 404
        assert caller.post(f"drafts/{draft}/commit/").status == 404
    assert Draft.objects.get().chunks.count() == 0


def test_lists_show_only_what_is_visible(api: Caller, stranger: Caller, staff: Caller) -> None:
    made = api.post("workflows/", GRAPH).body["id"]
    assert [row["id"] for row in api.get("workflows/").body["results"]] == [made]
    assert stranger.get("workflows/").body["results"] == []
    assert stranger.get("workflows/?user=alice").body["results"] == []
    assert [row["id"] for row in staff.get("workflows/").body["results"]] == [made]


def test_tokens_of_two_people_are_apart(api: Caller) -> None:
    bob = make_user("carol")
    token = create_token(bob, "x")
    assert Caller(token).get("").body["user"] == "carol"
    assert api.get("").body["user"] == "alice"


def test_a_read_that_takes_too_long_says_what_to_do(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    number = api.post("workflows/", graph("a")).body["id"]
    monkeypatch.setattr("workflows.api.base.READ_SECONDS", -1.0)
    monkeypatch.setattr("workflows.queries.limits._STEPS", 1)
    headers = {"Authorization": f"Bearer {api.token}"}
    answer = api.client.get(f"/api/v1/workflows/{number}/jobs/?q=*x", headers=headers)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "too-wide", "5")
    assert "Narrow it" in answer.json()["detail"]
    assert api.put(f"workflows/{number}/note/", {"note": "x"}).status == 200, "what changes something has all its time"
