"""Actions on a workflow and on one job: who may, what is said first, one effect; and a GET changes nothing."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.factories import Made, Tag, acts, make_user, make_workflow
from workflows import planning
from workflows.models import AuditEntry, ErrorGroup, Job, JobGroup, JobInstance, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db
TAGS = (Tag("clean", {"D": 3, "F": 1, "R": 1}), Tag("fit", {"G": 4}, ("clean",)))


@pytest.fixture
def live(owner: User) -> Made:
    return make_workflow(owner, TAGS)


@pytest.fixture
def ended(owner: User) -> Made:
    return make_workflow(owner, [Tag("clean", {"D": 3, "F": 2}), Tag("fit", {"G": 4}, ("clean",))], status="E")


def signed_in(user: User) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return client


def pages_of(made: Made) -> dict[str, dict[str, str]]:
    """Every action's page with a form that would be carried out."""
    workflow, failed, running, waiting = made.workflow.pk, made.job("F").pk, made.job("R").pk, made.job("G").pk
    group = made.workflow.error_groups.get().pk
    return {
        f"/workflows/{workflow}/hold/": {"wanted": "hold", "reason": "disk is full"},
        f"/workflows/{workflow}/limits/": {"run": "3", "confirmed": "1"},
        f"/workflows/{workflow}/note/": {"note": "look here"},
        f"/jobs/{failed}/retry/": {},
        f"/jobs/{made.job('D').pk}/rerun/": {},
        f"/jobs/{waiting}/done/": {"note": "by hand"},
        f"/jobs/{running}/kill/": {"then": "fail"},
        f"/jobs/{waiting}/requests/": {"slots": "4", "confirmed": "1"},
        f"/error-groups/{group}/": {"state": "acknowledged", "note": "known"},
    }


