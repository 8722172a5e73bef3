"""Saved filters: made on a list, tabs of it, shared by their address; and the columns that a person keeps."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import saved_filters
from workflows.models import Preferences, SavedFilter

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"D": 3, "F": 1}), Tag("fit", {"G": 2}, ("clean",))])


def other_client(user: User) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return client


def save(client: Client, name: str, query: str, **more: object) -> SavedFilter:
    client.post("/account/filters/", {"list": "jobs", "name": name, "query": query, **more})
    return SavedFilter.objects.get(name=name)


def test_a_filter_is_saved_where_it_is_used_and_becomes_a_tab(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/jobs/"
    assert "Save this filter" in client.get(url + "?status=F&tag=clean").content.decode()
    posted = {
        "list": "jobs",
        "name": "broken  cleaning",
        "query": "tag=clean&status=F&after=x",
        "workflow": made.workflow.pk,
    }
    assert client.post("/account/filters/", posted)["Location"] == f"{url}?tag=clean&status=F"
    saved = SavedFilter.objects.get()
    assert (saved.name, saved.query) == ("broken cleaning", "tag=clean&status=F")
    text = client.get(f"{url}?status=F&tag=clean").content.decode()
    assert f'href="?filter={saved.slug}" aria-current="page"' in text
    assert f'href="?filter={saved.slug}" title' in client.get(url).content.decode()


def test_the_address_of_a_filter_leads_to_what_it_stands_for(client: Client, made: Made) -> None:
    slug = save(client, "broken", "status=F").slug
    url = f"/workflows/{made.workflow.pk}/jobs/?filter={slug}"
    assert client.get(url)["Location"] == f"/workflows/{made.workflow.pk}/jobs/?status=F"
    assert save(client, "broken", "status=F&tag=fit").slug == slug
    assert client.get(url)["Location"].endswith("?status=F&tag=fit")


def test_a_filter_that_is_not_there_shows_nothing_and_says_so(client: Client, made: Made) -> None:
    mine = save(client, "broken", "status=F")
    eve = make_user("eve")
    made_by_eve = make_workflow(eve, [Tag("fit", {"F": 1})])
    for slug in ("nothing", mine.slug):
        text = other_client(eve).get(f"/workflows/{made_by_eve.workflow.pk}/jobs/?filter={slug}").content.decode()
        assert f"not understood: filter={slug}" in text
        assert "so nothing is shown" in text


def test_shared_filters_serve_everybody_who_is_signed_in(client: Client, made: Made) -> None:
    eve = other_client(make_user("eve"))
    saved = save(client, "broken", "status=F", list="workflows")
    assert "broken" not in eve.get("/account/filters/").content.decode()
    client.post(f"/account/filters/{saved.slug}/", {"do": "share"})
    assert "broken" in eve.get("/account/filters/").content.decode()
    assert eve.get(f"/workflows/?filter={saved.slug}")["Location"] == "/workflows/?status=F"
    eve.post(f"/account/filters/{saved.slug}/", {"do": "delete"})
    assert SavedFilter.objects.filter(pk=saved.pk).exists()
    client.post(f"/account/filters/{saved.slug}/", {"do": "unshare"})
    assert "not understood" in eve.get(f"/workflows/?filter={saved.slug}").content.decode()
    client.post(f"/account/filters/{saved.slug}/", {"do": "delete"})
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        ({"name": "", "query": "status=F"}, "Give the filter a name"),
        ({"name": "a", "query": "cols=name&nonsense=1"}, "no filter to save"),
        ({"name": "a", "query": "sort=name"}, "no filter to save"),
        ({"name": "a", "query": "q=" + "x" * 2500}, "too long"),
        ({"name": "a", "query": "status=F", "list": "nowhere"}, "Give the filter a name"),
    ],
    ids=["no name", "no filter", "only an order", "too long", "no such list"],
)
def test_what_cannot_be_saved_is_said(client: Client, posted: dict[str, str], words: str) -> None:
    response = client.post("/account/filters/", {"list": "workflows", **posted}, follow=True)
    assert words in response.content.decode()
    assert not SavedFilter.objects.exists()


def test_nobody_keeps_more_than_thirty(owner: User, client: Client) -> None:
    for number in range(saved_filters.MOST):
        saved_filters.save(owner, "jobs", f"filter {number}", "status=F")
    with pytest.raises(saved_filters.NotSaved, match="30 saved filters"):
        saved_filters.save(owner, "jobs", "one more", "status=F")
    saved_filters.save(owner, "jobs", "filter 3", "status=E")


def test_a_form_leads_to_no_other_site(client: Client) -> None:
    posted = {"list": "jobs", "name": "a", "query": "status=F", "workflow": "//evil.example/"}
    assert client.post("/account/filters/", posted)["Location"] == "/account/filters/"


def test_columns_are_kept_for_all_browsers_and_the_address_wins(client: Client, owner: User, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/jobs/"
    posted = {"cols": "name,batch,name", "workflow": made.workflow.pk}
    assert client.post("/account/columns/", posted)["Location"] == url
    assert Preferences.objects.get(user=owner).job_columns == "name,batch"
    text = other_client(owner).get(url).content.decode()
    assert "Batch id</th>" in text
    assert "Host</th>" not in text
    assert "Host</th>" in client.get(url + "?cols=name,host").content.decode()
    client.post("/account/columns/", {"cols": "name,nonsense"})
    assert Preferences.objects.get(user=owner).job_columns == "name,batch"
    client.post("/account/columns/", {"cols": ""})
    assert "Host</th>" in client.get(url).content.decode()


def test_looking_keeps_nothing(client: Client, made: Made) -> None:
    client.get(f"/workflows/{made.workflow.pk}/jobs/?cols=name&status=F")
    assert not Preferences.objects.exists()
    assert not SavedFilter.objects.exists()
