"""Who sees and does what; what is not understood; what hostile text does."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from workflows.access import make_sign_in_link
from workflows.models import Job, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db
TAGS = (Tag("clean", {"D": 3, "F": 1}), Tag("fit", {"R": 2, "I": 1, "G": 1}, ("clean",)))


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, TAGS, name="Fits")


def signed_in(user: User, **options: bool) -> Client:
    client = Client(HTTP_HOST="127.0.0.1", **options)
    client.force_login(user)
    return client


def private_urls(made: Made) -> list[str]:
    assert made.run is not None
    workflow, job, attempt = made.workflow.pk, made.job("F").pk, made.instance("E").pk
    parts = ("", "jobs/", "jobs/?export=csv", "errors/", "graph/", "timeline/", "activity/", "resume/", "stop/")
    return [
        *(f"/workflows/{workflow}/{part}" for part in parts),
        f"/error-groups/{made.workflow.error_groups.get().pk}/",
        f"/workflow-runs/{made.run.pk}/",
        f"/jobs/{job}/",
        f"/jobs/{job}/graph/",
        f"/jobs/?dag_id={made.workflow.dag_id}",
        f"/job-instances/{attempt}/",
        f"/job-instances/{attempt}/log/stdout/",
        f"/job-instances/{attempt}/log/stderr/?raw=1",
    ]


def test_a_stranger_gets_404_everywhere(made: Made) -> None:
    stranger = signed_in(make_user("mallory"))
    for url in private_urls(made):
        assert stranger.get(url).status_code == 404, url
    for action in ("resume", "stop"):
        assert stranger.post(f"/workflows/{made.workflow.pk}/{action}/").status_code == 404
    assert "Fits" not in stranger.get("/workflows/").content.decode()
    for q in (
        "Fits",
        "clean",
        made.workflow.pk,
        made.job("F").pk,
        made.instance("E").pk,
        made.instance("E").executor_id,
    ):
        assert "Nothing found" in stranger.get("/search/", {"q": q}).content.decode(), q


def test_nobody_gets_in_without_signing_in(made: Made) -> None:
    for url in [*private_urls(made), "/workflows/", "/search/?q=1", "/executors/", "/audit/", "/account/"]:
        response = Client(HTTP_HOST="127.0.0.1").get(url)
        assert response.status_code == 302, url
        assert response["Location"].startswith("/login/?next="), url


def test_a_disabled_person_gets_nothing(made: Made, owner: User, client: Client) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(f"/workflows/{made.workflow.pk}/").status_code == 302


def test_staff_sees_and_may_stop_but_not_resume(made: Made) -> None:
    staff = signed_in(make_user("root", is_staff=True))
    assert "Stop…</a>" in staff.get(f"/workflows/{made.workflow.pk}/").content.decode()
    page = staff.get(f"/workflows/{made.workflow.pk}/resume/")
    assert page.status_code == 200
    WorkflowRun.objects.update(status="S", ended_at=made.workflow.created_date)
    Workflow.objects.update(status="S")
    text = staff.get(f"/workflows/{made.workflow.pk}/").content.decode()
    assert "Only the owner (alice) may resume it." in text
    assert staff.post(f"/workflows/{made.workflow.pk}/resume/", {"seen": "1-0-1-2-0-1-3"}).status_code == 403


def test_unknown_numbers_are_404(client: Client, owner: User) -> None:
    numbered = [f"/{kind}/999/" for kind in ("workflows", "jobs", "job-instances", "workflow-runs", "error-groups")]
    for url in [*numbered, f"/workflows/{10**18 - 1}/", f"/workflows/{10**30}/", "/jobs/?dag_id=x", "/nowhere/"]:
        response = client.get(url)
        assert response.status_code == 404, url
        assert "Search" in response.content.decode()


def test_links_hold_plain_numbers(client: Client, owner: User) -> None:
    made = make_workflow(owner, TAGS)
    Job.objects.filter(pk=made.job("G").pk).update(job_id=1_234_567)
    text = client.get(f"/workflows/{made.workflow.pk}/jobs/").content.decode()
    assert 'href="/jobs/1234567/"' in text
    assert "1,234,567/" not in text


def test_a_filter_that_is_not_understood_is_named_and_shows_nothing(client: Client, made: Made) -> None:
    for query in ("stauts=F", "status=X", "attempts=many", "since=yesterday"):
        text = client.get(f"/workflows/{made.workflow.pk}/jobs/?{query}").content.decode()
        assert f"not understood: {query}" in text, query
        assert "/jobs/1/" not in text
        assert "so nothing is shown" in text


def test_filters_are_chips_that_can_be_removed(client: Client, made: Made) -> None:
    text = client.get(f"/workflows/{made.workflow.pk}/jobs/?status=F&tag=clean").content.decode()
    assert "status: failed" in text
    assert 'href="?tag=clean"' in text
    assert "<b>1</b> job match" in text


def test_an_empty_list_says_which_filter_excludes_most(client: Client, made: Made) -> None:
    """Eight jobs, four of clean; none of them runs under this name."""
    text = client.get(f"/workflows/{made.workflow.pk}/jobs/?status=F&tag=fit").content.decode()
    assert "No failed jobs" in text
    assert '<a href="?status=F">without “tag: fit”</a> 1' in text
    assert '<a href="?tag=fit">without “status: failed”</a> 4' in text
    assert text.index("without “status: failed”") < text.index("without “tag: fit”")
    listed = client.get("/workflows/?mine=1&q=nothing&status=R").content.decode()
    assert '<a href="?mine=1&amp;status=R">without “name or arguments begin with: nothing”</a> 1' in listed
    assert "without “status: running”" not in listed


def test_a_broken_page_link_is_named(client: Client, made: Made) -> None:
    for url in (f"/workflows/{made.workflow.pk}/jobs/", "/workflows/", f"/workflows/{made.workflow.pk}/errors/"):
        response = client.get(url, {"after": "bm9uc2Vuc2U"})
        assert response.status_code == 200
        assert "page link is not valid" in response.content.decode()


def test_a_poll_answers_204_until_something_changes(client: Client, made: Made) -> None:
    workflow = made.workflow
    urls = [f"/workflows/{workflow.pk}/", f"/workflows/{workflow.pk}/jobs/", f"/workflow-runs/{made.run.pk}/",
            f"/jobs/{made.job('R').pk}/", f"/job-instances/{made.instance('R').pk}/"]  # fmt: skip
    for url in urls:
        same = client.get(url, {"v": workflow.change_no}, headers={"HX-Request": "true"})
        assert (same.status_code, same.content) == (204, b""), url
    Workflow.objects.update(change_no=workflow.change_no + 1)
    for url in urls:
        changed = client.get(url, {"v": workflow.change_no}, headers={"HX-Request": "true"})
        assert changed.status_code == 200
        text = changed.content.decode()
        assert text.lstrip().startswith('<div id="live"'), url
        assert f"v={workflow.change_no + 1}" in text, url
        assert "HX-Request" in changed["Vary"]


def test_a_finished_workflow_ends_the_poll(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("a", {"D": 2})], status="D")
    text = client.get(f"/workflows/{made.workflow.pk}/").content.decode()
    assert "hx-trigger" not in text
    assert "All jobs are done" not in client.get("/workflows/").content.decode()


def test_export_is_complete_and_harmless(client: Client, made: Made) -> None:
    Job.objects.filter(pk=made.job("F").pk).update(command="=cmd()", name="@x")
    url = f"/workflows/{made.workflow.pk}/jobs/"
    text = b"".join(client.get(url, {"export": "csv"}).streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 8
    assert {row["command"] for row in rows if row["name"] == "'@x"} == {"'=cmd()"}
    lines = b"".join(client.get(url, {"export": "jsonl", "status": "F"}).streaming_content).decode().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["F"]


HOSTILE = "</pre><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7|add:1 }}"


def test_stored_text_is_shown_as_text(client: Client, owner: User) -> None:
    made = make_workflow(
        owner, TAGS, args=HOSTILE, name=HOSTILE, description=HOSTILE, note=HOSTILE, project=HOSTILE[:60]
    )
    job, attempt = made.job("F"), made.instance("E")
    Job.objects.filter(pk=job.pk).update(name=HOSTILE, command=HOSTILE, marked_done_by=HOSTILE)
    type(attempt).objects.update(nodename=HOSTILE, evidence=HOSTILE, executor_id=HOSTILE[:60], kill_asked_by=HOSTILE)
    made.workflow.error_groups.update(title=HOSTILE, note=HOSTILE, changed_by=HOSTILE)
    attempt.errors.create(error_time=attempt.ended_at, description=HOSTILE)
    WorkflowRun.objects.update(hold_reason=HOSTILE, hostname=HOSTILE, stop_asked_by=HOSTILE)
    make_audit(made.workflow, HOSTILE[:60], target=HOSTILE[:60], before={HOSTILE: HOSTILE}, after={HOSTILE: HOSTILE})
    urls = [url for url in private_urls(made) if "export" not in url and "raw" not in url]
    jobs = f"/workflows/{made.workflow.pk}/jobs/?q={HOSTILE}&x={HOSTILE}"
    for url in [*urls, "/workflows/", f"/search/?q={HOSTILE}", jobs]:
        text = client.get(url, follow=True).content.decode()
        assert "<script>alert" not in text, url
        assert "<img" not in text, url


def test_raw_output_is_text_in_a_sandbox(client: Client, made: Made) -> None:
    response = client.get(f"/job-instances/{made.instance('E').pk}/log/stdout/?raw=1")
    assert response["Content-Type"].startswith("text/plain")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_the_sign_in_link_works_once_and_only_by_post(owner: User) -> None:
    code = make_sign_in_link(owner)
    visitor = Client(HTTP_HOST="127.0.0.1")
    for _ in range(2):
        assert code in visitor.get("/login/once/", {"code": code}).content.decode()
    assert visitor.post("/login/once/", {"code": code})["Location"] == "/"
    assert visitor.get("/workflows/").status_code == 200
    again = Client(HTTP_HOST="127.0.0.1").post("/login/once/", {"code": code}, follow=True)
    assert "used already or is too old" in again.content.decode()


def test_sign_in_never_says_which_part_was_wrong(owner: User) -> None:
    visitor = Client(HTTP_HOST="127.0.0.1")
    for name in ("alice", "nobody"):
        text = visitor.post("/login/", {"username": name, "password": "wrong"}).content.decode()
        assert "The name or the password is wrong." in text
    right = {"username": "alice", "password": "correct horse"}
    assert visitor.post("/login/?next=https://evil.example/", right)["Location"] == "/"


def test_sign_out_wants_a_post(client: Client, owner: User) -> None:
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/workflows/").status_code == 302


def test_forms_want_the_token_and_our_own_pages(made: Made, owner: User) -> None:
    strict = signed_in(owner, enforce_csrf_checks=True)
    response = strict.post(f"/workflows/{made.workflow.pk}/stop/", {"mode": "kill"})
    assert response.status_code == 403
    assert "too old, or it came from another site" in response.content.decode()


def test_settings_of_a_browser_are_kept(client: Client, owner: User) -> None:
    client.post("/account/", {"theme": "dark", "zone": "Europe/Zurich", "keys": "on"})
    text = client.get("/account/").content.decode()
    assert 'data-bs-theme="dark"' in text
    assert "Europe/Zurich" in text
    bad = client.post("/account/", {"theme": "dark", "zone": "Nowhere/Land"}, follow=True).content.decode()
    assert "is not the name of a time zone" in bad


def test_the_audit_is_for_administrators(client: Client, made: Made) -> None:
    make_audit(made.workflow)
    assert client.get("/audit/").status_code == 403
    assert ">started</span>" in client.get(f"/workflows/{made.workflow.pk}/activity/").content.decode()
    assert signed_in(make_user("sue", is_staff=True)).get("/audit/").status_code == 403
    assert ">started</span>" in signed_in(make_user("root", is_admin=True)).get("/audit/").content.decode()


def test_reading_changes_nothing(client: Client, made: Made) -> None:
    before = [list(model.objects.order_by("pk").values()) for model in (Workflow, WorkflowRun, Job)]
    for url in private_urls(made):
        client.get(url)
    assert [list(model.objects.order_by("pk").values()) for model in (Workflow, WorkflowRun, Job)] == before


def test_mine_are_only_mine_even_for_staff(made: Made) -> None:
    staff = signed_in(make_user("root", is_staff=True))
    assert "Fits" in staff.get("/workflows/").content.decode()
    assert "Fits" not in staff.get("/workflows/?mine=1").content.decode()
    assert "No workflow yet" in staff.get("/workflows/?mine=1").content.decode()


def test_a_page_that_asks_for_too_much_says_so(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.views.base.READ_SECONDS", -1.0)
    monkeypatch.setattr("workflows.queries.limits._STEPS", 1)
    path = f"/workflows/{made.workflow.pk}/jobs/"
    response = client.get(f"{path}?q=*x&status=F&status=E&after=abc")
    assert response.status_code == 503
    text = response.content.decode()
    assert "asks for too much" in text
    for rest in ("status=F&amp;status=E", "q=%2Ax&amp;status=E", "q=%2Ax&amp;status=F"):
        assert f'href="{path}?{rest}"' in text, "each filter is named, and can be taken off"
    assert "after: " not in text, "a place in the list is no filter"
    assert client.get("/login/once/").status_code == 200


def test_tunnel_may_have_any_port_and_no_page_of_another_port_acts(made: Made, owner: User) -> None:
    """`ssh -L 9000:127.0.0.1:8000`: the browser says port 9000 throughout. A page of another server on this machine has
    the cookies too, since they know no ports."""
    client, url = signed_in(owner), f"/workflows/{made.workflow.pk}/note/"
    for host in ("127.0.0.1:9000", "localhost:9000"):
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert client.post(url, {"note": "through a tunnel"}, headers=headers).status_code == 302
        for foreign in ("http://127.0.0.1:8000", "http://localhost:9999"):
            assert client.post(url, {"note": "x"}, headers={**headers, "Origin": foreign}).status_code == 403
            answer = client.get("/api/v1/workflows/", headers={**headers, "Origin": foreign})
            assert answer.status_code == 403
    for host in ("evil.example:8000", "127.0.0.1.evil.example", "127.0.0.1:x"):
        assert client.get("/workflows/", headers={"Host": host}).status_code == 400