def everything() -> list[object]:
    models = (Workflow, WorkflowRun, Job, JobGroup, JobInstance, ErrorGroup, AuditEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_pages_of_actions_change_nothing(client: Client, live: Made) -> None:
    before = everything()
    for url in pages_of(live):
        assert client.get(url).status_code == 200, url
    assert everything() == before


def test_a_stranger_finds_no_action(live: Made) -> None:
    stranger = signed_in(make_user("mallory"))
    before = everything()
    for url, form in pages_of(live).items():
        assert stranger.get(url).status_code == 404, url
        assert stranger.post(url, form).status_code == 404, url
    assert everything() == before


def test_staff_may_hold_kill_and_note_and_is_told_what_not(live: Made) -> None:
    staff = signed_in(make_user("root", is_staff=True))
    allowed = ("hold", "kill", "note")
    for url, form in pages_of(live).items():
        is_allowed = url.strip("/").rpartition("/")[2] in allowed
        page = staff.get(url).content.decode()
        assert ("Only the owner (alice) may" in page) is not is_allowed, url
        typed = {"typed": "1"} if url.endswith("/kill/") else {}
        assert staff.post(url, {**form, **typed}).status_code == (302 if is_allowed else 403), url


@pytest.mark.parametrize("number", range(9))
def test_an_action_sent_twice_has_one_effect(client: Client, live: Made, number: int) -> None:
    url, form = list(pages_of(live).items())[number]
    once = re.search(r'name="once" value="(\w+)"', client.get(url).content.decode())
    form = {**form, **({"once": once[1]} if once else {})}
    assert client.post(url, form).status_code == 302, url
    after = everything()
    assert acts().get().actor == "alice", url
    client.post(url, form)
    assert everything() == after, url


def test_hold_and_release(client: Client, live: Made) -> None:
    url = f"/workflows/{live.workflow.pk}/hold/"
    client.post(url, {"wanted": "hold", "reason": "disk is full"})
    assert WorkflowRun.objects.get().hold_reason == "disk is full"
    assert "Held: disk is full" in client.get(url).content.decode()
    assert "Release…</a>" in client.get(f"/workflows/{live.workflow.pk}/").content.decode()
    client.post(url, {"wanted": "release"})
    assert WorkflowRun.objects.get().hold_reason == ""


def test_a_hold_says_what_may_still_start(client: Client, owner: User) -> None:
    pk = make_workflow(owner, [Tag("fit", {"R": 1, "I": 7, "G": 1})]).workflow.pk
    stop, url = f"/workflows/{pk}/stop/", f"/workflows/{pk}/hold/"
    assert "7 jobs submitted already may still start; what runs goes on." in client.get(url).content.decode()
    assert "Only want a pause?" in client.get(stop).content.decode()
    told = client.post(url, {"wanted": "hold", "reason": ""}, follow=True).content.decode()
    assert "7 jobs submitted already may still start" in told
    assert WorkflowRun.objects.get().hold_reason == "no reason given"
    assert "Only want a pause?" not in client.get(stop).content.decode()
    assert "Nothing new starts" not in told


def test_limits_are_shown_old_and_new_before_they_are_set(client: Client, live: Made) -> None:
    url = f"/workflows/{live.workflow.pk}/limits/"
    tag = JobGroup.objects.get(name="fit")
    form = {"run": "500", f"tag-{tag.pk}": "20"}
    text = client.post(url, form).content.decode()
    assert "in all: none → 500, fit: none → 20" in text
    assert "Change 2 limits</button>" in text
    assert JobGroup.objects.get(name="fit").max_concurrently_running is None
    client.post(url, {**form, "confirmed": "1"})
    assert JobGroup.objects.get(name="fit").max_concurrently_running == 20
    assert WorkflowRun.objects.get().max_concurrently_running == 500
    for wrong in ({"run": "many"}, {"run": "-1"}, {"run": "500", f"tag-{tag.pk}": "20"}):
        assert client.post(url, wrong).status_code == 409


def test_a_failed_job_is_tried_again_in_the_live_run(client: Client, live: Made) -> None:
    job = live.job("F")
    client.post(f"/jobs/{job.pk}/retry/")
    assert (Job.objects.get(pk=job.pk).status, Job.objects.get(pk=job.pk).num_attempts) == ("G", 0)
    assert WorkflowRun.objects.count() == 1


def test_a_failed_job_of_an_ended_run_gets_a_run_of_its_own(client: Client, ended: Made) -> None:
    job = ended.job("F")
    client.post(f"/jobs/{job.pk}/retry/")
    run = WorkflowRun.objects.get(status="R")
    assert run.scope == {"tags": [], "job_ids": [job.pk], "error_group": None}
    assert Job.objects.filter(status="F").count() == 1


def test_run_again_takes_the_downstream_only_when_chosen(client: Client, ended: Made) -> None:
    job = next(job for job in ended.jobs["clean"] if job.status == "D")
    Job.objects.filter(pk__in=[other.pk for other in ended.jobs["fit"]]).update(status="D")
    JobGroup.objects.filter(name="fit").update(count_g=0, count_d=4)
    url = f"/jobs/{job.pk}/rerun/"
    text = client.get(url).content.decode()
    assert "Run 1 job again</button>" in text
    assert "stay done, though what they read is written anew" in text
    assert "Run 2 jobs again</button>" in client.get(f"{url}?downstream=1").content.decode()
    client.post(url, {"downstream": "1"})
    assert Job.objects.filter(status="G").count() == 2


def test_run_again_looks_at_some_of_very_many_downstreams(
    client: Client, ended: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "DOWNSTREAMS_READ", 1)
    job = next(job for job in ended.jobs["clean"] if job.status == "D")
    Job.objects.filter(pk__in=[other.pk for other in ended.jobs["fit"]]).update(status="G")
    text = client.get(f"/jobs/{job.pk}/rerun/").content.decode()
    assert "At least 1 jobs wait for it; if any is done, it stays done." in text


def test_actions_that_cannot_be_done_say_why(client: Client, live: Made) -> None:
    done, running = live.job("D").pk, live.job("R").pk
    for url, words in {
        f"/jobs/{done}/retry/": "It has not failed.",
        f"/jobs/{done}/done/": "It is done already.",
        f"/jobs/{done}/kill/": "No attempt of it is live.",
        f"/jobs/{running}/rerun/": "An attempt of it is live",
        f"/jobs/{done}/requests/": "It is done; run it again instead.",
    }.items():
        text = client.get(url).content.decode()
        assert words in text, url
        assert re.search(r'<button class="btn" type="submit" disabled>', text), url
        before = everything()
        client.post(url, {"then": "retry", "slots": "2", "confirmed": "1"})
        assert everything() == before, url


def test_a_kill_wants_to_know_what_follows(client: Client, live: Made) -> None:
    url = f"/jobs/{live.job('R').pk}/kill/"
    assert "checked" not in client.get(url).content.decode()
    assert client.post(url, {}).status_code == 409
    client.post(url, {"then": "retry"})
    attempt = JobInstance.objects.get(status="R")
    assert (attempt.kill_asked_by, attempt.kill_then) == ("alice", "retry")


def test_requests_are_confirmed_with_old_and_new(client: Client, live: Made) -> None:
    job = live.job("G")
    url = f"/jobs/{job.pk}/requests/"
    assert "memory (GB) 4.0 → 8.0" in client.post(url, {"mem_free": "8"}).content.decode()
    assert Job.objects.get(pk=job.pk).mem_free == 4
    client.post(url, {"mem_free": "8", "confirmed": "1"})
    assert Job.objects.get(pk=job.pk).mem_free == 8
    for wrong in ({"mem_free": "lots"}, {"slots": "0"}, {}):
        assert client.post(url, wrong).status_code == 409


def test_an_error_group_is_a_work_queue(client: Client, ended: Made) -> None:
    group = ended.workflow.error_groups.get()
    text = client.get(f"/error-groups/{group.pk}/").content.decode()
    assert f'href="/workflows/{ended.workflow.pk}/resume/?error_group={group.pk}"' in text
    assert "1 job blocked by them" in text
    client.post(f"/error-groups/{group.pk}/", {"state": "fixed", "note": "new data"})
    group.refresh_from_db()
    assert (group.state, group.note, group.changed_by) == ("fixed", "new data", "alice")
    client.post(f"/error-groups/{group.pk}/", {"state": "nonsense"})
    group.refresh_from_db()
    assert group.state == "fixed"


def test_resume_of_an_error_group_leaves_the_rest(client: Client, ended: Made) -> None:
    url = f"/workflows/{ended.workflow.pk}/resume/"
    group = ended.workflow.error_groups.get().pk
    Job.objects.filter(pk=ended.jobs["clean"][-1].pk).update(error_group=None)
    text = client.get(url, {"error_group": group}).content.decode()
    assert "outside the scope stay as they are" in text
    seen = re.search(r'name="seen" value="(\w+)"', text)
    assert seen is not None
    client.post(url, {"seen": seen[1], "error_group": group})
    assert WorkflowRun.objects.get(status="R").scope["error_group"] == group
    assert Job.objects.filter(status="F").count() == 1


def test_resume_of_some_tags(client: Client, ended: Made) -> None:
    url = f"/workflows/{ended.workflow.pk}/resume/"
    text = client.get(url, {"tag": "clean", "resume": "hot"}).content.decode()
    assert "Resume 2 jobs</button>" in text
    assert 'value="hot" checked' in text
    assert client.post(url, {"job": "x"}).status_code == 409


def seen_in(client: Client, url: str, **query: object) -> str:
    found = re.search(r'name="seen" value="(\w+)"', client.get(url, query).content.decode())
    assert found is not None
    return found[1]


def test_a_resume_may_ask_for_more(client: Client, owner: User) -> None:
    """1.5 times the memory for what ended over memory, and only for that; attempts for all; a limit for the run."""
    made = make_workflow(
        owner, [Tag("fit", {"D": 1, "F": 4, "G": 1}, reasons=("memory", "exit"), mem_free=4)], status="E"
    )
    url = f"/workflows/{made.workflow.pk}/resume/"
    assert "2 of 4 jobs failed over memory and would ask for the same again." in client.get(url).content.decode()
    text = client.get(url, {"more_memory": "1"}).content.decode()
    assert "2 of 4 jobs failed over memory and will ask for 1.5 times as much." in text
    seen = seen_in(client, url)
    assert client.post(url, {"seen": seen, "limit": "none"}).status_code == 409
    client.post(url, {"seen": seen, "more_memory": "1", "more_runtime": "1", "max_attempts": "7", "limit": "12"})
    run = WorkflowRun.objects.get(status="R")
    assert run.max_concurrently_running == 12
    jobs = Job.objects.order_by("job_id").values_list("mem_free", "max_attempts", "status")
    assert sorted(jobs) == [(4.0, 3, "D"), *[(4.0, 7, "G")] * 3, *[(6.0, 7, "G")] * 2]
    told = AuditEntry.objects.latest("pk").after
    chosen = {"resume": "cold", "max_attempts": 7, "memory": 1.5, "runtime": 1.5, "max_concurrently_running": 12}
    assert told == {**told, **chosen, "executor": run.executor}


def test_only_the_owner_changes_what_jobs_ask_for_at_a_resume(ended: Made) -> None:
    group = Group.objects.create(name="fits")
    operator = make_user("olga")
    operator.groups.add(group)
    Workflow.objects.filter(pk=ended.workflow.pk).update(group=group, group_may_operate=True)
    client, url = signed_in(operator), f"/workflows/{ended.workflow.pk}/resume/"
    assert "changed by the owner (alice) alone" in client.get(url).content.decode()
    seen = seen_in(client, url)
    for option in ({"more_memory": "1"}, {"more_runtime": "1"}, {"max_attempts": "9"}):
        assert client.post(url, {"seen": seen, **option}).status_code == 403, option
    assert not WorkflowRun.objects.filter(status="R").exists()
    client.post(url, {"seen": seen, "limit": "3", "typed": str(client.get(url).context["to_do"])})
    assert WorkflowRun.objects.get(status="R").max_concurrently_running == 3


def test_error_groups_tell_where_and_when(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"F": 6}), Tag("merge", {"G": 1}, ("fit",))])
    text = client.get(f"/workflows/{made.workflow.pk}/errors/").content.decode()
    assert 'class="trend"' in text
    assert not re.search(r"\d+\s% on c04\d", text), "no host has more than its due"
    group = made.workflow.error_groups.get()
    page = client.get(f"/error-groups/{group.pk}/").content.decode()
    assert "export=csv" in page
    assert "memory used: <b>" in page
