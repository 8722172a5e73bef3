"""Many jobs, or somebody else's workflow: nobody acts without typing the number. And whoever may not is told who may."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.factories import Made, Tag, make_user, make_workflow
from workflows.models import Job, Workflow, WorkflowRun
from workflows.views import confirm

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return client


@pytest.fixture
def group(db: None) -> Group:
    return Group.objects.create(name="fits")


@pytest.fixture
def mate(group: Group) -> Client:
    """May operate what alice shares with the group."""
    user = make_user("bob")
    user.groups.add(group)
    return signed_in(user)


def share(made: Made, group: Group) -> Made:
    Workflow.objects.filter(pk=made.workflow.pk).update(group=group, group_may_operate=True)
    return made


@pytest.fixture
def live(owner: User, group: Group) -> Made:
    return share(make_workflow(owner, [Tag("fit", {"R": 2, "F": 1, "D": 1})]), group)


@pytest.fixture
def ended(owner: User, group: Group) -> Made:
    return share(make_workflow(owner, [Tag("fit", {"F": 3, "D": 2})], status="E"), group)


def hidden(client: Client, url: str) -> dict[str, str]:
    text = client.get(url).content.decode()
    return dict(re.findall(r'<input type="hidden" name="(seen|numbers|downstream)" value="([^"]*)">', text))


def must_type(person: Client, url: str, form: dict[str, str], number: int) -> None:
    """Without the number, and with another, nothing happens; with it the act goes on."""
    assert f"type the number of jobs ({number})" in person.get(url).content.decode()
    for typed in ({}, {"typed": str(number + 1)}):
        answer = person.post(url, {**form, **typed})
        assert answer.status_code == 409
        assert f"Type the number of jobs ({number})" in answer.content.decode()
    assert person.post(url, {**form, "typed": str(number)}).status_code == 302


def test_an_operator_types_it_to_resume(ended: Made, mate: Client) -> None:
    url = f"/workflows/{ended.workflow.pk}/resume/"
    must_type(mate, url, {"resume": "cold", **hidden(mate, url)}, 3)
    assert WorkflowRun.objects.filter(status="R").count() == 1


def test_an_operator_types_it_to_retry_and_to_kill_one_job(live: Made, mate: Client) -> None:
    must_type(mate, f"/jobs/{live.job('F').pk}/retry/", {}, 1)
    must_type(mate, f"/jobs/{live.job('R').pk}/kill/", {"then": "fail"}, 1)


@pytest.mark.parametrize("mode", ["drain", "kill"])
def test_an_operator_types_it_to_stop(live: Made, mate: Client, mode: str) -> None:
    must_type(mate, f"/workflows/{live.workflow.pk}/stop/", {"mode": mode, "live_jobs": "2"}, 2)
    assert WorkflowRun.objects.get(pk=live.run.pk).stopping == mode


def test_the_owner_types_it_when_there_are_many(client: Client, ended: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirm, "MOST_WITHOUT_TYPING", 2)
    url = f"/workflows/{ended.workflow.pk}/resume/"
    must_type(client, url, {"resume": "cold", **hidden(client, url)}, 3)


def test_the_owner_types_it_to_run_a_job_again_with_much_behind_it(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_workflow(owner, [Tag("begin", {"D": 1}), Tag("fit", {"D": 4}, ("begin",))], status="D")
    monkeypatch.setattr(confirm, "MOST_WITHOUT_TYPING", 2)
    url = f"/jobs/{made.jobs['begin'][0].pk}/rerun/"
    assert "type the number" not in client.get(url).content.decode()
    behind = client.get(f"{url}?downstream=1")
    number = behind.context["confirm"].must_type
    assert number > 2
    assert client.post(url, {"downstream": "1"}).status_code == 409
    assert Job.objects.filter(status="G").count() == 0
    assert client.post(url, {"downstream": "1", "typed": str(number)}).status_code == 302


def test_few_jobs_of_ones_own_need_no_number(client: Client, live: Made) -> None:
    for url in (f"/jobs/{live.job('F').pk}/retry/", f"/workflows/{live.workflow.pk}/stop/"):
        assert "type the number" not in client.get(url).content.decode()


def test_whoever_may_not_is_told_who_may(live: Made, group: Group) -> None:
    staff = signed_in(make_user("sue", is_staff=True))
    workflow, failed = f"/workflows/{live.workflow.pk}", live.job("F").pk
    owner, operators = "Only the owner (alice) may", "Only the owner (alice) and the group fits may"
    told = {
        f"{workflow}/resume/": operators,
        f"{workflow}/limits/": operators,
        f"{workflow}/sharing/": owner,
        f"/jobs/{failed}/retry/": operators,
        f"/jobs/{failed}/done/": owner,
        f"/error-groups/{live.workflow.error_groups.get().pk}/": operators,
    }
    for url, words in told.items():
        answer = staff.post(url)
        assert answer.status_code == 403, url
        assert words in answer.content.decode(), url
    for action, words in {"done": owner, "retry": operators}.items():
        answer = staff.post(f"{workflow}/operations/", {"action": action, "which": "all", "query": ""})
        assert (answer.status_code, words in answer.content.decode()) == (403, True), action


def test_a_viewer_is_told_that_staff_may_stop(owner: User, group: Group) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 2})])
    Workflow.objects.filter(pk=made.workflow.pk).update(group=group)
    user = make_user("carol")
    user.groups.add(group)
    answer = signed_in(user).post(f"/workflows/{made.workflow.pk}/stop/", {"mode": "kill"})
    assert answer.status_code == 403
    assert "Only the owner (alice) and staff may do this." in answer.content.decode()


def test_others_are_told_who_reads_the_audit_and_holds_executors(client: Client) -> None:
    assert "Only administrators may read what everybody did." in client.get("/audit/").content.decode()
