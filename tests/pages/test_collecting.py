"""Large selections: collected outside the request, batch by batch, then confirmed like any other."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from tests.factories import Made, Tag, make_user, make_workflow
from tests.pages.conftest import OpenPage
from tests.pages.test_operations import draft
from workflows import collecting, operations, tasks
from workflows.models import Job, Operation, OperationItem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is small here: more than 3 jobs, in batches of 4 ids."""
    monkeypatch.setattr(collecting, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(collecting, "BATCH", 4)


@pytest.fixture
def made(owner: User) -> Made:
    make_workflow(owner, [Tag("other", {"F": 5})])
    return make_workflow(owner, [Tag("clean", {"D": 3, "F": 4, "R": 1}), Tag("fit", {"G": 8}, ("clean",))])


def begin(client: Client, made: Made, action: str = "retry", query: str = "status=F") -> Operation:
    return draft(client, made, action=action, query=query)


def collect(operation: Operation) -> Operation:
    while collecting.collect(operation.pk):
        pass
    operation.refresh_from_db()
    return operation


def chosen() -> list[int]:
    return list(OperationItem.objects.order_by("job_id").values_list("job_id", flat=True))


def ids(made: Made, letters: str) -> list[int]:
    return sorted(job.pk for job in made.all_jobs if job.status in letters)


def test_the_request_collects_nothing_and_offers_nothing(client: Client, made: Made) -> None:
    operation = begin(client, made)
    assert (operation.state, operation.jobs, chosen()) == ("collecting", 0, [])
    url = f"/operations/{operation.uuid}/"
    text = client.get(url).content.decode()
    assert "Retry: collecting…" in text
    assert "Retry 4 jobs" not in text
    client.post(url, {"typed": "4"})
    assert Operation.objects.get().state == "collecting"


def test_small_selections_are_frozen_at_once(client: Client, made: Made) -> None:
    assert begin(client, made, "kill", "status=R").state == "draft"


def test_what_cannot_be_counted_quickly_is_collected(client: Client, made: Made) -> None:
    """No index finds the jobs with a failed attempt, however few they are."""
    operation = begin(client, made, query="reason=lost")
    assert operation.state == "collecting"
    assert (collect(operation).state, operation.jobs) == ("draft", 0)
    assert "None of them: it has not failed." in client.get(f"/operations/{operation.uuid}/").content.decode()


def test_collected_it_is_a_draft_of_exactly_what_matches(client: Client, made: Made) -> None:
    operation = collect(begin(client, made, query="status=F&status=D"))
    assert (operation.state, operation.jobs, chosen()) == ("draft", 7, ids(made, "FD"))
    assert operation.options["counts"] == [["clean", "D", 3], ["clean", "F", 4]]
    text = client.get(f"/operations/{operation.uuid}/").content.decode()
    assert "4 of 7 chosen jobs (status: failed; status: done)." in text
    assert "Retry 4 jobs</button>" in text
    client.post(f"/operations/{operation.uuid}/")
    while operations.carry_out(operation.pk):
        pass
    assert Operation.objects.get().changed == 4


def test_a_lost_worker_and_a_doubled_message_do_no_harm(client: Client, made: Made) -> None:
    """One batch, then nobody; the sweep finds it, and whoever comes goes on where the last one ended."""
    operation = begin(client, made, query="")
    assert collecting._take_batch(operation.pk)
    assert 0 < len(chosen()) < len(made.all_jobs)
    assert operations.unfinished() == [operation.pk]
    for _ in range(2):
        tasks.carry_out(operation_id=operation.pk)
    operation.refresh_from_db()
    assert (operation.state, chosen()) == ("draft", ids(made, "DFRG"))
    assert operations.unfinished() == []
    assert collecting.collect(operation.pk) is False
    assert len(chosen()) == operation.jobs == len(made.all_jobs)


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_fails_leaves_nothing_and_is_tried_again(
    client: Client, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = begin(client, made, query="")
    with monkeypatch.context() as patch:
        patch.setattr(operations, "SAMPLED", -1)  # no database takes a negative slice: the batch breaks off inside
        with pytest.raises(ValueError, match=r"[Nn]egative"):
            collecting.collect(operation.pk)
    assert chosen() == []
    assert (collect(operation).state, chosen()) == ("draft", ids(made, "DFRG"))


def test_a_time_in_the_filter_means_the_same_later(client: Client, made: Made) -> None:
    now = timezone.now()
    Job.objects.filter(pk__in=ids(made, "G")).update(status_date=now - timedelta(minutes=50))
    Job.objects.exclude(pk__in=ids(made, "G")).update(status_date=now - timedelta(hours=9))
    operation = begin(client, made, "done", "since=1h")
    moment = datetime.fromisoformat(QueryDict(operation.options["collect"]["query"])["since"])
    assert now - timedelta(hours=1, seconds=1) <= moment <= timezone.now() - timedelta(hours=1)
    assert (collect(operation).jobs, chosen()) == (8, ids(made, "G"))


def test_the_page_polls_until_there_is_something_to_confirm(client: Client, made: Made) -> None:
    operation = begin(client, made, query="")
    url, poll = f"/operations/{operation.uuid}/", {"HX-Request": "true"}
    assert "hx-trigger" in client.get(url).content.decode()
    assert client.get(url, {"v": "0"}, headers=poll).status_code == 204
    collecting._take_batch(operation.pk)
    fragment = client.get(url, {"v": "0"}, headers=poll).content.decode()
    assert "Looked at 4 of 16 jobs" in fragment
    assert fragment.startswith('<div id="live"')
    collect(operation)
    assert client.get(url, {"v": "4"}, headers=poll)["HX-Refresh"] == "true"


def test_collecting_can_be_stopped(client: Client, made: Made) -> None:
    operation = begin(client, made, query="")
    collecting._take_batch(operation.pk)
    client.post(f"/operations/{operation.uuid}/", {"do": "stop"})
    assert (collect(operation).state, len(chosen())) == ("stopped", 4)
    assert "Stopped by alice: 0 jobs changed" in client.get(f"/operations/{operation.uuid}/").content.decode()


def test_it_is_its_makers_alone(client: Client, made: Made) -> None:
    operation = begin(client, made)
    staff = Client(HTTP_HOST="127.0.0.1")
    staff.force_login(make_user("root", is_staff=True))
    assert staff.get(f"/operations/{operation.uuid}/").status_code == 404
    assert str(operation.uuid) not in staff.get("/operations/").content.decode()
    assert "collecting" in client.get("/operations/").content.decode()


def test_the_half_hour_begins_when_all_are_collected(client: Client, made: Made) -> None:
    operation = begin(client, made)
    Operation.objects.update(created_at=timezone.now() - timedelta(minutes=40))
    assert not operations.is_expired(collect(operation))
    client.post(f"/operations/{operation.uuid}/")
    assert Operation.objects.get().state == "working"
    Operation.objects.update(state="draft", frozen_at=timezone.now() - timedelta(minutes=31))
    client.post(f"/operations/{operation.uuid}/")
    assert Operation.objects.get().state == "draft"


def test_a_filter_that_no_longer_exists_ends_it(client: Client, made: Made) -> None:
    operation = begin(client, made)
    operation.options["collect"]["query"] = "stauts=F"
    operation.save(update_fields=["options"])
    assert (collect(operation).state, chosen()) == ("failed", [])
    assert "stauts" in operation.problem


@pytest.mark.django_db(transaction=True)
@pytest.mark.browser
def test_the_open_page_turns_into_the_confirm_page(open_page: OpenPage, owner: User) -> None:
    made = make_workflow(owner, [Tag("clean", {"F": 9})])
    page = open_page(f"/workflows/{made.workflow.pk}/jobs/")
    page.get_by_label("Do", exact=True).select_option("retry")
    page.get_by_role("button", name="with all 9 jobs").click()
    expect(page.get_by_role("heading", name="Retry: collecting…")).to_be_visible()
    collect(Operation.objects.get())
    page.get_by_role("button", name="Retry 9 jobs").click()
    expect(page.get_by_text("Working: 0 of 9 jobs.")).to_be_visible()
