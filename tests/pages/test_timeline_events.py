"""The events of runs on the time line: marked in the picture, told in the table below it and in its export."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from workflows import lifecycle
from workflows.actor import Actor
from workflows.models import JobInstance, RunMinute, WorkflowRun
from workflows.queries import run_events
from workflows.queries.run_events import read_events

pytestmark = pytest.mark.django_db
MOST_QUERIES = 8


@pytest.fixture
def made(owner: User) -> Made:
    """A live run of two hours."""
    return make_workflow(owner, [Tag("clean", {"D": 3}), Tag("fit", {"R": 3}, ("clean",))])


def url_of(made: Made) -> str:
    return f"/workflows/{made.workflow.pk}/timeline/"


def titles_of(text: str) -> list[str]:
    """What the marks say, without their times."""
    return re.findall(r'<g class="event" role="img"><title>\d\d:\d\d:\d\d: (.*?)</title>', text)


def places_of(text: str) -> list[float]:
    """Where the marks stand, in parts of 1,000."""
    return [float(x) for x in re.findall(r'<path class="halo" d="M([\d.]+) 16V', text)]


def rows_of(text: str) -> list[str]:
    """The table of events: number, what and who of each."""
    table = text[text.index("<h2>Events</h2>") :]
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", table[: table.index("</table>")])
    return [" ".join(re.sub(r"<time.*?</time>|<[^>]+>", " ", row).split()) for row in rows]


def words_of(made: Made) -> list[str]:
    assert made.run is not None
    return [event.words for event in read_events(made.workflow.pk, made.run.created_date, timezone.now())]


def act(made: Made, owner: User) -> None:
    """What people may do to a live run, by the calls that the pages make."""
    actor = Actor(owner, "page")
    assert made.run is not None
    lifecycle.set_limits(made.workflow.pk, actor, 500, {"fit": 20})
    lifecycle.hold_run(made.run.pk, "the disk <is> full", actor)
    lifecycle.hold_run(made.run.pk, "", actor)
    lifecycle.ask_stop(made.run.pk, "drain", actor)
    lifecycle.ask_stop(made.run.pk, "kill", actor)


def test_what_people_did_is_marked_and_told_below(client: Client, made: Made, owner: User) -> None:
    act(made, owner)
    run = made.run.pk
    text = client.get(url_of(made)).content.decode()
    expected = [
        f"Run {run} started, by alice",
        "Limits changed: all none → 500, fit none → 20, by alice via page",
        f"Run {run} held: the disk &lt;is&gt; full, by alice via page",
        f"Run {run} released, by alice via page",
        f"Run {run} asked to stop: what runs may finish, by alice via page",
        f"Run {run} asked to stop: what runs is killed, by alice via page",
    ]
    assert titles_of(text) == expected
    assert rows_of(text) == [f"{number} {words.replace(', by', '')}" for number, words in enumerate(expected, 1)]


def test_runs_are_resumed_and_end(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 2, "F": 1})], status="E", runs=2)
    assert titles_of(client.get(url_of(made)).content.decode()) == [
        f"Run {made.run.pk} resumed, cold, by alice",
        f"Run {made.run.pk} ended: failed",
    ]


def test_a_picture_of_a_whole_run_begins_and_ends_with_it(client: Client, made: Made) -> None:
    """Also where nothing was submitted for long."""
    begin = timezone.now() - timedelta(hours=9)
    WorkflowRun.objects.filter(pk=made.run.pk).update(created_date=begin)
    text = client.get(url_of(made)).content.decode()
    assert places_of(text)[0] == 0
    first = re.search(r'class="strands"><a [^>]*><title>[^<]*</title><path [^>]*d="M([\d.]+) ', text)
    assert first is not None
    assert float(first[1]) > 500


def test_a_window_marks_what_came_in_it(client: Client, made: Made) -> None:
    at = timezone.now() - timedelta(minutes=90)
    make_audit(made.workflow, "hold", target=f"run {made.run.pk}", at=at, via="api", after={"hold": "early"})
    make_audit(made.workflow, "release", target=f"run {made.run.pk}", at=at + timedelta(minutes=60), via="api")

    def marks(begin: datetime, end: datetime) -> list[str]:
        query = {"from": int(begin.timestamp()), "to": int(end.timestamp())}
        return titles_of(client.get(url_of(made), query).content.decode())

    hour = timedelta(hours=1)
    assert marks(at - hour / 4, at + hour / 4) == [f"Run {made.run.pk} held: early, by alice via api"]
    assert marks(at + hour / 2, at + 2 * hour) == [f"Run {made.run.pk} released, by alice via api"]
    assert marks(at - 30 * hour, at - 20 * hour) == []


def test_a_hold_by_the_server_alone_is_told_and_none_twice(made: Made, owner: User) -> None:
    reason = "Submission failed 8 times in a row: no qmaster"
    WorkflowRun.objects.filter(pk=made.run.pk).update(hold_reason=reason, held_at=timezone.now())
    assert words_of(made)[1:] == [f"Run {made.run.pk} held: {reason}"]
    lifecycle.hold_run(made.run.pk, "by hand", Actor(owner, "page"))
    assert words_of(made)[1:] == [f"Run {made.run.pk} held: by hand"]


def test_other_entries_and_other_workflows_are_not_told(made: Made, owner: User) -> None:
    make_audit(made.workflow, "set-note")
    other = make_workflow(owner, [Tag("fit", {"R": 1})])
    make_audit(other.workflow, "release", target=f"run {other.run.pk}")
    assert words_of(made) == [f"Run {made.run.pk} started"]


def test_more_than_thirty_are_counted(client: Client, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are shown; words are cut, so that the page stays small."""
    bare = len(client.get(url_of(made)).content)
    begin = timezone.now() - timedelta(minutes=100)
    for number in range(41):
        at = begin + timedelta(minutes=2 * number)
        make_audit(made.workflow, "hold", target=f"run {made.run.pk}", at=at, after={"hold": f"{number} " + "x" * 5000})
    text = client.get(url_of(made)).content.decode()
    assert len(titles_of(text)) == len(rows_of(text)) == 30
    assert rows_of(text)[0].startswith(f"1 Run {made.run.pk} held: 11 xxx")
    assert "and 12 more before these" in text
    assert len(text) - bare < 24 * 1024
    monkeypatch.setattr(run_events, "EVENTS_READ", 35)
    monkeypatch.setattr("workflows.views.timeline.EVENTS_READ", 35)
    assert "and at least 5 more before these" in client.get(url_of(made)).content.decode()


