"""Actions on many jobs: frozen, confirmed, carried out in chunks, each with the rights of that moment."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import operations
from workflows.models import Job, JobGroup, Operation, OperationItem

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"D": 3, "F": 4, "R": 1}), Tag("fit", {"G": 8}, ("clean",))])


def draft(client: Client, made: Made, **form: object) -> Operation:
    response = client.post(f"/workflows/{made.workflow.pk}/operations/", {"which": "all", **form})
    assert response.status_code == 302
    operation = Operation.objects.get()
    assert response["Location"] == f"/operations/{operation.uuid}/"
    return operation


def work(operation: Operation) -> Operation:
    while operations.carry_out(operation.pk):
        pass
    operation.refresh_from_db()
    return operation


def test_a_draft_freezes_the_ids_and_does_nothing(client: Client, made: Made) -> None:
    operation = draft(client, made, action="retry", query="status=F&tag=clean")
    assert OperationItem.objects.count() == 4
    text = client.get(f"/operations/{operation.uuid}/").content.decode()
    assert "Retry 4 jobs</button>" in text
    assert "status: failed; tag: clean" in text
    assert Job.objects.filter(status="F").count() == 4
    assert work(operation).state == "draft"
    assert Job.objects.filter(status="F").count() == 4


def test_confirmed_it_acts_on_the_frozen_jobs_only(client: Client, made: Made) -> None:
    operation = draft(client, made, action="retry", query="status=F&status=D")
    late = made.job("R")
    Job.objects.filter(pk=late.pk).update(status="F")
    url = f"/operations/{operation.uuid}/"
    for _ in range(2):
        assert client.post(url).status_code == 302
    work(operation)
    assert (operation.state, operation.changed, operation.skipped) == ("finished", 4, 3)
    assert list(Job.objects.filter(status="F")) == [late]
    assert JobGroup.objects.get(name="clean").count_f == 0
    text = client.get(url).content.decode()
    assert "Finished: 4 jobs changed, 3 skipped." in text
    assert "it has not failed" in text


def test_ticked_rows(client: Client, made: Made) -> None:
    chosen = [job.pk for job in made.jobs["fit"][:2]]
    operation = draft(client, made, action="done", which="ticked", job=chosen)
    client.post(f"/operations/{operation.uuid}/", {"note": "by hand"})
    work(operation)
    assert set(Job.objects.filter(marked_done_by="alice").values_list("pk", flat=True)) == set(chosen)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"action": "retry", "which": "ticked"}, "No job is ticked; nothing was done."),
        ({"action": "retry", "query": "stauts=F"}, "A filter was not understood (stauts); nothing was done."),
        ({"action": "retry", "query": "status=Q"}, "No job is chosen; nothing was done."),
        ({"action": ""}, "Choose what to do with the jobs."),
    ],
)
def test_what_is_empty_or_not_understood_is_never_all(
    client: Client, made: Made, form: dict[str, str], words: str
) -> None:
    url = f"/workflows/{made.workflow.pk}/operations/"
    response = client.post(url, {"which": "all", **form}, follow=True)
    assert words in response.content.decode()
    assert not Operation.objects.exists()


def test_the_jobs_of_others_cannot_be_ticked(client: Client, made: Made) -> None:
    other = make_workflow(make_user("bob"), [Tag("x", {"F": 2})])
    form = {"action": "retry", "which": "ticked", "job": [other.job("F").pk]}
    client.post(f"/workflows/{made.workflow.pk}/operations/", form)
    assert not Operation.objects.exists()


def test_strangers_and_staff(client: Client, made: Made) -> None:
    operation = draft(client, made, action="retry", query="status=F")
    url = f"/operations/{operation.uuid}/"
    stranger, staff = Client(HTTP_HOST="127.0.0.1"), Client(HTTP_HOST="127.0.0.1")
    stranger.force_login(make_user("mallory"))
    staff.force_login(make_user("root", is_staff=True))
    form = {"action": "retry", "which": "all", "query": ""}
    create = f"/workflows/{made.workflow.pk}/operations/"
    assert (stranger.get(url).status_code, stranger.post(create, form).status_code) == (404, 404)
    assert (staff.get(url).status_code, staff.post(create, form).status_code) == (404, 403)
    assert staff.post(create, {**form, "action": "kill"}).status_code == 302
    client.post(url)
    assert (staff.get(url).status_code, staff.post(url, {"do": "stop"}).status_code) == (200, 403)


def test_rights_are_checked_again_for_every_chunk(
    client: Client, made: Made, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "CHUNK", 3)
    operation = draft(client, made, action="done", query="status=G")
    client.post(f"/operations/{operation.uuid}/")
    assert operations._take_chunk(operation.pk)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    work(operation)
    assert (operation.state, operation.changed) == ("failed", 3)
    assert "may not do this any more" in operation.problem
    assert Job.objects.filter(marked_done_by="alice").count() == 3


def test_the_rest_can_be_stopped(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "CHUNK", 3)
    operation = draft(client, made, action="done", query="status=G")
    url = f"/operations/{operation.uuid}/"
    client.post(url)
    assert operations._take_chunk(operation.pk)
    client.post(url, {"do": "stop"})
    work(operation)
    assert (operation.state, operation.changed) == ("stopped", 3)
    assert "5 left as they were" in client.get(url).content.decode()


def test_a_draft_expires(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "REMOVED_AT_ONCE", 1)
    operation = draft(client, made, action="retry", query="status=G")
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=31))
    url = f"/operations/{operation.uuid}/"
    client.post(url)
    assert Operation.objects.get().state == "draft"
    assert "has expired" in client.get(url).content.decode()
    Operation.objects.update(created_at=timezone.now() - timedelta(days=2))
    operations.remove_old_drafts()
    assert not OperationItem.objects.exists()
    assert not Operation.objects.exists()


def test_a_kill_of_many_wants_to_know_what_follows(client: Client, made: Made) -> None:
    operation = draft(client, made, action="kill", query="status=R")
    url = f"/operations/{operation.uuid}/"
    assert client.post(url).status_code == 409
    client.post(url, {"then": "fail"})
    work(operation)
    assert made.instance("R").__class__.objects.get(status="R").kill_then == "fail"


def test_requests_of_many(client: Client, made: Made) -> None:
    operation = draft(client, made, action="requests", query="status=G")
    url = f"/operations/{operation.uuid}/"
    assert client.post(url).status_code == 409
    client.post(url, {"mem_free": "32"})
    work(operation)
    assert Job.objects.filter(mem_free=32).count() == 8


def test_many_jobs_want_their_number_typed(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.views.confirm.MOST_WITHOUT_TYPING", 3)
    operation = draft(client, made, action="retry", query="status=F")
    url = f"/operations/{operation.uuid}/"
    assert "type the number of jobs (4)" in client.get(url).content.decode()
    assert client.post(url, {"typed": "5"}).status_code == 409
    assert client.post(url, {"typed": "4"}).status_code == 302
    assert Operation.objects.get().state == "working"


def test_the_sweep_finds_what_was_forgotten(client: Client, made: Made) -> None:
    operation = draft(client, made, action="retry", query="status=F")
    assert operations.unfinished() == []
    client.post(f"/operations/{operation.uuid}/")
    assert operations.unfinished() == [operation.pk]


def test_progress_is_polled_until_it_is_over(client: Client, made: Made) -> None:
    operation = draft(client, made, action="retry", query="status=F")
    url = f"/operations/{operation.uuid}/"
    client.post(url)
    assert "hx-trigger" in client.get(url).content.decode()
    assert client.get(url, {"v": "1"}, headers={"HX-Request": "true"}).status_code == 204
    work(operation)
    assert "hx-trigger" not in client.get(url).content.decode()


def test_all_outcomes_are_listed_page_by_page(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 60, "F": 3})])
    operation = draft(client, made, action="retry")
    url = f"/operations/{operation.uuid}/"
    client.post(url)
    work(operation)
    first = client.get(url).content.decode()
    assert "60 skipped" in first
    assert "3 changed" in first
    assert first.count('id="outcome-') == 50
    link = re.search(r'rel="next" href="([^"]*)"', first)
    assert link is not None
    assert client.get(url + html.unescape(link[1])).content.decode().count('id="outcome-') == 10
    changed = client.get(f"{url}?outcome=changed").content.decode()
    assert changed.count('id="outcome-') == 3
    assert client.get(f"{url}?outcome=nonsense").content.decode().count('id="outcome-') == 50


def test_the_list_is_filtered_by_its_form(client: Client, made: Made) -> None:
    draft(client, made, action="retry")
    shown = client.get("/operations/?action=retry").content.decode()
    assert 'name="state"' in shown
    assert "Retry</a>" in shown
    assert "No operation matches" in client.get("/operations/?action=kill").content.decode()
