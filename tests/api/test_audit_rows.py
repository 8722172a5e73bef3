"""Whatever is done leaves a row of the audit: every call of the matrix with an effect is made once as it should be, and
looked for by its request id."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client

from tests.api.caller import caller_for
from tests.api.test_matrix import SAFE, declared
from tests.api.world import World
from tests.db.engine import job, make_actor, submit
from tests.factories import Tag, acts, make_user, make_workflow
from workflows import lifecycle, operations
from workflows.access import make_sign_in_link
from workflows.actor import Actor
from workflows.models import ApiToken, AuditEntry, ExecutorState, Job, Operation
from workflows.notices import addresses
from workflows.scope import Scope

pytestmark = pytest.mark.django_db
WITHOUT = {
    "POST account/": "cookies of one browser",
    "POST account/columns/": "how a table looks to one person",
    "POST account/filters/": "a person's own bookmark",
    "POST account/filters/<slug:slug>/": "a person's own bookmark",
    "POST workflows/<id:workflow_id>/operations/": "a draft does nothing; its confirmation has a row",
    "POST api/v1/workflows/<int:workflow_id>/operations/": "a draft does nothing; its confirmation has a row",
    "POST api/v1/drafts/": "a draft does nothing; its commit has a row",
    "PUT api/v1/drafts/<uuid:draft_id>/chunks/<int:number>/": "a draft does nothing; its commit has a row",
}
"""Calls that leave no row, and why not"""
CHUNK = {"jobs": [{"name": "z", "command": "ok z"}]}
PASSWORD = {"password": "correct horse"}


def ended(world: World) -> None:
    """Addresses of workflows are those of one that can be started."""
    made = make_workflow(world.users["owner"], [Tag("fit", {"D": 1, "F": 1})], status="E")
    world.values["workflow_id"] = made.workflow.pk


def of(letter: str) -> Callable[[World], None]:
    """The job in the address is in this status."""
    return lambda world: world.values.update(job_id=world.made.job(letter).pk)


def held(world: World) -> None:
    lifecycle.hold_run(int(str(world.values["run_id"])), "x", Actor(world.users["owner"], "page"))


def frozen(world: World) -> None:
    jobs = Job.objects.filter(dag_id=world.made.workflow.dag_id)
    made = operations.freeze(world.made.workflow, Actor(world.users["owner"], "page"), "retry", jobs, "all jobs")
    assert made is not None
    world.values["key"] = made.uuid


def working(world: World) -> None:
    frozen(world)
    operations.confirm(Operation.objects.get(uuid=world.values["key"]), {}, Actor(world.users["owner"], "page"))


def filled(world: World) -> None:
    answer = caller_for(world.users["owner"]).put(f"drafts/{world.values['draft_id']}/chunks/0/", CHUNK)
    assert answer.status == 204


def proving(world: World) -> dict[str, object]:
    wishes = addresses.Wishes("alice@example.org", "all", True, True)
    addresses.save_wishes(Actor(world.users["owner"], "page"), wishes)
    claimed = addresses.claim_code(world.users["owner"].pk)
    assert claimed is not None
    return {"code": claimed[1]}


def with_link(world: World) -> dict[str, object]:
    return {"code": make_sign_in_link(world.users["owner"])}


def in_team(world: World) -> None:
    world.users["owner"].groups.add(Group.objects.get(name="fits"))


def of_sge(world: World) -> None:
    ExecutorState.objects.create(name="sge", kind="sge")
    world.values["name"] = "sge"


Prepare = Callable[[World], dict[str, object] | None]
OWNER = "owner"
CALLS: dict[str, tuple[str, Prepare | None, dict[str, object]]] = {
    "POST login/": ("anonymous", None, {"username": "alice", **PASSWORD}),
    "POST login/once/": ("anonymous", with_link, {}),
    "POST logout/": (OWNER, None, {}),
    "POST account/mail/": (OWNER, None, {"address": "", "run_ends": "all"}),
    "POST account/mail/confirm/": (OWNER, proving, {}),
    "POST account/tokens/": (OWNER, None, {"name": "x", "scope": "read", "days": "30", **PASSWORD}),
    "POST account/tokens/<slug:prefix>/revoke/": (OWNER, None, {}),
    "POST tokens/<slug:prefix>/revoke/": ("admin", None, {}),
    "POST account/sessions/<slug:public_id>/end/": (OWNER, None, {}),
    "POST account/sign-out-everywhere/": (OWNER, None, {}),
    "POST workflows/<id:workflow_id>/resume/": (OWNER, ended, {}),
    "POST workflows/<id:workflow_id>/stop/": (OWNER, None, {"mode": "drain"}),
    "POST workflows/<id:workflow_id>/hold/": (OWNER, None, {"wanted": "hold", "reason": "x"}),
    "POST workflows/<id:workflow_id>/limits/": (OWNER, None, {"run": "3", "confirmed": "1"}),
    "POST workflows/<id:workflow_id>/note/": (OWNER, None, {"note": "x"}),
    "POST workflows/<id:workflow_id>/sharing/": (OWNER, in_team, {"group": "fits", "may_operate": "on"}),
    "POST error-groups/<id:group_id>/": (OWNER, None, {"state": "fixed", "note": "x"}),
    "POST jobs/<id:job_id>/retry/": (OWNER, of("F"), {}),
    "POST jobs/<id:job_id>/rerun/": (OWNER, of("D"), {}),
    "POST jobs/<id:job_id>/done/": (OWNER, of("G"), {"note": "x"}),
    "POST jobs/<id:job_id>/kill/": (OWNER, of("R"), {"then": "fail"}),
    "POST jobs/<id:job_id>/requests/": (OWNER, of("G"), {"slots": "4", "confirmed": "1"}),
    "POST operations/<uuid:key>/": (OWNER, frozen, {}),
    "POST executors/<slug:name>/hold/": ("admin", None, {"wanted": "hold", "reason": "x"}),
    "POST executors/<slug:name>/limit/": ("admin", None, {"limit": "3", "confirmed": "1"}),
    "POST hosts/<slug:name>/<path:host>/exclude/": ("admin", of_sge, {"wanted": "exclude", "reason": "x"}),
    "POST api/v1/login-links/": (OWNER, None, {}),
    "POST api/v1/workflows/": (OWNER, None, {"workflow_args": "x", **CHUNK}),
    "POST api/v1/workflows/<int:workflow_id>/runs/": (OWNER, ended, {}),
    "POST api/v1/operations/<uuid:key>/confirm/": (OWNER, frozen, {}),
    "POST api/v1/operations/<uuid:key>/stop/": (OWNER, working, {}),
    "PATCH api/v1/error-groups/<int:group_id>/": (OWNER, None, {"note": "x"}),
    "PUT api/v1/executors/<slug:name>/hold/": ("admin", None, {"reason": "x"}),
    "PUT api/v1/executors/<slug:name>/limit/": ("admin", None, {"max_live": 3}),
    "PUT api/v1/hosts/<slug:name>/<path:host>/exclusion/": ("admin", of_sge, {"is_excluded": True}),
    "POST api/v1/tokens/": (OWNER, None, {"name": "x", "scope": "read"}),
    "DELETE api/v1/tokens/<slug:prefix>/": (OWNER, None, {}),
    "POST api/v1/drafts/<uuid:draft_id>/commit/": (OWNER, filled, {}),
    "POST api/v1/workflow-runs/<int:run_id>/stop/": (OWNER, None, {"mode": "drain"}),
    "POST api/v1/workflow-runs/<int:run_id>/hold/": (OWNER, None, {"reason": "x"}),
    "POST api/v1/workflow-runs/<int:run_id>/release/": (OWNER, held, {}),
    "PUT api/v1/workflows/<int:workflow_id>/limits/": (OWNER, None, {"max_concurrently_running": 3}),
    "POST api/v1/workflows/<int:workflow_id>/reset/": (OWNER, of("F"), {"job_ids": "job"}),
    "POST api/v1/workflows/<int:workflow_id>/requests/": (OWNER, of("G"), {"job_ids": "job", "slots": 3}),
    "PUT api/v1/workflows/<int:workflow_id>/note/": (OWNER, None, {"note": "x"}),
    "PUT api/v1/workflows/<int:workflow_id>/sharing/": (OWNER, in_team, {"group": "fits", "group_may_operate": True}),
    "POST api/v1/jobs/<int:job_id>/rerun/": (OWNER, of("D"), {}),
    "POST api/v1/jobs/<int:job_id>/done/": (OWNER, of("G"), {}),
}
"""Who makes the call, what must be so before, and what is sent"""


def hidden_fields(client: Client, url: str) -> dict[str, str]:
    """What the page's form holds already."""
    answer = client.get(url)
    text = answer.content.decode() if answer.status_code == 200 else ""
    return dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]*)"', text))


