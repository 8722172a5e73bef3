"""Groups: who reads, who operates, what stays the owner's; roles, quotas, and what the audit keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api.caller import Caller, caller_for, graph
from tests.factories import make_user
from workflows import drafts
from workflows.access import create_token, find_token
from workflows.models import AuditEntry, DraftChunk, Job, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db
Member = Callable[[str], Caller]


@pytest.fixture
def fits(owner: User) -> Group:
    group = Group.objects.create(name="fits")
    owner.groups.add(group)
    return group


@pytest.fixture
def member(fits: Group) -> Member:
    def make(name: str) -> Caller:
        user = make_user(name)
        user.groups.add(fits)
        return caller_for(user)

    return make


def submit(api: Caller, *names: str, **header: object) -> int:
    answer = api.post("workflows/", graph(*(names or ("a",)), **header))
    assert answer.status in (200, 201), answer.body
    return int(answer.body["id"])


def test_a_workflow_is_shared_when_it_is_submitted(api: Caller, member: Member) -> None:
    number = submit(api, group="fits")
    reader = member("bob")
    shown = reader.get(f"workflows/{number}/")
    assert (shown.body["group"], shown.body["group_may_operate"]) == ("fits", False)
    assert [row["id"] for row in reader.get("workflows/").body["results"]] == [number]
    assert reader.post(f"workflows/{number}/runs/", {}).status == 403
    assert caller_for(make_user("mallory")).get(f"workflows/{number}/").status == 404


@pytest.mark.parametrize("name", ["others", "nowhere", "auditors"])
def test_only_ones_own_groups(api: Caller, fits: Group, owner: User, name: str) -> None:
    Group.objects.create(name="others")
    owner.groups.add(Group.objects.create(name="auditors")) if name == "auditors" else None
    found = api.post("workflows/", graph("a", group=name))
    if name == "auditors":
        assert found.status == 403  # an auditor submits nothing at all
    else:
        assert (found.status, found.body["errors"][0]["code"]) == (400, "unknown-group")
        assert found.body["errors"][0]["detail"] == f"You are not in a group '{name}'."
    assert not Workflow.objects.exists()


def test_operating_wants_a_group(api: Caller) -> None:
    found = api.post("workflows/", graph("a", group_may_operate=True))
    assert (found.status, found.body["errors"][0]["path"]) == (400, "group_may_operate")


def test_an_operator_runs_it_as_the_owners(api: Caller, member: Member, owner: User) -> None:
    number = submit(api, group="fits", group_may_operate=True)
    operator = member("bob")
    run = operator.post(f"workflows/{number}/runs/", {})
    assert run.status == 201
    assert operator.put(f"workflows/{number}/limits/", {"max_concurrently_running": 3}).status == 200
    assert operator.post(f"workflow-runs/{run.body['id']}/hold/", {"reason": "wait"}).status == 200
    assert operator.post(f"workflow-runs/{run.body['id']}/stop/", {"mode": "drain"}).status == 202
    stored = WorkflowRun.objects.select_related("workflow").get()
    assert (stored.user, stored.workflow.owner, stored.workflow.user) == ("bob", owner, "alice")


@pytest.mark.parametrize(
    "options", [{"working_dir": "/tmp"}, {"path": "/evil"}, {"home": "/root"}, {"stdout": "/x"}, {"executor": "local"}]
)
def test_where_and_how_it_runs_is_the_owners(api: Caller, member: Member, options: dict[str, str]) -> None:
    number = submit(api, group="fits", group_may_operate=True)
    found = member("bob").post(f"workflows/{number}/runs/", options)
    assert (found.status, found.code) == (403, "not-allowed")
    (name,) = options
    assert f"Only the owner (alice) may change {name} of workflow {number}. Leave out" in found.body["detail"]
    assert [error["path"] for error in found.body["errors"]] == [name]
    assert not WorkflowRun.objects.exists()


def test_what_jobs_ask_for_is_the_owners(api: Caller, member: Member) -> None:
    number = submit(api, group="fits", group_may_operate=True)
    operator = member("bob")
    job = operator.get(f"workflows/{number}/jobs/").body["results"][0]["job_id"]
    assert operator.post(f"workflows/{number}/requests/", {"job_ids": [job], "slots": 9}).status == 403
    assert operator.post(f"jobs/{job}/done/", {}).status == 403
    assert operator.put(f"workflows/{number}/sharing/", {"group": None}).status == 403
    body = graph("a", group="fits", group_may_operate=True)
    body["jobs"][0]["slots"] = 9
    assert operator.post("workflows/", body).body["id"] == number
    assert operator.get(f"jobs/{job}/").body["slots"] == 1


def test_the_same_graph_of_somebody_else_tells_nothing(api: Caller, member: Member) -> None:
    number = submit(api, group="fits")
    for caller in (member("bob"), caller_for(make_user("mallory"))):
        found = caller.post("workflows/", graph("a"))
        assert (found.status, found.code) == (409, "workflow-in-use")
        assert str(number) not in found.body["detail"]
        assert "alice" not in found.content.decode()


def test_sharing_is_changed_and_taken_back(api: Caller, member: Member) -> None:
    number, reader = submit(api), member("bob")
    assert reader.get(f"workflows/{number}/").status == 404
    shared = api.put(f"workflows/{number}/sharing/", {"group": "fits", "group_may_operate": True})
    assert shared.body == {"group": "fits", "group_may_operate": True}
    assert reader.get(f"workflows/{number}/").status == 200
    assert api.put(f"workflows/{number}/sharing/", {"group": None}).status == 200
    assert reader.get(f"workflows/{number}/").status == 404
    changes = AuditEntry.objects.filter(action="share").order_by("pk").values_list("before", "after")
    alone, both = {"group": None, "group_may_operate": False}, {"group": "fits", "group_may_operate": True}
    assert list(changes) == [(alone, both), (both, alone)]


def test_who_leaves_the_group_sees_no_more(api: Caller, member: Member, fits: Group) -> None:
    number, reader = submit(api, group="fits"), member("bob")
    User.objects.get(username="bob").groups.remove(fits)
    assert reader.get(f"workflows/{number}/").status == 404


def test_submitting_again_shares_it_and_nothing_takes_it_back_unasked(api: Caller, fits: Group) -> None:
    number = submit(api)
    assert submit(api, group="fits") == number
    assert submit(api) == number
    assert Workflow.objects.get().group == fits


def test_an_auditor_reads_all_and_changes_nothing(api: Caller) -> None:
    number = submit(api)
    user = make_user("carol")
    user.groups.add(Group.objects.create(name="auditors"))
    auditor = caller_for(user)
    assert auditor.get(f"workflows/{number}/").status == 200
    for path, body in (("workflows/", graph("b", args="b")), (f"workflows/{number}/runs/", {}), ("drafts/", {})):
        found = auditor.post(path, body)
        assert (found.status, "auditor" in found.body["detail"]) == (403, True), path
    assert auditor.post("tokens/", {"name": "x"}).status == 201


def test_everybody_reads_where_that_is_set(api: Caller, settings) -> None:
    number = submit(api)
    stranger = caller_for(make_user("mallory"))
    assert stranger.get(f"workflows/{number}/").status == 404
    settings.EVERYONE_READS = True
    assert stranger.get(f"workflows/{number}/").status == 200
    assert stranger.post(f"workflows/{number}/runs/", {}).status == 403


def test_roles_cost_no_query_of_their_own(api: Caller, member: Member) -> None:
    number, reader = submit(api, group="fits"), member("bob")
    reader.get("")  # the token's first use is noted
    with CaptureQueriesContext(
        connection,
    ) as alone:
        reader.get(f"workflows/{number}/")
    tables = [query["sql"] for query in alone if "auth_user_groups" in query["sql"]]
    assert len(tables) == 1  # with the token itself


# Tokens


def test_a_tokens_child_lives_no_longer_than_the_token(owner: User, api: Caller) -> None:
    short = Caller(api.post("tokens/", {"name": "short", "days": 1}).body["token"])
    child = find_token(short.post("tokens/", {"name": "child", "days": 90}).body["token"])
    parent = find_token(short.token)
    assert child is not None and parent is not None
    assert child.expires_at is not None and parent.expires_at is not None
    assert child.expires_at <= parent.expires_at


def test_a_session_on_a_shared_server_gives_the_password_for_a_token(owner: User, settings) -> None:
    settings.IS_EMBEDDED = False
    caller = Caller()
    caller.client.handler.enforce_csrf_checks = False
    caller.client.force_login(owner)
    for body in ({"name": "x"}, {"name": "x", "password": "wrong"}):
        assert caller.post("tokens/", body).status == 403
    assert caller.post("tokens/", {"name": "x", "password": "correct horse"}).status == 201


# Quotas


@pytest.mark.parametrize(
    ("setting", "limit", "code"),
    [("QUOTA_SUBMISSIONS", 1, "too-many-submissions"), ("QUOTA_JOBS", 2, "too-many-jobs")],
)
def test_one_person_submits_only_so_much(api: Caller, settings, setting: str, limit: int, code: str) -> None:
    number = submit(api, "a")
    setattr(settings, setting, limit)
    over = api.post("workflows/", graph("b", "c", args="b"))
    assert (over.status, over.code, over.headers["Retry-After"]) == (429, code, "60")
    assert Workflow.objects.count() == 1
    assert submit(api, "a") == number  # what is there already is no new one
    assert submit(caller_for(make_user("bob")), "z", args="z")


def test_drafts_count_too(api: Caller, settings) -> None:
    settings.QUOTA_SUBMISSIONS = 1
    assert api.post("drafts/", {"workflow_args": "a"}).status == 201
    assert api.post("drafts/", {"workflow_args": "b"}).status == 429


def test_open_drafts_are_few(api: Caller, settings) -> None:
    settings.QUOTA_DRAFTS = 1
    draft = api.post("drafts/", {"workflow_args": "a"}).body["id"]
    over = api.post("drafts/", {"workflow_args": "b"})
    assert (over.status, over.code) == (429, "too-many-drafts")
    assert caller_for(make_user("bob")).post("drafts/", {"workflow_args": "b"}).status == 201
    assert api.put(f"drafts/{draft}/chunks/0/", {"jobs": graph("a")["jobs"]}).status == 204
    assert api.post(f"drafts/{draft}/commit/").status == 201
    assert api.post("drafts/", {"workflow_args": "b"}).status == 201, "a committed one is none any more"


@pytest.mark.parametrize(("name", "limit", "code"), [("MAX_JOBS", 3, "too-many-jobs"), ("MAX_BYTES", 100, "too-large")])
def test_all_chunks_together_have_a_limit(
    api: Caller, monkeypatch: pytest.MonkeyPatch, name: str, limit: int, code: str
) -> None:
    """It is the chunk that is refused: what is too much is neither stored nor read into memory again."""
    monkeypatch.setattr(drafts, name, limit)
    draft = api.post("drafts/", {"workflow_args": "a"}).body["id"]
    first, second = graph("a", "b")["jobs"], graph("c", "d")["jobs"]
    assert api.put(f"drafts/{draft}/chunks/0/", {"jobs": first}).status == 204
    over = api.put(f"drafts/{draft}/chunks/1/", {"jobs": second})
    assert (over.status, over.body["errors"][0]["code"]) == (400, code)
    assert api.put(f"drafts/{draft}/chunks/0/", {"jobs": first}).status == 204, "the same chunk again is no more"
    assert DraftChunk.objects.count() == 1


def test_chunks_that_nobody_counted_are_stopped_at_the_commit(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = api.post("drafts/", {"workflow_args": "a"}).body["id"]
    for number, name in enumerate("ab"):
        assert api.put(f"drafts/{draft}/chunks/{number}/", {"jobs": graph(name)["jobs"]}).status == 204
    DraftChunk.objects.update(jobs=0, size=0)
    monkeypatch.setattr(drafts, "MAX_JOBS", 1)
    over = api.post(f"drafts/{draft}/commit/")
    assert (over.status, over.body["errors"][0]["code"]) == (400, "too-many-jobs")


def test_a_token_that_submits_may_submit_again_with_other_wishes(api: Caller, owner: User) -> None:
    """What docs/users.md says of the scope: what a control script says of its own workflow, and no other call."""
    number = submit(api)
    script = caller_for(owner, "submit")
    again = {**graph("a"), "group": "fits", "jobs": [{**graph("a")["jobs"][0], "max_attempts": 7}]}
    owner.groups.add(Group.objects.get_or_create(name="fits")[0])
    assert script.post("workflows/", again).status == 200
    assert Job.objects.get().max_attempts == 7
    assert Workflow.objects.get().group == Group.objects.get(name="fits")
    assert script.put(f"workflows/{number}/sharing/", {"group": None}).status == 403
    ids = {"job_ids": [Job.objects.get().pk], "max_attempts": 3}
    assert script.post(f"workflows/{number}/requests/", ids).status == 403


def test_live_runs_are_the_owners_whoever_starts_them(api: Caller, member: Member, settings) -> None:
    first = submit(api, group="fits", group_may_operate=True)
    second = submit(api, "b", args="b", group="fits", group_may_operate=True)
    assert api.post(f"workflows/{first}/runs/", {}).status == 201
    settings.QUOTA_LIVE_RUNS = 1
    over = member("bob").post(f"workflows/{second}/runs/", {})
    assert (over.status, over.code) == (429, "too-many-runs")
    assert "alice has 1 live runs" in over.body["detail"]


def test_a_body_that_is_nested_too_deeply(api: Caller) -> None:
    number = submit(api)
    deep = b'{"note": ' + b"[" * 40 + b"]" * 40 + b"}"
    found = api.put(f"workflows/{number}/note/", deep)
    assert (found.status, found.body["detail"]) == (400, "The body is nested deeper than 32.")
    draft = api.post("drafts/", b'{"workflow_args": "a", "attributes": ' + b'{"a":' * 40 + b"1" + b"}" * 41)
    assert draft.status == 400


# Accounts


def account(*arguments: str) -> str:
    out = StringIO()
    call_command("account", *arguments, stdout=out)
    return out.getvalue()


def test_accounts_are_made_and_changed_with_an_audit() -> None:
    with pytest.raises(CommandError, match="There is no account dave"):
        account("dave", "--join", "fits")
    assert '"groups": ["fits"]' in account("dave", "--create", "--join", "fits", "--staff", "yes")
    token = create_token(User.objects.get(username="dave"), "x")
    account("dave", "--leave", "fits", "--active", "no")
    assert find_token(token) is None
    first, second = AuditEntry.objects.filter(action="change-account").order_by("pk")
    assert (first.before, first.after["staff"], first.after["groups"]) == ({}, True, ["fits"])
    assert (second.after["active"], second.after["groups"]) == (False, [])
    assert first.via == "system"
