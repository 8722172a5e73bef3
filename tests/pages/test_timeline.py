"""The time line's window and tags: links that move it, what lies in it, and when each tag was at work."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from tests.factories import Made, Tag, make_workflow
from workflows.models import JobInstance, RunMinute, WorkflowRun
from workflows.queries import timeline as queries
from workflows.views.timeline import read_window

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(second=0, microsecond=0)


@pytest.fixture
def made(owner: User) -> Made:
    """Six attempts of two tags: the first tag's were over an hour ago, the second's have just begun."""
    made = make_workflow(owner, [Tag("clean", {"D": 3}), Tag("fit", {"R": 3}, ("clean",))])
    old, new = NOW - timedelta(hours=2), NOW - timedelta(minutes=10)
    attempts = JobInstance.objects.filter(workflow_run=made.run)
    attempts.filter(status="D").update(submitted_date=old, started_at=old, ended_at=old + timedelta(minutes=50))
    attempts.filter(status="R").update(submitted_date=new, started_at=new)
    return made


@pytest.mark.parametrize(
    "query", ["", "from=5", "from=9&to=9", "from=x&to=9", "from=-1&to=9", "from=1&to=999999999999"]
)
def test_what_makes_no_window_shows_the_whole_run(query: str) -> None:
    assert read_window(QueryDict(query)) is None


def test_a_window_holds_what_lived_in_it(client: Client, made: Made) -> None:
    url = f"/workflows/{made.workflow.pk}/timeline/"
    whole = client.get(url).content.decode()
    assert "Zoom in" in whole
    assert "Whole run" not in whole
    hour = {"from": int((NOW - timedelta(hours=1)).timestamp()), "to": int(NOW.timestamp())}
    text = client.get(url, hour).content.decode()
    assert "fit_" in text
    assert "clean_" not in text
    assert "Whole run" in text
    day = {"from": int((NOW - timedelta(days=2)).timestamp()), "to": int((NOW - timedelta(days=1)).timestamp())}
    assert "No attempt lived in this window." in client.get(url, day).content.decode()


def test_a_tag_shows_only_its_own(client: Client, made: Made) -> None:
    text = client.get(f"/workflows/{made.workflow.pk}/timeline/?tag=clean").content.decode()
    assert "clean_" in text
    assert "fit_" not in text


def test_several_tags_show_those_of_each(client: Client, owner: User) -> None:
    tags = make_workflow(owner, [Tag("fit", {"D": 2}), Tag("end", {"D": 3}), Tag("sum", {"D": 4})])
    answer = client.get(f"/workflows/{tags.workflow.pk}/timeline/?tag=fit&tag=sum")
    assert sorted(lane.name for lane in answer.context["lanes"]) == ["fit", "sum"]
    assert len(answer.context["strands"]) == 6
    assert all("tag=fit&tag=sum" in zoom.query for zoom in answer.context["zooms"])


def test_minutes_tell_when_each_tag_was_at_work(made: Made) -> None:
    clean, fit = (made.jobs[tag][0].group_id for tag in ("clean", "fit"))
    for ago, group, running in ((9, clean, 2), (8, clean, 1), (7, clean, 0), (3, fit, 4), (2, fit, 4)):
        RunMinute.objects.create(run=made.run, group_id=group, minute=NOW - timedelta(minutes=ago), running=running)
    found = queries.read_minutes(made.run.pk)
    assert found.spans == {
        clean: (NOW - timedelta(minutes=9), NOW - timedelta(minutes=7)),
        fit: (NOW - timedelta(minutes=3), NOW - timedelta(minutes=1)),
    }
    window = (NOW - timedelta(minutes=4), NOW)
    assert set(queries.read_minutes(made.run.pk, (), window).spans) == {fit}
    assert max(bin.running or 0 for bin in queries.read_minutes(made.run.pk, [clean], window).bins) == 0


def test_run_times_by_tag_and_where_the_time_went(client: Client, made: Made) -> None:
    text = client.get(f"/workflows/{made.workflow.pk}/timeline/").content.decode()
    assert "Where the time of 6 attempts went: " in text
    assert "When each tag was at work" in text
    row = text[text.index("?tag=clean") :]
    assert 'data-label="Median">50 min</td><td class="num" data-label="95 %">50 min</td>' in row[: row.index("</tr>")]


def test_many_attempts_without_minutes_are_drawn_the_newest_first(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 310})])
    assert not RunMinute.objects.exists()
    text = client.get(f"/workflows/{made.workflow.pk}/timeline/").content.decode()
    assert "the newest 300 attempts" in text
    assert "Where the time of 310 attempts went" in text


def test_attempts_of_a_host_or_a_tag_can_stand_together(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("clean", {"D": 4}), Tag("fit", {"D": 4}, ("clean",))])
    url = f"/workflows/{made.workflow.pk}/timeline/"

    def headings(by: str) -> list[str]:
        text = client.get(url, {"by": by}).content.decode()
        return re.findall(r'<text class="level" x="4"[^>]*>([^<]*)</text>', text)

    assert headings("tag") == ["clean", "fit"]
    assert headings("host") == ["c041", "c042", "c043", "c044"]
    assert headings("") == headings("nonsense") == []


def test_jobs_over_time_are_told_by_tag_in_few_bytes(client: Client, owner: User) -> None:
    """Twelve tags, none of whose minutes is like the one before: the largest picture of bins there is."""
    made = make_workflow(owner, [Tag(f"estimate_{number:02d}", {"D": 30}) for number in range(12)])
    groups = [jobs[0].group_id for jobs in made.jobs.values()]
    begin = NOW - timedelta(minutes=300)
    WorkflowRun.objects.filter(pk=made.run.pk).update(created_date=begin)
    RunMinute.objects.bulk_create(
        RunMinute(
            run=made.run, group_id=group, minute=begin + timedelta(minutes=minute),
            queued=1000 + (minute * 7919 + place * 131) % 977, running=2000 + (minute * 104729 + place * 17) % 991,
        )
        for minute in range(1, 300) for place, group in enumerate(groups) if minute % 40
    )  # fmt: skip
    url = f"/workflows/{made.workflow.pk}/timeline/"
    answer = client.get(url)
    text = answer.content.decode()
    assert len(answer.content) <= 60 * 1024
    legend = re.findall(r'<svg class="swatch.*?</svg>([^<]*)</li>', text)
    assert (len(legend), legend[-1]) == (9, "others")
    table = text[text.index("Show as a table") :]
    header = re.findall(r'<th scope="col">([^<]*)</th>', table)
    assert header == ["From", "All, queued / running", *legend]
    row = re.findall(r"<td>([\d,]+) / ([\d,]+)</td>", table[: table.index("</tr>", table.index("<tbody>"))])
    numbers = [[int(number.replace(",", "")) for number in pair] for pair in row]
    assert numbers[0] == [sum(side) for side in zip(*numbers[1:], strict=True)]
    rows = b"".join(client.get(url, {"export": "csv"}).streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    kinds = [row.partition(",")[0] for row in rows]
    seen = sum(row.startswith("minutes,") and ",,,,,,,," not in row for row in rows)
    assert kinds.count("minutes by tag") == 9 * seen > 0