def send(world: World, call: str) -> HttpResponseBase:
    who, prepare, body = CALLS[call]
    method, _, route = call.partition(" ")
    more = prepare(world) if prepare else None
    is_api, url = route.startswith("api/"), world.url(route)
    client = world.client(who, is_api)
    if is_api:
        ids = {"job_ids": [world.values["job_id"]]} if "job_ids" in body else {}
        return client.generic(method, url, json.dumps({**body, **ids}), "application/json")
    form = {"once": uuid.uuid4().hex, **hidden_fields(client, url), **body, **(more or {})}
    return client.post(url, form)


def test_every_call_with_an_effect_is_made_here_or_excused() -> None:
    unsafe = {f"{method} {route}" for route, kinds in declared().items() for method in kinds if method not in SAFE}
    assert unsafe - {f"ANY {route}" for route in declared()} == {*CALLS, *WITHOUT}


def what_is_missing(world: World, call: str) -> str:
    """What is wrong with the rows of a call, or ''. Leaves no trace."""
    values = dict(world.values)
    with transaction.atomic():
        response = send(world, call)
        rows = list(AuditEntry.objects.filter(request_id=response["X-Request-ID"]))
        transaction.set_rollback(True)
    world.values = values
    if response.status_code not in (200, 201, 202, 204, 302):
        return f"{call}: {response.status_code} {getattr(response, 'content', b'')[:300]!r}"
    if not rows:
        return f"{call}: no row ({response.status_code})"
    who = "alice" if CALLS[call][0] != "admin" else "toor"
    if {row.actor for row in rows} != {who}:
        return f"{call}: by {[row.actor for row in rows]}"
    is_api = " api/" in call
    if any(bool(row.token_prefix) is not is_api or row.address != "127.0.0.1" for row in rows):
        return f"{call}: not told by which token, or from where"
    return ""


