"""Names that the fields of filter forms offer: found cheaply, at most 50, and nobody's whose work the reader may not see."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.factories import HOSTS, Made, Tag, make_audit, make_user, make_workflow
from workflows.models import ErrorGroup, Job, JobInstance, Workflow
from workflows.queries import offers

pytestmark = pytest.mark.django_db
MOST_QUERIES = 8


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("fit", {"D": 6, "F": 2, "R": 1, "G": 1})], name="mine")


@pytest.fixture
def others(made: Made) -> Made:
    """Somebody else's workflow, on a host of its own."""
    found = make_workflow(make_user("bob"), [Tag("fit", {"D": 2, "F": 1})])
    JobInstance.objects.filter(workflow_run=found.run).update(nodename="secret-host")
    ErrorGroup.objects.filter(workflow=found.workflow).update(hosts={"secret-host": 3})
    make_audit(found.workflow, actor="bob")
    return found


def signed_in(user: User) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return client


def offered(client: Client, url: str, name: str) -> list[str]:
    """What the page offers for the field of this name."""
    text = client.get(url).content.decode()
    field = re.search(rf'<input [^>]*name="{name}"[^>]* list="([^"]+)"', text)
    assert field is not None, url
    found = re.search(rf'<datalist id="{field[1]}">(.*?)</datalist>', text)
    return [html.unescape(value) for value in re.findall(r'<option value="([^"]*)">', found[1])] if found else []


def words_of(page: str) -> set[str]:
    """Those that are seen, and what fields offer; random values of hidden fields are not among them."""
    options = re.findall(r'<option value="([^"]*)"', page)
    seen = re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page))
    return set(re.findall(r"\w+", html.unescape(" ".join([seen, *options]))))


def test_owners_are_those_whose_workflows_one_sees(client: Client, made: Made, others: Made) -> None:
    """A stranger finds no name of anybody else in the page; who reads a shared workflow finds its owner's."""
    make_user("carol")
    assert offered(client, "/workflows/", "owner") == ["alice"]
    stranger = signed_in(make_user("mallory"))
    assert offered(stranger, "/workflows/", "owner") == []
    words = words_of(stranger.get("/workflows/").content.decode())
    assert "mallory" in words
    assert not words & {"alice", "bob", "carol"}
    assert offered(signed_in(make_user("root", is_staff=True)), "/workflows/", "owner") == ["alice", "bob"]
    team = Group.objects.create(name="team")
    Workflow.objects.filter(pk=others.workflow.pk).update(group=team)
    made.workflow.owner.groups.add(team)
    assert offered(signed_in(User.objects.get(username="alice")), "/workflows/", "owner") == ["alice", "bob"]


def test_one_s_own_list_has_no_owners(client: Client, made: Made) -> None:
    assert "known-owners" not in client.get("/workflows/?mine=1").content.decode()


def test_at_most_fifty_owners_the_busiest(client: Client, owner: User) -> None:
    owner.is_superuser = True
    owner.save()
    for number in range(60):
        for _ in range(2 if number >= 15 else 1):
            make_workflow(owner, [Tag("fit", {"G": 1})], status="C")
            Workflow.objects.filter(user="alice").update(user=f"p{number:02}")
    found = offered(client, "/workflows/", "owner")
    assert len(found) == offers.MOST_OFFERED
    assert found == sorted(found)
    assert {f"p{number}" for number in range(15, 60)} <= set(found)


@pytest.mark.parametrize("query", ["", "?status=D", "?reason=exit", "?host=c042"])
def test_hosts_of_jobs_are_those_of_this_workflow(client: Client, made: Made, others: Made, query: str) -> None:
    found = offered(client, f"/workflows/{made.workflow.pk}/jobs/{query}", "host")
    assert set(found) <= set(HOSTS)
    assert found == sorted(found)
    assert len(found) == len(HOSTS) if query in ("", "?status=D") else found
    assert signed_in(make_user("mallory")).get(f"/workflows/{made.workflow.pk}/jobs/{query}").status_code == 404


@pytest.mark.parametrize("query", ["", "?reason=exit", "?host=c042"])
def test_hosts_of_errors_are_stored_numbers(client: Client, made: Made, others: Made, query: str) -> None:
    """They are known without a look at the attempts."""
    failed = JobInstance.objects.filter(workflow_run=made.run, status="E")
    expected = sorted(set(failed.values_list("nodename", flat=True)))
    assert offered(client, f"/workflows/{made.workflow.pk}/errors/{query}", "host") == expected
    with CaptureQueriesContext(connection) as queries:
        offers.hosts_of_failures(made.workflow.pk)
    assert [re.findall(r'FROM [`"](\w+)', query["sql"]) for query in queries] == [["error_group"]]


def test_hostile_hosts_stay_text(client: Client, made: Made) -> None:
    JobInstance.objects.filter(workflow_run=made.run).update(nodename='"><script>alert(1)</script>')
    url = f"/workflows/{made.workflow.pk}/jobs/"
    assert offered(client, url, "host") == ['"><script>alert(1)</script>']
    assert "<script>alert" not in client.get(url).content.decode()


def test_a_workflow_that_never_ran_offers_nothing(client: Client, owner: User) -> None:
    workflow = make_workflow(owner, [Tag("fit", {"G": 3})], status="C").workflow.pk
    assert offered(client, f"/workflows/{workflow}/jobs/", "host") == []
    errors = client.get(f"/workflows/{workflow}/errors/").content.decode()
    assert "No attempt has ended yet." in errors
    assert "f-host" not in errors, "there is nothing to look through"


def test_polls_read_no_offers(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/jobs/"
    with CaptureQueriesContext(connection) as whole:
        client.get(url)
    with CaptureQueriesContext(connection) as fragment:
        text = client.get(url, {"v": "0"}, headers={"HX-Request": "true"}).content.decode()
    assert "<datalist" not in text
    assert len(fragment) < len(whole)


def test_who_acted_is_offered_where_it_is_listed(client: Client, made: Made, others: Made) -> None:
    make_audit(made.workflow, actor="zoe")
    make_audit(made.workflow, actor="alice")
    assert offered(client, f"/workflows/{made.workflow.pk}/activity/", "actor") == ["alice", "zoe"]
    admin = signed_in(make_user("root", is_admin=True))
    assert {"alice", "bob", "zoe"} <= set(offered(admin, "/audit/", "actor"))
    stranger = signed_in(make_user("mallory"))
    assert stranger.get("/audit/").status_code == 403
    assert stranger.get(f"/workflows/{made.workflow.pk}/activity/").status_code == 404


def test_offers_keep_to_the_budget(client: Client, made: Made) -> None:
    base = f"/workflows/{made.workflow.pk}"
    filters = ("", "?status=F", "?reason=exit", "?host=c042", "?run=1&since=24h")
    for url in [
        "/workflows/",
        "/workflows/?owner=alice",
        *(f"{base}/{part}/{q}" for part in ("jobs", "errors") for q in filters),
    ]:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        assert len([q for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]) <= MOST_QUERIES, url


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plan of SQLite")
def test_no_offer_scans_attempts(made: Made) -> None:
    with CaptureQueriesContext(connection) as queries:
        offers.hosts_of_latest_run(made.workflow.pk)
    steps = connection.cursor().execute("EXPLAIN QUERY PLAN " + queries[0]["sql"]).fetchall()
    assert any("SEARCH job_instance USING INDEX" in step[3] for step in steps), steps
    assert not any("SCAN" in step[3] or "TEMP B-TREE" in step[3] for step in steps), steps
    assert Job.objects.count() == 10