def test_the_export_holds_the_same_facts(client: Client, made: Made, owner: User) -> None:
    act(made, owner)
    answer = client.get(url_of(made), {"export": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert f"timeline-of-run-{made.run.pk}.csv" in answer["Content-Disposition"]
    assert [row["kind"] for row in rows].count("attempt") == 6
    assert [row["what"] for row in rows if row["kind"] == "tag"] == ["clean", "fit"]
    events = [row for row in rows if row["kind"] == "event"]
    assert [row["what"] for row in events] == words_of(made)
    assert {(row["actor"], row["via"]) for row in events[1:]} == {("alice", "page")}
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    lines = client.get(url_of(made), {"export": "jsonl"}).getvalue().decode().splitlines()
    assert [json.loads(line)["what"] for line in lines] == [row["what"] or None for row in rows]


@pytest.fixture
def large(owner: User) -> Made:
    """More attempts than are drawn one by one, with minutes of the last hour of two."""
    made = make_workflow(owner, [Tag("fit", {"D": 310, "R": 1})])
    now = timezone.now().replace(second=0, microsecond=0)
    group = made.jobs["fit"][0].group_id
    RunMinute.objects.bulk_create(
        RunMinute(run=made.run, group_id=group, minute=now - timedelta(minutes=ago), running=2) for ago in range(60)
    )
    make_audit(made.workflow, "release", target=f"run {made.run.pk}", at=now - timedelta(minutes=30))
    return made


def test_minutes_are_marked_too_and_what_nobody_looked_at_is_a_gap(client: Client, large: Made) -> None:
    text = client.get(url_of(large)).content.decode()
    assert [words.partition(", by")[0] for words in titles_of(text)] == [
        f"Run {large.run.pk} started",
        f"Run {large.run.pk} released",
    ]
    assert 50 <= text.count('class="gap"') <= 61
    marks = places_of(text)
    assert marks[0] == 0
    assert marks[1] == pytest.approx(750, abs=20)
    lines = client.get(url_of(large), {"export": "jsonl"}).getvalue().decode().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds.count("minutes") == text.count('class="gap"') + 60
    assert kinds.count("attempt") == 0


def test_a_window_of_minutes_is_all_of_it(client: Client, large: Made) -> None:
    """Columns, times and marks stand over the same axis, though nothing is known of half of the window."""
    end = RunMinute.objects.latest("minute").minute
    query = {"from": int((end - timedelta(minutes=120)).timestamp()), "to": int(end.timestamp())}
    text = client.get(url_of(large), query).content.decode()
    assert text.count('class="gap"') == 61
    assert "Whole run" in text
    marks = places_of(text)
    assert marks[-1] == pytest.approx(750, abs=5)


def test_events_keep_to_the_budget(client: Client, made: Made, large: Made) -> None:
    now = timezone.now()
    windows = [{"from": int((now - timedelta(hours=h)).timestamp()), "to": int(now.timestamp())} for h in (1, 3)]
    for one in (made, large):
        for query in ({}, {"tag": "fit"}, *windows):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(url_of(one), query).status_code == 200
            assert len([q for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]) <= MOST_QUERIES


def test_a_run_without_attempts_tells_its_events(client: Client, made: Made) -> None:
    JobInstance.objects.all().delete()
    text = client.get(url_of(made)).content.decode()
    assert "No attempt was submitted" in text
    assert rows_of(text) == [f"1 Run {made.run.pk} started alice"]


def test_strangers_see_nothing_of_it(made: Made) -> None:
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(make_user("mallory"))
    for query in ({}, {"export": "csv"}):
        assert client.get(url_of(made), query).status_code == 404
