"""What the pages draw, as numbers: the time line, resources and expected end of a run, hosts, and a search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from tests.api.caller import Caller
from tests.factories import Made, Tag, make_workflow
from workflows.models import HostExclusion, RunForecast, RunMinute, RunStall, Workflow

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(
        owner, [Tag("fit", {"D": 3, "F": 1, "R": 1}), Tag("sum", {"G": 2}, after=("fit",))], name="Fits"
    )


@pytest.fixture
def run_id(made: Made) -> int:
    """Two minutes were looked at, the one between them was not."""
    assert made.run is not None
    fit, rest = made.workflow.dag.groups.order_by("rank")
    for minute, group, queued, running in ((0, fit, 2, 1), (0, rest, 1, 0), (2, fit, 0, 3)):
        RunMinute.objects.create(
            run=made.run, group=group, minute=NOON + timedelta(minutes=minute), queued=queued, running=running
        )
    return made.run.pk


def test_the_time_line_is_bins_of_all_tags_or_of_one(api: Caller, run_id: int) -> None:
    body = api.get(f"workflow-runs/{run_id}/timeline/").body
    assert [(one["queued"], one["running"]) for one in body["bins"]] == [(3, 1), (None, None), (0, 3)]
    assert (body["bins"][0]["at"], body["width_seconds"], body["truncated"]) == ("2026-03-01T12:00:00Z", 60, False)
    assert [(tag["name"], tag["begin"], tag["end"]) for tag in body["tags"]] == [
        ("sum", "2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z"),
        ("fit", "2026-03-01T12:00:00Z", "2026-03-01T12:03:00Z"),
    ]
    of_one = api.get(f"workflow-runs/{run_id}/timeline/?tag=sum").body["bins"]
    assert [(one["queued"], one["running"]) for one in of_one] == [(1, 0), (None, None), (0, 0)]


def test_the_time_line_has_a_band_for_each_tag(api: Caller, run_id: int) -> None:
    bands = api.get(f"workflow-runs/{run_id}/timeline/").body["bands"]
    assert bands == [
        {"tag": "fit", "queued": [2, None, 0], "running": [1, None, 3]},
        {"tag": "sum", "queued": [1, None, 0], "running": [0, None, 0]},
    ]
    [fit] = api.get(f"workflow-runs/{run_id}/timeline/?tag=fit").body["bands"]
    assert fit == bands[0]


def test_small_tags_share_a_band(api: Caller, owner: User) -> None:
    made = make_workflow(owner, [Tag(f"t{number:02d}", {"R": 1}) for number in range(11)])
    for number, group in enumerate(made.workflow.dag.groups.order_by("name")):
        RunMinute.objects.create(run=made.run, group=group, minute=NOON, queued=number, running=1)
    body = api.get(f"workflow-runs/{made.run.pk}/timeline/").body
    assert [band["tag"] for band in body["bands"]] == [*(f"t{number:02d}" for number in range(3, 11)), None]
    assert sum(band["queued"][0] for band in body["bands"]) == body["bins"][0]["queued"] == 55
    assert body["bands"][-1]["running"] == [3]


@pytest.mark.parametrize("part", ["timeline", "resources"])
def test_several_tags_mean_any_of_them(api: Caller, run_id: int, made: Made, part: str) -> None:
    extra = make_workflow(made.workflow.owner, [Tag("other", {"D": 1})])
    both = api.get(f"workflow-runs/{run_id}/{part}/?tag=fit&tag=sum&tag=fit")
    assert both.body == api.get(f"workflow-runs/{run_id}/{part}/").body
    assert api.get(f"workflow-runs/{run_id}/{part}/?tag=fit&tag=other").code == "unknown-tag"
    assert extra.run is not None
    many = "&".join(f"tag=t{number}" for number in range(51))
    assert api.get(f"workflow-runs/{run_id}/{part}/?{many}").code == "invalid-request"


def test_the_time_line_has_a_window(api: Caller, run_id: int) -> None:
    begin = int(NOON.timestamp()) + 60
    body = api.get(f"workflow-runs/{run_id}/timeline/?from={begin}&to={begin + 120}").body
    assert [one["running"] for one in body["bins"]] == [3]


@pytest.mark.parametrize(
    "query", ["from=1", "to=1", "from=2&to=1", "from=x&to=9", "from=1&to=999999999999", "tag=none"]
)
def test_what_makes_no_window_or_tag_is_refused(api: Caller, run_id: int, query: str) -> None:
    assert api.get(f"workflow-runs/{run_id}/timeline/?{query}").status == 400


def test_resources_are_told_by_tag(api: Caller, run_id: int) -> None:
    body = api.get(f"workflow-runs/{run_id}/resources/").body
    (fit,) = body["tags"]
    assert (body["attempts"], fit["tag"], fit["attempts"]) == (6, "fit", 6)
    assert fit["memory_asked"] == 4.0
    assert 2.0 < fit["memory"]["median"] < 4.0
    assert fit["memory_hint"]["sentence"]
    assert body["outliers"] == []
    assert api.get(f"workflow-runs/{run_id}/resources/?tag=sum").body["tags"] == []
    assert api.get(f"workflow-runs/{run_id}/resources/?tag=none").code == "unknown-tag"


def test_a_forecast_says_when_and_why_not_sooner(api: Caller, made: Made, run_id: int) -> None:
    now = timezone.now()
    path = f"workflow-runs/{run_id}/forecast/"
    assert api.get(path).body["latest"] is None
    RunForecast.objects.create(
        run_id=run_id, made_at=now, earliest=now + timedelta(hours=1), latest=now + timedelta(hours=2), bound_by="x"
    )
    RunStall.objects.create(run_id=run_id, kind="quiet", words="Nothing moves.", since=now, noted_at=now)
    body = api.get(path).body
    assert body["earliest"] < body["latest"]
    assert (body["bound_by"], body["stall"]["why"]) == ("x", "Nothing moves.")
    assert any("blocked" in sentence or "failed" in sentence for sentence in body["why"])
    made.workflow.runs.update(status="S", ended_at=now)
    ended = api.get(path).body
    assert (ended["latest"], ended["why"], ended["stall"]) == (None, [], None)


def test_a_search_finds_by_number_and_by_the_beginning_of_a_name(api: Caller, stranger: Caller, made: Made) -> None:
    attempt = made.instance("E")
    found = api.get("search/?q=fit_0001").body
    assert [job["name"] for job in found["jobs"]] == ["fit_0001"]
    assert [row["id"] for row in api.get("search/?q=Fit").body["workflows"]] == [made.workflow.pk]
    by_batch = api.get(f"search/?q={attempt.executor_id}").body["job_instances"]
    assert [row["job_instance_id"] for row in by_batch] == [attempt.pk]
    assert made.workflow.pk in [row["id"] for row in api.get(f"search/?q={made.workflow.pk}").body["workflows"]]
    assert not any(stranger.get("search/?q=fit").body.values())


@pytest.mark.parametrize("query", ["", "?q=", "?q=%20", "?q=" + "x" * 201])
def test_a_search_for_nothing_is_refused(api: Caller, query: str) -> None:
    assert api.get(f"search/{query}").status == 400


def test_hosts_are_compared_and_excluded_ones_stand_first(api: Caller, made: Made) -> None:
    HostExclusion.objects.create(
        executor="local", host="c099", is_excluded=True, reason="disk", changed_by="root", changed_at=timezone.now()
    )
    body = api.get("hosts/").body
    assert body["compared"] == 6
    assert (body["results"][0]["name"], body["results"][0]["is_excluded"], body["results"][0]["reason"]) == (
        "c099", True, "disk",
    )  # fmt: skip
    assert {row["name"] for row in body["results"][1:]} <= {"c041", "c042", "c043", "c044"}
    assert sum(row["failed"] for row in body["results"]) == 3


def test_the_workflow_is_as_it_was(api: Caller, made: Made, run_id: int) -> None:
    before = Workflow.objects.values().get(pk=made.workflow.pk)
    for path in ("timeline", "resources", "forecast"):
        assert api.get(f"workflow-runs/{run_id}/{path}/").status == 200
    assert Workflow.objects.values().get(pk=made.workflow.pk) == before
