"""What the pages around a run say: the preview of a resume, the run itself, the audit, a job's graph and its log."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.pages.test_smoke import make_operation
from workflows import operations
from workflows.actor import Actor
from workflows.models import (
    ExecutorMinute,
    ExecutorState,
    Job,
    JobInstance,
    Operation,
    WorkflowRun,
)

pytestmark = pytest.mark.django_db
MOST_BYTES = 60 * 1024


def seen(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return " ".join(answer.content.decode().split())


@pytest.fixture
def ended(owner: User) -> Made:
    tags = [Tag("load", {"D": 4}), Tag("fit", {"D": 1, "F": 2, "G": 1, "R": 1}, ("load",))]
    return make_workflow(owner, tags, status="E", name="Cohort 3")


def test_a_preview_begins_with_what_is_run_and_names_some_jobs_of_each_kind(client: Client, ended: Made) -> None:
    WorkflowRun.objects.update(status="E", ended_at=timezone.now())
    text = seen(client, f"/workflows/{ended.workflow.pk}/resume/")
    assert "<h1>Resume Cohort 3</h1>" in text
    table = text[text.index("<tbody>") : text.index("</tbody>")]
    whats = ("tried again", "not done yet", "still live", "kept")
    places = [table.index(f">{what}<") for what in whats]
    assert places == sorted(places)
    assert "none" not in table, "each row has its examples"
    assert ", ".join(job.name for job in ended.jobs["load"][:3]) in table
    assert ended.job("R").name in table[places[2] : places[3]]
    single = seen(client, f"/workflows/{ended.workflow.pk}/resume/?job={ended.job('D').pk},{ended.job('F').pk}")
    assert ended.job("D").name in single[single.index(">kept<") :]


def test_only_what_forbids_a_resume_looks_like_it(client: Client, ended: Made) -> None:
    url = f"/workflows/{ended.workflow.pk}/resume/"
    WorkflowRun.objects.update(status="E", ended_at=timezone.now())
    text = seen(client, url)
    assert "<p>No group of these failures is marked fixed" in text and '<div class="alarm">' not in text
    assert '<div class="alarm mild"><p>1 attempt of run' in text and "waits until it is confirmed gone" in text
    assert "Only some tags" in text
    WorkflowRun.objects.update(status="R", ended_at=None)
    text = seen(client, url)
    assert '<div class="alarm">Run ' in text and "is live; stop it first." in text
    assert "Only some tags" not in text, "nothing can be chosen while a run is live"


def test_a_first_run_resumes_nothing_and_names_what_was_killed(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1, "E": 2, "R": 1})])
    assert made.run is not None
    url = f"/workflow-runs/{made.run.pk}/"
    make_audit(
        made.workflow, "start-run", target=f"run {made.run.pk}", before={"status": "C"}, after={"resume": "cold"}
    )
    text = seen(client, url)
    assert "<dt>Resume</dt>" not in text and "status was" not in text and "cold" not in text
    assert text.count("Running for") == 1 and "<dt>Took</dt>" not in text
    failed = JobInstance.objects.filter(status="E")
    assert f"of which {failed.count()} failed." in text
    failed.update(reason="killed")
    assert f"of which {failed.count()} were killed." in seen(client, url)
    failed.filter(pk=failed[0].pk).update(reason="exit")
    assert f"of which 1 failed and {failed.count() - 1} w" in seen(client, url)


def test_who_advances_a_run_is_told_only_when_nobody_does(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 1})])
    assert made.run is not None
    url, now = f"/workflow-runs/{made.run.pk}/", timezone.now()
    for until in (None, now + timedelta(seconds=20), now - timedelta(seconds=5)):
        WorkflowRun.objects.update(lease_owner="vm:32348:1404" if until else "", lease_expires_at=until)
        assert "vm:32348" not in seen(client, url)
    WorkflowRun.objects.update(lease_expires_at=now - timedelta(minutes=3))
    assert "no other worker has come" in seen(client, url) and "vm:32348:1404" in seen(client, url)


def test_the_audit_leads_to_what_was_changed(owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 1, "R": 1})])
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(make_user("ada", is_admin=True))
    pk, operation = made.workflow.pk, "e8ada46c-4d41-4001-8580-5d9c09938402"
    targets = {
        f"workflow {pk}": f"/workflows/{pk}/",
        "run 12": "/workflow-runs/12/",
        "job 13": "/jobs/13/",
        "error group 14": "/error-groups/14/",
        f"operation {operation}": f"/operations/{operation}/",
    }
    for target in [*targets, "61 jobs"]:
        make_audit(made.workflow, "set-note", target=target)
    text = seen(client, "/audit/")
    for target, url in targets.items():
        assert f'<a href="{url}" title="{target}">' in text, target
    assert text.count(f'<a href="/workflows/{pk}/"') == 1 + len(targets), "beside each, but not beside itself"
    assert "61 jobs <span" in text and ">operation e8ada46c</a>" in text
    make_audit(made.workflow, "exclude-host", target="host a/b", after={"executor": "sge"})
    assert 'href="/hosts/sge/a%2Fb/"' in seen(client, "/audit/?action=exclude-host")
    make_audit(made.workflow, "purge", target="workflow 77")
    assert "workflow 77 <span" in seen(client, "/audit/?action=purge"), "it is gone"


def test_a_host_of_any_name_has_its_page(client: Client) -> None:
    ExecutorState.objects.create(name="sge", kind="sge")
    for url in ("/hosts/sge/rack1%2Fnode%3F7/", "/hosts/sge/rack1%2Fnode%3F7/exclude/"):
        assert "rack1/node?7" in seen(client, url)
    assert 'href="/hosts/sge/rack1%2Fnode%3F7/"' in seen(client, "/hosts/sge/rack1%2Fnode%3F7/exclude/")


def test_who_only_looks_is_not_told_that_it_is_seen(client: Client, owner: User) -> None:
    answer = client.get("/audit/")
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "This page is not for you" in text and "You may see this" not in text
    made = make_workflow(make_user("bob"), [Tag("fit", {"R": 1})])
    owner.is_staff = True
    owner.save()
    answer = client.post(f"/workflows/{made.workflow.pk}/limits/", {"run": "3"})
    assert (answer.status_code, "You may see this, but not do it" in answer.content.decode()) == (403, True)


def test_a_job_graph_has_a_legend_and_says_what_it_cannot_show(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("load", {"F": 1}), Tag("fit", {"G": 1}, ("load",))])
    url = f"/jobs/{made.job('F').pk}/graph/"
    text = seen(client, f"{url}?up=1&down=1")
    legend = text[text.index('<ul class="legend">') :]
    assert "blocked <b>1</b>" in legend and "failed <b>1</b>" in legend and "not understood" not in text
    assert "not understood: up=9" in seen(client, f"{url}?up=9")
    assert "not understood: down=x" in seen(client, f"{url}?down=x")


def test_a_log_beyond_its_end_says_so(client: Client, owner: User, settings, tmp_path: Path) -> None:
    settings.SPOOL = tmp_path
    made = make_workflow(owner, [Tag("fit", {"F": 1})], status="E")
    attempt = made.instance("E")
    folder = tmp_path / str(attempt.pk // 1000) / str(attempt.pk)
    folder.mkdir(parents=True)
    (folder / "out").write_text("one line\n")
    url = f"/job-instances/{attempt.pk}/log/stdout/"
    assert "one line" in seen(client, url)
    text = seen(client, f"{url}?offset=99999999")
    assert "begins beyond the end: the log has 9 bytes" in text and "Bytes 9 to 9" not in text


def test_an_order_that_is_not_known_is_said(client: Client, ended: Made) -> None:
    url = f"/workflows/{ended.workflow.pk}/jobs/"
    text = seen(client, f"{url}?sort=nonsense")
    assert "not understood: sort=nonsense" in text and ended.job("F").name in text
    assert "not understood" not in seen(client, url)


def test_a_job_that_runs_again_keeps_its_tag(client: Client, ended: Made) -> None:
    text = seen(client, f"/jobs/{ended.job('D').pk}/rerun/")
    assert '<th scope="row">load</th><td data-label="What">run again</td>' in text


def test_a_kill_says_what_would_be_lost(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"R": 1, "I": 1})])
    running = made.instance("R")
    JobInstance.objects.filter(pk=running.pk).update(started_at=timezone.now() - timedelta(minutes=25), nodename="c042")
    assert "has run for 25 min on c042." in seen(client, f"/jobs/{running.job_id}/kill/")
    assert "is submitted and has not started." in seen(client, f"/jobs/{made.job('I').pk}/kill/")


def test_limits_stand_beside_what_is_live(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("load", {"D": 2}), Tag("fit", {"R": 3, "I": 2}, ("load",), limit=4)])
    rows = seen(client, f"/workflows/{made.workflow.pk}/limits/").split("<tr>")[2:]
    assert [row.split('<td class="num">')[1].split("<")[0] for row in rows] == ["5", "0", "5"]
    assert 'value="4"' in rows[2]


def test_an_operation_that_is_over_shows_what_it_did(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"G": 2})])
    draft = make_operation(made)
    operations.confirm(draft, {}, Actor(owner, "page"))
    url = f"/operations/{draft.uuid}/"
    assert "No job was skipped." in seen(client, url), "it works"
    while operations.carry_out(draft.pk):
        pass
    text = seen(client, url)
    assert "Jobs that were changed" in text and made.jobs["fit"][0].name in text


def test_errors_of_a_clean_workflow(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 3})], status="D")
    text = seen(client, f"/workflows/{made.workflow.pk}/errors/")
    assert "No errors in 3 attempts that ended." in text
    assert 'class="filters"' not in text and "failed for good" not in text
    assert 'class="filters"' in seen(client, f"/workflows/{made.workflow.pk}/errors/?host=c042")
    fresh = make_workflow(owner, [Tag("fit", {"G": 3})], status="C")
    assert "No attempt has ended yet." in seen(client, f"/workflows/{fresh.workflow.pk}/errors/")


def test_an_action_of_a_newer_version_is_shown_and_left_alone(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"G": 2})])
    draft = make_operation(made)
    Operation.objects.update(action="transmute")
    url = f"/operations/{draft.uuid}/"
    assert "Unknown action transmute" in seen(client, url) and "disabled" in seen(client, url)
    assert "Unknown action transmute" in seen(client, "/operations/")
    assert client.post(url, {"typed": "2"}).status_code == 403
    assert client.post(f"/api/v1{url}confirm/", "{}", content_type="application/json").status_code == 403
    Operation.objects.update(state="working")
    assert "Unknown action transmute" in seen(client, url)
    assert not operations.carry_out(draft.pk)
    draft.refresh_from_db()
    assert draft.state == "failed" and set(Job.objects.values_list("status", flat=True)) == {"G"}


def test_the_page_of_a_busy_executor_keeps_its_size(client: Client) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    ExecutorState.objects.create(name="sge", kind="sge", polled_at=now, counts={"running": 900})
    minutes = [now - timedelta(minutes=back) for back in range(24 * 60 - 1)]
    ExecutorMinute.objects.bulk_create(
        ExecutorMinute(executor="sge", minute=at, running=1000 + number, waiting=1200 + number)
        for number, at in enumerate(minutes)
    )
    assert len(client.get("/executors/sge/").content) < MOST_BYTES
