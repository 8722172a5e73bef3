"""Jobs by what one of their attempts used: the same in every way a list is read, and never by reading a table."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import collecting, job_filters
from workflows.actor import Actor
from workflows.job_filters import JobFilter
from workflows.models import JobInstance, Operation
from workflows.queries import jobs
from workflows.queries.counts import groups_of

pytestmark = pytest.mark.django_db
GB = 10**9


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def made(owner: User) -> Made:
    """Jobs 0 to 11 of `fit` used 0, 1, … GB for as many minutes; the attempts of `end` 2 GB for 2 minutes, two each."""
    made = make_workflow(owner, [Tag("fit", {"D": 12}), Tag("end", {"F": 4}, ("fit",))])
    for number, job in enumerate(made.jobs["fit"]):
        JobInstance.objects.filter(job=job).update(maxvmem=number * GB, wallclock=number * 60.0)
    JobInstance.objects.filter(job__tag="end").update(maxvmem=2 * GB, wallclock=120.0)
    return made


@pytest.fixture(params=[0, 1, job_filters.FEW], ids=["in-their-index", "some-in-their-index", "one-by-one"])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_filters, "FEW", request.param)


def filtered(made: Made, query: str) -> JobFilter:
    groups = groups_of(made.workflow.dag_id)
    return JobFilter(QueryDict(query), jobs.jobs_of(made.workflow.dag_id), made.workflow.dag_id, groups)


def names(made: Made, query: str, sort: str = "job_id", per_page: int = 3) -> list[str]:
    """As pages show them, from the first to the last; then back, which must be the same."""
    filters = filtered(made, query)
    assert not filters.unknown, filters.errors
    rows, keys = filters.listed(sort)
    page = jobs.job_page(rows, sort, "", "", per_page, keys)
    found = [job.name for job in page.rows]
    while page.next:
        page = jobs.job_page(rows, sort, page.next, "", per_page, keys)
        found += [job.name for job in page.rows]
    back = [job.name for job in page.rows]
    while page.previous:
        page = jobs.job_page(rows, sort, "", page.previous, per_page, keys)
        back = [job.name for job in page.rows] + back
    assert back == found
    assert filters.total().count == len(found) == filters.rows.count()
    return found


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("query", "fit", "end"),
    [
        ("memory=2-4", [2, 3], 4),
        ("memory=2-4&tag=fit", [2, 3], 0),
        ("memory=2-4&tag=end", [], 4),
        ("memory=2-4&tag=fit&tag=end", [2, 3], 4),
        ("memory=2-4&tag=nowhere", [], 0),
        ("memory=2-4&status=D", [2, 3], 0),
        ("memory=2-4&attempts=2", [], 4),
        ("memory=5-", [5, 6, 7, 8, 9, 10, 11], 0),
        ("memory=-1", [0], 0),
        ("memory=0-1&memory=10-12", [0, 10, 11], 0),
        ("runtime=120-180", [2], 4),
        ("runtime=60-241&memory=3-", [3, 4], 0),
        ("runtime=600-", [10, 11], 0),
        ("memory=90-91", [], 0),
    ],
)
@pytest.mark.parametrize("sort", ["job_id", "-job_id", "name", "-status_date"])
def test_ranges_find_jobs_once_on_every_page(made: Made, query: str, fit: list[int], end: int, sort: str) -> None:
    found = names(made, query, sort)
    wanted = {made.jobs["fit"][number].name for number in fit}
    assert {name for name in found if name.startswith("fit")} == wanted
    assert len(found) == len(wanted) + end


@pytest.mark.usefixtures("few")
def test_range_and_run_are_about_one_attempt(made: Made, owner: User) -> None:
    job = made.jobs["fit"][5]
    other = make_workflow(owner, [Tag("fit", {"D": 2})])
    JobInstance.objects.filter(workflow_run=other.run).update(maxvmem=5 * GB, wallclock=1.0)
    assert names(made, f"memory=5-6&run={made.run.pk}") == [job.name]
    assert names(made, f"memory=5-6&run={other.run.pk}") == []
    assert names(made, f"memory=5-6&run={made.run.pk}&run={other.run.pk}") == [job.name]


def test_what_was_not_measured_is_in_no_range(made: Made) -> None:
    JobInstance.objects.update(maxvmem=None)
    assert names(made, "memory=0-") == []
    assert len(names(made, "runtime=0-")) == 16


@pytest.mark.parametrize("text", ["5", "6-5", "x", "-"])
def test_what_is_no_range_shows_nothing(made: Made, text: str) -> None:
    filters = filtered(made, f"memory={text}")
    assert filters.unknown == ["memory"]
    rows, keys = filters.listed("job_id")
    assert jobs.job_page(rows, "job_id", "", "", 50, keys).rows == []


def test_chips_say_the_range(made: Made) -> None:
    chips = filtered(made, "memory=1.5-3&runtime=-90&run=7").chips
    assert [chip.label for chip in chips] == ["memory used: 1.5 to 3 GB", "run time: under 1 min 30 s", "run: 7"]


@pytest.mark.usefixtures("few")
def test_actions_reach_all_of_a_range(made: Made, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and where a worker collects them in batches."""
    wanted = {job.pk for job in (*made.jobs["fit"][2:4], *made.jobs["end"])}
    for most in (collecting.MOST_AT_ONCE, 3):
        monkeypatch.setattr(collecting, "MOST_AT_ONCE", most)
        monkeypatch.setattr(collecting, "BATCH", 4)
        selection = collecting.select(made.workflow, QueryDict(f"memory=2-4&run={made.run.pk}"))
        assert selection.said.startswith("memory used: 2 to 4 GB; run: ")
        operation = collecting.make_draft(made.workflow, Actor(owner, "page"), "retry", selection)
        assert operation is not None
        while collecting.collect(operation.pk):
            pass
        frozen = Operation.objects.get(pk=operation.pk)
        assert frozen.state == "draft"
        assert set(frozen.items.values_list("job_id", flat=True)) == wanted


@pytest.mark.parametrize("query", ["memory=2-4", "runtime=60-120", "memory=2-4&runtime=60-180", "memory=2-&tag=fit"])
def test_the_index_answers(made: Made, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_filters, "FEW", 0)
    filters = filtered(made, f"{query}&run={made.run.pk}")
    rows, keys = filters.listed("job_id")
    assert keys is not None
    with CaptureQueriesContext(connection) as queries:
        page = jobs.job_page(jobs.with_total(rows, keys), "job_id", "", "", 2, keys)
        assert jobs.read_total(page.rows) == filters.total()
    with connection.cursor() as cursor:
        for captured in queries:
            plan = _plan(cursor, captured["sql"])
            assert not {"SCAN job", "SCAN job_instance"} & set(plan), plan
            if "maxvmem" in captured["sql"] or "wallclock" in captured["sql"]:
                assert "job_instance_run_use" in " ".join(plan), plan


def _plan(cursor: object, sql: str) -> list[str]:
    """The steps on SQLite; on MariaDB the keys that each could use, which of them it takes depends on how many rows
    there are."""
    is_sqlite = connection.vendor == "sqlite"
    cursor.execute(("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + sql)  # type: ignore[attr-defined]
    rows = cursor.fetchall()  # type: ignore[attr-defined]
    return [str(row[3]) for row in rows] if is_sqlite else [" ".join(map(str, row)) for row in rows]
