"""Asked and used, hosts, minutes: numbers from bounded reads."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.factories import Tag, make_user, make_workflow
from workflows import operations, resource_use, use_map, words
from workflows.models import Job, JobInstance, Operation, RunMinute, WorkflowRun
from workflows.queries import hosts, timeline

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def attempt(
    job_id: int, used: float | None, seconds: float | None, reason: str = "", tag: str = "fit"
) -> resource_use.Attempt:
    return resource_use.Attempt(job_id, tag, 20.0, used, 7200.0, seconds, reason)


def test_what_was_not_used_is_counted_by_tag() -> None:
    attempts = [attempt(number, 10.0, 3600.0) for number in range(100)]
    attempts += [attempt(200, None, None), attempt(201, 21.0, 60.0, "memory"), attempt(300, 19.0, 3600.0, tag="end")]
    fit, end = resource_use.by_tag(attempts)
    assert (fit.tag, end.tag) == ("fit", "end")
    assert (fit.attempts, fit.not_measured, fit.over_memory) == (102, 1, 1)
    assert fit.unused_gb_hours == pytest.approx(1000)
    assert (fit.memory.median, fit.memory.largest) == (10.0, 21.0)
    assert fit.line.startswith("mem_free=10")
    assert end.line == ""


def test_the_map_holds_every_measured_attempt_once() -> None:
    attempts = [attempt(number, number / 10, number * 7.0) for number in range(1, 500)] + [attempt(1, None, 5.0)]
    cells = use_map.make_map(attempts)
    assert sum(cell.jobs for cell in cells) == 499
    assert all(cell.column < use_map.COLUMNS and cell.row < use_map.ROWS for cell in cells)
    assert use_map.make_map([]) == []


@pytest.mark.django_db
def test_the_resources_page(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 60, "F": 2}, reasons=("memory",), mem_free=20)])
    url = f"/workflows/{made.workflow.pk}/resources/"
    text = client.get(url).content.decode()
    assert "from all 66 ended attempts of this run" in text
    assert "covers" in text
    assert f'<a href="/workflows/{made.workflow.pk}/jobs/?run={made.run.pk}&amp;memory=' in text
    assert client.get(url, {"tag": "nothing", "run": "x"}).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "?tag=fit"])
def test_every_cell_leads_to_all_its_jobs(client: Client, owner: User, query: str) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 60, "F": 3}, reasons=("memory",)), Tag("end", {"D": 20})])
    make_workflow(owner, [Tag("fit", {"D": 60})])
    text = client.get(f"/workflows/{made.workflow.pk}/resources/{query}").content.decode()
    links = set(re.findall(r'href="(/workflows/\d+/jobs/\?run=[^"]+)"', text))
    assert len(links) > 20
    seen: dict[int, int] = {}
    for link in map(html.unescape, links):
        page = client.get(f"{link}&per_page=100")
        assert not page.context["filters"].unknown
        jobs = [row.job for row in page.context["table"].data.data]
        assert page.context["total"].count == len(jobs) > 0, link
        lines = b"".join(client.get(f"{link}&export=jsonl").streaming_content).splitlines()  # type: ignore[attr-defined]
        assert {json.loads(line)["job_id"] for line in lines} == {job.pk for job in jobs}
        assert query == "" or {job.tag for job in jobs} == {"fit"}
        for job in jobs:
            seen[job.pk] = seen.get(job.pk, 0) + 1
    attempts = JobInstance.objects.filter(workflow_run=made.run, maxvmem__isnull=False)
    wanted = attempts.filter(job__tag="fit") if query else attempts
    assert set(seen) == set(wanted.values_list("job_id", flat=True))
    assert sum(seen.values()) <= wanted.count()


def test_a_host_is_suspect_when_it_is_far_above_the_others() -> None:
    rows = [("c041", "D", "")] * 500 + [("c041", "E", "exit")] + [("c042", "E", "exit")] * 61 + [("c042", "D", "")] * 3
    rows += [("c043", "E", "killed")] * 40 + [("c043", "D", "")] * 40 + [("c044", "E", "exit")] * 3
    found, compared = hosts.compare([("sge", *row) for row in rows])
    assert [(host.name, host.is_bad) for host in found] == [
        ("c042", True), ("c044", False), ("c041", False), ("c043", False),
    ]  # fmt: skip
    assert compared == 501 + 64 + 40 + 3


def test_minutes_are_folded_and_gaps_stay_gaps() -> None:
    at = [START + timedelta(minutes=number) for number in range(1000)]
    seen = [(moment, (1, 2)) for number, moment in enumerate(at) if not 400 <= number < 420]
    found = timeline.fold(seen, is_cut=False)
    assert len(found.bins) <= timeline.MOST_BINS
    assert found.width == timedelta(minutes=4)
    assert [bin.at for bin in found.bins if bin.running is None] == [at[number] for number in range(400, 420, 4)]
    assert {(bin.queued, bin.running) for bin in found.bins if bin.running is not None} == {(1, 2)}
    assert timeline.fold([], is_cut=False).bins == []


@pytest.mark.django_db
def test_many_attempts_are_drawn_from_the_minutes(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 320, "R": 5})])
    url = f"/workflows/{made.workflow.pk}/timeline/"
    assert "the newest 300 attempts" in client.get(url).content.decode()
    group, now = made.jobs["fit"][0].group_id, timezone.now().replace(second=0, microsecond=0)
    WorkflowRun.objects.filter(pk=made.run.pk).update(created_date=now - timedelta(minutes=10))
    for ago, running in ((9, 5), (8, 7), (3, 2), (2, 2), (1, 2), (0, 2)):
        RunMinute.objects.create(
            run=made.run, group_id=group, minute=now - timedelta(minutes=ago), queued=1, running=running, ended=1
        )
    text = client.get(url).content.decode()
    assert "Jobs queued and running" in text
    assert "at most 8 at once" in text
    assert text.count('class="gap"') == 4


@pytest.mark.django_db
def test_every_number_has_a_column_of_its_own(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 60, "F": 2}, reasons=("memory",), mem_free=20, minutes=10)])
    JobInstance.objects.filter(workflow_run=made.run, status="D").update(maxvmem=22 * 10**6)
    text = client.get(f"/workflows/{made.workflow.pk}/resources/").content.decode()
    row = text[text.index('?tag=fit"') : text.index("</tr>", text.index('?tag=fit"'))]
    cells = dict(re.findall(r'data-label="([^"]+)">([^<]*)', row))
    assert (cells["Memory asked"], cells["Memory, median"]) == ("20 GB", "22 MB"), "as the job's own page says it"
    assert len(cells) == 13
    asked = JobInstance.objects.filter(workflow_run=made.run).values_list("max_runtime", flat=True)[0]
    assert cells["Time asked"] == words.duration(asked)
    assert (cells["Over memory"], cells["Over time"]) == ("6", "0")


@pytest.mark.django_db
def test_of_many_tags_the_most_wasteful_are_shown_first(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag(f"location_{number:03}", {"D": 2}) for number in range(150)])
    url = f"/workflows/{made.workflow.pk}/resources/"
    answer = client.get(url)
    assert len(answer.context["uses"]) == 25
    assert len(answer.content) <= 60 * 1024
    assert "Show all 150 tags" in answer.content.decode()
    assert len(client.get(f"{url}?groups=all").context["uses"]) == 150


@pytest.mark.django_db
def test_several_tags_are_shown_together(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 20}), Tag("end", {"D": 9}), Tag("sum", {"D": 5})])
    answer = client.get(f"/workflows/{made.workflow.pk}/resources/?tag=fit&tag=sum")
    assert {use.tag for use in answer.context["uses"]} == {"fit", "sum"}
    text = answer.content.decode()
    assert "from all 25 ended attempts" in text
    assert "<option selected>fit</option>" in text
    assert "<option selected>sum</option>" in text
    assert {("tag=fit" in link, "tag=sum" in link) for link in re.findall(r'jobs/\?(run=[^"]+)"', text)} == {
        (True, True)
    }


def test_the_owner_adopts_a_suggestion_for_the_jobs_that_are_left(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit & co", {"D": 60, "G": 5, "F": 1}, mem_free=20)])
    text = client.get(f"/workflows/{made.workflow.pk}/resources/").content.decode()
    assert re.search(r"Use [\d.]+ GB and [\d.]+ (min|h) for 6 jobs…", text)
    form = dict(re.findall(r'name="(action|which|query|mem_free|max_runtime)" value="([^"]*)"', text))
    form = {name: html.unescape(value) for name, value in form.items()}
    answer = client.post(f"/workflows/{made.workflow.pk}/operations/", form)
    shown = client.get(answer["Location"]).content.decode()
    assert f'name="mem_free" value="{form["mem_free"]}"' in shown
    assert float(form["mem_free"]) < 20
    assert "Change 6 jobs</button>" in shown
    operation = Operation.objects.get()
    client.post(f"/operations/{operation.uuid}/", {name: form[name] for name in ("mem_free", "max_runtime")})
    while operations.carry_out(operation.pk):
        pass
    assert set(Job.objects.exclude(status="D").values_list("mem_free", flat=True)) == {float(form["mem_free"])}
    assert set(Job.objects.filter(status="D").values_list("mem_free", flat=True)) == {20.0}
    stranger = Client(HTTP_HOST="127.0.0.1")
    stranger.force_login(make_user("sue", is_staff=True))
    text = stranger.get(f"/workflows/{made.workflow.pk}/resources/").content.decode()
    assert "for 6 jobs…" not in text
    assert "only alice may change" in text


def test_slots_that_did_not_work_are_counted_where_that_is_measured() -> None:
    def on_slots(cpu: float | None) -> resource_use.Attempt:
        return resource_use.Attempt(1, "fit", 20.0, 9.0, None, 3600.0, "", 4, cpu)

    [use] = resource_use.by_tag([on_slots(3600.0), on_slots(None), on_slots(4 * 3600.0 + 5)])
    assert use.unused_slot_hours == pytest.approx(3)
    [unknown] = resource_use.by_tag([on_slots(None)])
    assert unknown.unused_slot_hours is None


@pytest.mark.django_db
def test_the_numbers_can_be_taken_along(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 60}), Tag("end", {"D": 1}, ("fit",))])
    answer = client.get(f"/workflows/{made.workflow.pk}/resources/?export=csv&tag=fit")
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [line.split(",")[0] for line in lines] == ["tag", "fit"]
    row = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert (row["attempts"], row["memory_asked"]) == ("60", "4.0")
    assert float(row["unused_slot_hours"]) > 0


@pytest.mark.django_db
def test_jobs_that_stand_out_are_named(client: Client, owner: User) -> None:
    made = make_workflow(owner, [Tag("fit", {"D": 30}), Tag("end", {"D": 6}, ("fit",))])
    JobInstance.objects.filter(workflow_run=made.run).update(maxvmem=2 * 10**9, wallclock=600.0)
    job = made.jobs["fit"][3]
    JobInstance.objects.filter(job=job, status="D").update(maxvmem=30 * 10**9)
    url = f"/workflows/{made.workflow.pk}/resources/"
    for query in ("", "?tag=fit"):
        text = client.get(url + query).content.decode()
        box = text[text.index("Jobs that stand out") : text.index("Memory and run time together")]
        assert box.count("<tr><th") == 2
        assert f'<a href="/jobs/{job.pk}/">{job.name}</a>' in box
        assert "15.0</td>" in box
    assert "No measured attempt of end did." in client.get(f"{url}?tag=end").content.decode()