def test_every_call_with_an_effect_leaves_a_row(world: World, settings: Any) -> None:
    settings.IS_EMBEDDED = True
    assert [text for call in CALLS if (text := what_is_missing(world, call))] == []


# Rows say what was so before


def test_a_confirmation_by_another_token_is_what_acts() -> None:
    """Drafted on a page, confirmed by a script: the rows name the script's token."""
    actor = make_actor()
    workflow = submit([job("a")])
    operation = operations.freeze(workflow, actor, "done", Job.objects.all(), "all jobs")
    assert operation is not None
    script = caller_for(workflow.owner)
    assert script.post(f"operations/{operation.uuid}/confirm/", {"note": "x"}).status == 202
    while operations.carry_out(operation.pk):
        pass
    prefix = ApiToken.objects.latest("pk").prefix
    rows = list(acts().filter(action__in=("confirm-operation", "mark-done")))
    assert [(row.action, row.via, row.token_prefix) for row in rows] == [
        ("confirm-operation", "api", prefix), ("mark-done", "api", prefix),
    ]  # fmt: skip
    assert rows[0].request_id == rows[1].request_id
    assert rows[0].after == {"action": "done", "jobs": "all jobs", "note": "x"}
    assert not operations.confirm(operation, {}, actor), "again is no confirmation, and leaves no row"
    assert acts().filter(action="confirm-operation").count() == 1


def test_rows_say_what_was_so_before() -> None:
    workflow = submit([job("a"), job("b")])
    ids = list(Job.objects.order_by("pk").values_list("pk", flat=True))
    actor = Actor(workflow.owner, "page")
    lifecycle.change_requests(workflow.pk, ids[:1], actor, slots=3)
    lifecycle.change_requests(workflow.pk, ids, actor, slots=2)
    lifecycle.mark_done(workflow.pk, ids, actor)
    lifecycle.reset_jobs(workflow.pk, ids, actor)
    told = [(row.action, row.before) for row in acts().exclude(action="submit")]
    assert told == [
        ("change-requests", {"slots": 1}), ("change-requests", {"slots": [1, 3]}),
        ("mark-done", {"statuses": {"G": 2}}), ("reset", {"statuses": {"D": 2}}),
    ]  # fmt: skip


def test_the_same_graph_with_other_requests_says_which() -> None:
    owner = make_user("alice")
    script = caller_for(owner)
    graph = {"workflow_args": "a", "jobs": [{"name": "a", "command": "ok a", "max_attempts": 2}]}
    script.post("workflows/", graph)
    graph["jobs"] = [{"name": "a", "command": "ok a", "max_attempts": 5}]
    assert script.post("workflows/", graph).status == 200
    row = acts().get(action="change-requests")
    assert (row.before, row.after) == ({"max_attempts": 2}, {"max_attempts": 5})


def test_a_start_says_what_was_chosen() -> None:
    workflow = submit([job("a", tag="x")])
    options = lifecycle.RunOptions(executor="dummy", project="p", fail_fast=True, scope=Scope(tags=("x",)))
    run = lifecycle.start_run(workflow.pk, Actor(workflow.owner, "page"), options)
    row = acts().get(action="start-run")
    wanted = {"resume": "cold", "executor": "dummy", "project": "p", "fail_fast": True, "scope": {"tags": ["x"]}}
    assert (row.before, row.after) == ({"status": "C"}, {**row.after, **wanted})
    assert run.executor == "dummy"


# Accounts


def test_the_first_administrator_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, with password and role, in one transaction; the password is nowhere."""
    given = io.StringIO("a long enough pass phrase\n")
    monkeypatch.setattr("sys.stdin", given)
    call_command("account", "toor", "--create", "--admin", "yes", "--password", stdout=io.StringIO(""))
    row = AuditEntry.objects.get()
    assert (row.action, row.target, row.before) == ("change-account", "user toor", {})
    assert (row.after["admin"], row.after["password"]) == (True, "a new one")
    assert "pass phrase" not in str(AuditEntry.objects.values())
    assert User.objects.get().check_password("a long enough pass phrase")


def test_a_password_that_will_not_do_makes_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("toor\n"))
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("account", "toor", "--create", "--admin", "yes", "--password")
    assert not User.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["createsuperuser", "changepassword"])
def test_commands_that_leave_no_row_say_which_does(name: str) -> None:
    with pytest.raises(CommandError, match="account NAME"):
        call_command(name)


def test_a_repair_has_a_row() -> None:
    call_command("fsck", "--only", "names", "--repair", "readiness", stdout=io.StringIO(""), stderr=io.StringIO(""))
    assert AuditEntry.objects.get().target == "fsck readiness"
