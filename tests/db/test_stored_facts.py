"""What the sweep stores for the pages agrees with the rows, follows them, and leaves others alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import lifecycle
from workflows.actor import Actor
from workflows.models import ErrorGroup, GroupEdge, Job, JobGroup, RunForecast, RunMinute, SystemState, Workflow
from workflows.queries.frame import read_frame
from workflows.scheduling import blocked, stored_facts
from workflows.scheduling.forecast import refresh_forecast

pytestmark = pytest.mark.django_db
CHAIN = (
    Tag("a", {"D": 2, "F": 1}), Tag("b", {"G": 3}, ("a",)), Tag("c", {"G": 3}, ("b",)), Tag("d", {"G": 1}, ("c",)),
)  # fmt: skip


@pytest.fixture
def made() -> Made:
    made = make_workflow(make_user(), CHAIN)
    Job.objects.update(blocked_by=None)
    JobGroup.objects.update(count_blocked=0)
    ErrorGroup.objects.update(count_blocked=0)
    blocked.forget_others([])
    return made


def blocked_counts() -> dict[str, int]:
    return dict(JobGroup.objects.values_list("name", "count_blocked"))


def test_blocked_jobs_are_found_near_and_far(made: Made) -> None:
    change_no = Workflow.objects.get().change_no
    assert blocked.refresh_blocked(made.workflow.pk, made.workflow.dag_id)
    failed = made.job("F")
    named = set(Job.objects.filter(blocked_by=failed.pk).values_list("name", flat=True))
    assert named == {"b_0003", "c_0003", "d_0001"}
    assert blocked_counts() == {"a": 0, "b": 1, "c": 1, "d": 1}
    assert ErrorGroup.objects.get().count_blocked == 3
    assert Workflow.objects.get().change_no > change_no
    assert not blocked.refresh_blocked(made.workflow.pk, made.workflow.dag_id)


def test_a_recovered_job_blocks_nothing(made: Made) -> None:
    blocked.refresh_blocked(made.workflow.pk, made.workflow.dag_id)
    lifecycle.reset_jobs(made.workflow.pk, [made.job("F").pk], Actor(made.workflow.owner, "page"))
    assert blocked.refresh_blocked(made.workflow.pk, made.workflow.dag_id)
    assert not Job.objects.exclude(blocked_by=None).exists()
    assert set(blocked_counts().values()) == {0}
    assert ErrorGroup.objects.get().count_blocked == 0


def test_what_is_marked_done_unblocks_what_is_behind_it(made: Made) -> None:
    blocked.refresh_blocked(made.workflow.pk, made.workflow.dag_id)
    lifecycle.mark_done(made.workflow.pk, [made.jobs["b"][2].pk], Actor(made.workflow.owner, "page"))
    blocked.refresh_blocked(made.workflow.pk, made.workflow.dag_id)
    assert blocked_counts() == {"a": 0, "b": 0, "c": 0, "d": 0}


def test_a_resume_clears_them(made: Made) -> None:
    stored_facts.refresh_facts()
    Workflow.objects.update(status="E")
    made.workflow.runs.update(status="E", ended_at=timezone.now())
    lifecycle.start_run(made.workflow.pk, Actor(made.workflow.owner, "page"), lifecycle.RunOptions())
    assert not Job.objects.exclude(blocked_by=None).exists()
    assert set(blocked_counts().values()) == {0}


def test_the_sweep_writes_minutes_and_when_it_was(made: Made) -> None:
    JobGroup.objects.filter(name="b").update(count_i=2, count_r=1, count_g=0)
    stored_facts.refresh_facts()
    stored_facts.refresh_facts()
    assert list(RunMinute.objects.values_list("group__name", "queued", "running").distinct()) == [("b", 2, 1)]
    assert RunMinute.objects.count() <= 2
    assert SystemState.objects.get(name="sweep").at <= timezone.now()


def test_a_minute_with_nothing_live_was_looked_at_all_the_same(made: Made) -> None:
    stored_facts.write_minute(made.run, timezone.now())
    assert [(row.group.name, row.queued, row.running) for row in RunMinute.objects.select_related("group")] == [
        ("a", 0, 0)
    ]


def test_a_late_sweep_is_a_banner(made: Made, client: Client) -> None:
    stored_facts.note_sweep()
    assert read_frame(0).banners == []
    SystemState.objects.update(at=timezone.now() - timedelta(minutes=3))
    assert [banner.what for banner in read_frame(0).banners] == ["sweep"]
    client.force_login(made.workflow.owner)
    assert "worker was not heard of since" in client.get("/account/", headers={"Host": "127.0.0.1"}).content.decode()


def test_the_end_is_foreseen_once_enough_jobs_have_ended() -> None:
    made = make_workflow(make_user("bob"), [Tag("fit", {"D": 40, "R": 3, "G": 10}), Tag("end", {"G": 1}, ("fit",))])
    refresh_forecast(made.run)
    found = RunForecast.objects.get()
    assert (found.earliest, found.bound_by) == (
        None,
        "Not known yet: 0 of the 3 ended jobs of end that an estimate needs.",
    )
    JobGroup.objects.filter(name="end").update(count_g=0, count_d=1)
    RunForecast.objects.update(made_at=timezone.now() - timedelta(hours=1))
    refresh_forecast(made.run)
    found = RunForecast.objects.get()
    assert found.earliest is not None
    assert found.latest is not None
    assert timezone.now() < found.earliest <= found.latest
    client = Client(headers={"Host": "127.0.0.1"})
    client.force_login(made.workflow.owner)
    assert "What can run ends" in client.get(f"/workflows/{made.workflow.pk}/").content.decode()


def test_edges_are_summed_when_a_graph_is_bound(made: Made) -> None:
    edges = GroupEdge.objects.filter(dag_id=made.workflow.dag_id)
    assert set(edges.values_list("upstream__name", "downstream__name", "edges")) == {
        ("a", "b", 3),
        ("b", "c", 3),
        ("c", "d", 3),
    }
