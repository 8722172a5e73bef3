"""Executors and hosts: what pages show of them, who may hold, limit and exclude, and what the engine makes of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, acts, make_user, make_workflow
from workflows import executor_control
from workflows.actor import Actor
from workflows.lifecycle.runs import SUBMIT_TRIES, hold_run, note_submit_failure
from workflows.models import (
    AuditEntry,
    ErrorGroup,
    ExecutorMinute,
    ExecutorState,
    HostExclusion,
    JobInstance,
    SystemState,
    WorkflowRun,
)
from workflows.queries.executors import measure
from workflows.scheduling import bad_hosts, executor_minutes, reconcile, server_facts, stored_facts
from workflows.scheduling.bad_hosts import Ended, find_bad
from workflows.scheduling.ready import find_limits
from workflows.scheduling.workers import note_worker

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("root", password="correct horse")


@pytest.fixture
def made(owner: User) -> Made:
    ExecutorState.objects.create(name="sge", kind="sge", polled_at=timezone.now(), poll_seconds=0.3)
    return make_workflow(owner, [Tag("fit", {"D": 6, "F": 3, "R": 2, "I": 1, "G": 1})], executor="sge")


def client_of(user: User) -> Client:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    return client


def test_the_page_of_an_executor_shows_its_last_answers(client: Client, made: Made) -> None:
    group = ErrorGroup.objects.filter(workflow=made.workflow)[0]
    ErrorGroup.objects.filter(pk=group.pk).update(reason="refused", title="Unable to run job: no suitable queues")
    text = client.get("/executors/sge/").content.decode()
    for words in ("It answered", "2 running", "in 0.3 s", "no suitable queues", "Only staff may hold it"):
        assert words in text, words
    assert client.get("/executors/nothing/").status_code == 404
    assert 'href="/executors/sge/"' in client.get("/executors/").content.decode()


def test_an_executor_that_holds_all_it_may_is_named_as_the_limit(client: Client, made: Made) -> None:
    state = ExecutorState.objects.filter(name="sge")
    paths = (f"/workflows/{made.workflow.pk}/", f"/jobs/{made.job('G').pk}/")
    for live, own, by_person, told in ((3, 4, None, ""), (4, 4, None, "4"), (3, 4, 3, "3"), (None, None, None, "")):
        state.update(live=live, own_max_live=own, max_live=by_person)
        for path in paths:
            text = client.get(path).content.decode()
            assert ("limit of the executor sge is reached" in text) == bool(told), (path, live)
            assert not told or f"{told} at once" in text
    state.update(live=4, own_max_live=4, max_live=None)
    assert "reached" in client.get("/executors/sge/").content.decode()
    answer = client.get(f"/api/v1/jobs/{made.job('G').pk}/why/").json()
    assert "limit of the executor sge is reached" in answer["why"]


def test_a_listing_leaves_its_numbers_and_its_minute(client: Client, made: Made, settings) -> None:
    settings.EXECUTORS = ["sge"]
    reconcile.note_poll("sge", 0.2, {"running": 2, "pending": 1}, 3)
    reconcile.note_poll("sge", 0.2, {"running": 3}, 3)
    state = ExecutorState.objects.get()
    assert (state.live, state.own_max_live) == (3, 5000)
    newest = ExecutorMinute.objects.latest("minute")
    assert (newest.waiting, newest.running) == (0, 3)
    now = timezone.now()
    executor_minutes.note_minute("sge", now - timedelta(hours=26), 1, 1)
    executor_minutes.note_minute("sge", now - timedelta(hours=3), 40, 900)
    text = client.get("/executors/sge/").content.decode()
    assert "at most 940 at once" in text
    assert "no data" in text
    executor_minutes.forget_minutes(now)
    assert not ExecutorMinute.objects.filter(minute__lt=now - timedelta(hours=25)).exists()
    assert ExecutorMinute.objects.filter(running=900).count() == 1


def test_the_server_tells_of_its_disk_its_parts_and_its_workers(client: Client, settings, tmp_path) -> None:
    settings.SPOOL = tmp_path
    stored_facts.note_sweep(server_facts.measure())
    note_worker("celery@here")
    SystemState.objects.create(name="worker celery@gone", at=timezone.now() - timedelta(hours=2))
    text = client.get("/executors/").content.decode()
    for words in ("celery@here", "celery@gone", "not heard of", "free of", "used", "Python 3"):
        assert words in text, words
    assert "7 <" not in text and " of 7</td>" not in text
    settings.LOCAL_SLOTS = 7
    stored_facts.note_sweep(server_facts.measure())
    ExecutorState.objects.create(name="local", kind="local")
    ExecutorState.objects.create(name="sge", kind="sge")
    assert client.get("/executors/").content.decode().count(" of 7</td>") == 1
    facts = {"disk_total": 100 * 10**9, "disk_free": 10**9, "redis_version": "7.0.15", "redis_memory": 2 * 10**6}
    stored_facts.note_sweep({**facts, "redis_clients": 12, "database": "MariaDB 10.11.6"})
    text = client.get("/executors/").content.decode()
    for words in ("nearly full", "7.0.15", "12 connections", "MariaDB 10.11.6", "99\u00a0% used"):
        assert words in text, words
    stored_facts.note_sweep(facts)  # as an older worker wrote them
    assert "7.0.15" in client.get("/executors/").content.decode()


def test_submissions_are_measured_from_intent_to_acceptance() -> None:
    times = [(NOW + timedelta(seconds=20 * n), NOW + timedelta(seconds=20 * n + 1 + n)) for n in range(7)]
    found = measure(times)
    assert found is not None
    assert (found.count, found.median, found.longest) == (7, 4.0, 7.0)
    assert found.per_minute == pytest.approx(7 / (126 / 60))
    assert measure([]) is None


def test_staff_holds_an_executor_and_nothing_new_is_submitted(made: Made, settings) -> None:
    settings.EXECUTORS = ["sge"]
    staff = client_of(make_user("sue", is_staff=True))
    assert find_limits(made.run).executors["sge"] > 0
    staff.post("/executors/sge/hold/", {"wanted": "hold", "reason": "the queue is being repaired"})
    limits = find_limits(made.run)
    assert limits.executors["sge"] <= 0
    assert "sge" in limits.full
    text = staff.get("/executors/sge/").content.decode()
    assert "Held by sue" in text
    assert "the queue is being repaired" in text
    owner = client_of(made.workflow.owner)
    told = "executor sge is on hold: the queue is being repaired"
    assert told in owner.get(f"/workflows/{made.workflow.pk}/").content.decode()
    assert told in owner.get(f"/jobs/{made.job('G').pk}/").content.decode()
    again = staff.post("/executors/sge/hold/", {"wanted": "hold"})
    assert "That was done already" in again.content.decode()
    staff.post("/executors/sge/hold/", {"wanted": "release"})
    assert find_limits(made.run).executors["sge"] > 0
    actions = list(acts().values_list("actor", "action", "target"))
    assert actions == [("sue", "hold-executor", "executor sge"), ("sue", "release-executor", "executor sge")]


def test_an_administrator_limits_an_executor_after_seeing_old_and_new(made: Made, admin: User, settings) -> None:
    settings.EXECUTORS = ["sge"]
    client = client_of(admin)
    shown = client.post("/executors/sge/limit/", {"limit": "5"}).content.decode()
    assert "its own number → 5" in shown
    assert ExecutorState.objects.get().max_live is None
    client.post("/executors/sge/limit/", {"limit": "5", "confirmed": "1"})
    assert find_limits(made.run).executors["sge"] == 5 - 3
    for wrong in ("0", "-1", "many", "1e9"):
        assert client.post("/executors/sge/limit/", {"limit": wrong, "confirmed": "1"}).status_code == 409, wrong
    assert ExecutorState.objects.get().max_live == 5


def test_others_may_look_and_are_told_why_not(client: Client, made: Made) -> None:
    staff = client_of(make_user("sue", is_staff=True))
    for url, person in (
        ("/executors/sge/hold/", client), ("/executors/sge/limit/", client), ("/executors/sge/limit/", staff),
        ("/hosts/sge/c042/exclude/", client), ("/hosts/sge/c042/exclude/", staff),
    ):  # fmt: skip
        assert "Only" in person.get(url).content.decode()
        assert person.post(url, {"wanted": "exclude", "limit": "3", "confirmed": "1"}).status_code == 403
    assert not acts().exists()
    assert not HostExclusion.objects.exists()


def test_a_host_is_excluded_and_readmitted(made: Made, admin: User) -> None:
    client = client_of(admin)
    client.post("/hosts/sge/c042/exclude/", {"wanted": "exclude", "reason": "bad disk"})
    assert executor_control.read_excluded() == {"sge": ("c042",)}
    text = client.get("/hosts/").content.decode()
    assert "excluded" in text
    assert "by root" in text
    assert "bad disk" in client.get("/hosts/sge/c042/").content.decode()
    client.post("/hosts/sge/c042/exclude/", {"wanted": "readmit"})
    assert executor_control.read_excluded() == {}
    assert list(acts().values_list("action", "target")) == [
        ("exclude-host", "host c042"), ("readmit-host", "host c042"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "host", ["a,b", "a b", "*", "-x", "c042)|(", "é"], ids=["list", "space", "star", "option", "pattern", "letter"]
)
def test_only_names_of_hosts_are_excluded(made: Made, admin: User, host: str) -> None:
    with pytest.raises(executor_control.NotChanged, match="not the name of a host"):
        executor_control.exclude_host("sge", host, "", Actor(admin, "page"))


def test_this_machine_cannot_be_excluded(made: Made, admin: User) -> None:
    ExecutorState.objects.create(name="local", kind="local")
    response = client_of(admin).post("/hosts/local/here/exclude/", {"wanted": "exclude"}, follow=True)
    assert "only one host" in response.content.decode()
    assert not HostExclusion.objects.exists()


def test_the_page_of_a_host_lists_only_what_one_may_see(client: Client, made: Made) -> None:
    attempt = made.instance("E")
    url = f"/hosts/sge/{attempt.nodename}/"
    assert attempt.job.name in client.get(url).content.decode()
    stranger = client_of(make_user("mallory")).get(url).content.decode()
    assert attempt.job.name not in stranger
    assert "None lately" in stranger


def test_the_page_of_a_host_compares_it_with_the_others(client: Client, owner: User) -> None:
    make_workflow(owner, [Tag("fit", {"D": 90, "F": 10})], executor="sge")
    JobInstance.objects.update(nodename="c1")
    bad = JobInstance.objects.filter(status="E").values_list("pk", flat=True)[:24]
    JobInstance.objects.filter(pk__in=list(bad)).update(nodename="c2")
    JobInstance.objects.filter(nodename="c1", status="E").update(reason="killed")
    text = client.get("/hosts/sge/c2/").content.decode()
    assert "24 of 24 attempts failed here, 100.0 %; elsewhere 0.0 %." in text
    assert "suspect" in text
    assert "last submitted first" in text
    assert "0 of 90 attempts failed here" in client.get("/hosts/sge/c1/").content.decode()
    assert "No attempt has ended here lately" in client.get("/hosts/local/c2/").content.decode()


def ended(host: str, count: int, *, failed: bool, seconds: float = 5.0) -> list[Ended]:
    return [Ended(host, failed, seconds, NOW)] * count


GOOD = [attempt for host in ("c1", "c2", "c3", "c4", "c5", "c6", "c7") for attempt in ended(host, 30, failed=False)]


def test_twenty_quick_failures_in_a_row_make_a_host_bad() -> None:
    assert find_bad([*ended("bad", 20, failed=True), *GOOD], {}, []) == ["bad"]
    assert find_bad([*ended("bad", 19, failed=True), *GOOD], {}, []) == []
    assert find_bad([*ended("bad", 20, failed=True, seconds=300), *GOOD], {}, []) == []
    assert find_bad([*ended("bad", 1, failed=False), *ended("bad", 30, failed=True), *GOOD], {}, []) == []
    assert find_bad([*ended("bad", 20, failed=True), *GOOD], {}, ["bad"]) == []


def test_a_script_that_fails_everywhere_makes_no_host_bad() -> None:
    everywhere = [attempt for host in ("c1", "c2", "c3", "c4") for attempt in ended(host, 25, failed=True)]
    assert find_bad(everywhere, {}, []) == []
    mixed = ended("other", 10, failed=True) + ended("other", 9, failed=False)
    assert find_bad([*ended("bad", 20, failed=True), *mixed], {}, []) == []


def test_what_failed_before_a_readmission_is_forgotten() -> None:
    attempts = [*ended("bad", 20, failed=True), *GOOD]
    assert find_bad(attempts, {"bad": NOW + timedelta(seconds=1)}, []) == []
    assert find_bad(attempts, {"bad": NOW - timedelta(seconds=1)}, []) == ["bad"]


def test_never_more_than_a_quarter_of_the_hosts() -> None:
    bad = [attempt for host in ("b1", "b2", "b3", "b4") for attempt in ended(host, 20, failed=True)]
    assert find_bad([*bad, *GOOD], {}, []) == ["b1", "b2"]
    assert find_bad([*bad, *GOOD], {}, ["old1", "old2", "old3"]) == []


def test_the_sweep_excludes_a_bad_host_once(made: Made, settings) -> None:
    settings.EXECUTORS = ["sge"]
    template = made.instance("E")
    rows = [("bad", "E", 22), *((f"c{n}", "D", 25) for n in range(1, 8))]
    JobInstance.objects.filter(status__in=["D", "E"]).delete()
    for host, letter, count in rows:
        for number in range(count):
            JobInstance.objects.create(
                job_id=template.job_id, workflow_run_id=template.workflow_run_id, executor_type="sge", status=letter,
                reason="exit" if letter == "E" else "", name=f"{host}-{number}", nodename=host, wallclock=2.0, attempt=1,
                started_at=NOW, ended_at=NOW, submitted_date=NOW, status_date=NOW, mem_free=1.0,
            )  # fmt: skip
    assert bad_hosts.exclude_bad_hosts() == ["bad"]
    assert bad_hosts.exclude_bad_hosts() == []
    row = HostExclusion.objects.get()
    assert (row.host, row.is_excluded, row.changed_by) == ("bad", True, "server")
    assert AuditEntry.objects.get().via == "system"


def test_an_executor_tells_of_runs_in_back_off(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"G": 3})], executor="sge")
    ExecutorState.objects.create(name="sge", kind="sge")
    assert "In back-off" not in client.get("/executors/sge/").content.decode()
    soon = timezone.now() + timedelta(minutes=3)
    WorkflowRun.objects.filter(workflow=made.workflow).update(backoff_until=soon, submit_failures=2)
    assert "1 run: handing over failed; the next try is" in client.get("/executors/sge/").content.decode()


def breaker(client: Client) -> str:
    found = re.search(r"<dt>Breaker</dt><dd>(.*?)</dd>", client.get("/executors/sge/").content.decode())
    assert found is not None
    return " ".join(re.sub(r"<[^>]*>", "", found[1]).split())


def test_what_stands_for_a_breaker(client: Client, owner: User) -> None:
    """Closed, half open while runs wait for the next try, open once one was held for it, or all are by a person."""
    made = make_workflow(owner, [Tag("fit", {"G": 3})], executor="sge")
    ExecutorState.objects.create(name="sge", kind="sge")
    assert breaker(client) == "closed: jobs are handed over"
    run = made.run
    assert run is not None
    note_submit_failure(run.pk, "commlib error")
    assert breaker(client) == "half open: 1 of 1 run waits for the next try"
    for _ in range(SUBMIT_TRIES):
        note_submit_failure(run.pk, "commlib error")
    assert breaker(client).startswith("open for 1 run, the first since ")
    hold_run(run.pk, "", Actor(owner, "page"))
    assert breaker(client) == "closed: jobs are handed over"
    ExecutorState.objects.update(hold_reason="repair", held_by="root", held_at=timezone.now())
    assert re.match("open since .*: held by root", breaker(client))


def test_an_executor_that_does_not_answer_says_when_it_last_did(client: Client, owner: User) -> None:
    now = timezone.now()
    state = ExecutorState.objects.create(name="sge", kind="sge", failed_at=now, failures_in_a_row=7, failure="no")
    assert "it never did" in client.get("/executors/sge/").content.decode()
    ExecutorState.objects.filter(pk=state.pk).update(polled_at=now - timedelta(minutes=12))
    text = re.sub(r"<[^>]*>", "", client.get("/executors/sge/").content.decode())
    assert "It does not answer (7 times in a row); it last did 12 min ago" in text
