"""Reads: keyset pages visit every row once, in order; counts agree with the rows; filters mean what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.db.models import F
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import Made, Tag, make_user, make_workflow
from workflows import planning
from workflows.filters import WorkflowFilter
from workflows.job_filters import JobFilter
from workflows.models import Job, JobInstance
from workflows.queries import attempts, counting, graph, job_detail, jobs, search, workflows
from workflows.queries.counts import counts_of_dags, groups_of
from workflows.queries.keyset import CursorError, Order, decode, encode, paginate, walk
from workflows.queries.limits import TooSlow, limit_each, limit_statement, read_limit
from workflows.scope import Scope

pytestmark = pytest.mark.django_db
TAGS = (
    Tag("clean", {"D": 9, "F": 1}),
    Tag("fit", {"D": 4, "R": 2, "I": 1, "E": 1, "F": 1, "G": 1}, ("clean",), ("memory",)),
    Tag("end", {"G": 1}, ("fit",)),
)


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def made(owner: User) -> Made:
    return make_workflow(owner, TAGS)


def filtered(made: Made, query: str) -> JobFilter:
    groups = groups_of(made.workflow.dag_id)
    return JobFilter(QueryDict(query), jobs.jobs_of(made.workflow.dag_id), made.workflow.dag_id, groups)


@pytest.mark.parametrize("sort", jobs.ORDERS)
@pytest.mark.parametrize("per_page", [1, 4, 21, 50])
def test_pages_visit_every_job_once_and_lead_back(made: Made, sort: str, per_page: int) -> None:
    Job.objects.filter(pk__in=[job.pk for job in made.jobs["clean"]]).update(status_date=timezone.now())
    order, rows = jobs.ORDERS[sort], jobs.jobs_of(made.workflow.dag_id)
    expected = list(rows.order_by(*order.fields()).values_list("pk", flat=True))
    page = paginate(rows, order, "", "", per_page)
    assert page.previous == ""
    seen = [job.pk for job in page.rows]
    while page.next:
        page = paginate(rows, order, page.next, "", per_page)
        seen += [job.pk for job in page.rows]
    assert seen == expected
    back = [job.pk for job in page.rows]
    while page.previous:
        page = paginate(rows, order, "", page.previous, per_page)
        back = [job.pk for job in page.rows] + back
    assert back == expected


def test_rows_that_arrive_move_no_page(made: Made) -> None:
    order = Order("job_id", is_descending=True)
    rows = jobs.jobs_of(made.workflow.dag_id)
    first = paginate(rows, order, "", "", 5)
    second = paginate(rows, order, first.next, "", 5)
    Job.objects.filter(pk=first.rows[0].pk).update(dag=make_workflow(made.workflow.owner, TAGS[:1]).workflow.dag)
    assert paginate(rows, order, first.next, "", 5).rows == second.rows


BROKEN = ["x", "", "bnVsbA", encode("a", -1), encode([1], 1), encode({"t": "no"}, 1), "é", "W10", encode(None, 2**63)]


@pytest.mark.parametrize("cursor", BROKEN)
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(CursorError):
        decode(cursor)


FIRST_DAY = {"t": "0001-01-01T00:00:00+14:00"}  # in UTC it is before all time
VALUES = [None, True, 5, -1, 2**63, 1.5, "a", "\ud800", "2026-11-23", FIRST_DAY, {"t": "2026-11-23"}, {"t": 5}, [1]]


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("order", [*jobs.ORDERS.values(), Order("job_id", "attempt_count", kind=int)], ids=str)
def test_value_of_another_kind_in_a_cursor_is_refused_or_compared(made: Made, order: Order, value: object) -> None:
    """Never an error of the database or of Django's fields."""
    rows = Job.objects.annotate(attempt_count=F("num_attempts")).filter(dag_id=made.workflow.dag_id)
    for after, before in ((encode(value, 1), ""), ("", encode(value, 1))):
        try:
            assert paginate(rows, order, after, before, 5) is not None
        except CursorError:
            assert type(value) is not order.kind or value in (-1, 2**63, "\ud800")


def test_an_export_walks_all_chunks(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.queries.keyset.CHUNK", 4)
    chunks = list(walk(jobs.jobs_of(made.workflow.dag_id), jobs.ORDERS["name"]))
    assert [len(chunk) for chunk in chunks] == [4, 4, 4, 4, 4, 1]


def test_stored_counts_agree_with_the_rows(made: Made) -> None:
    counts = counts_of_dags([made.workflow.dag_id])[made.workflow.dag_id]
    for letter, count in counts.items():
        assert count == Job.objects.filter(status=letter).count(), letter


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 21),
        ("status=F", 2),
        ("status=F&status=E", 3),
        ("tag=fit", 10),
        ("tag=fit&status=D", 4),
        ("tag__n=fit", 11),
        ("tag=fit&tag=end", 11),
        ("q=fit_", 10),
        ("q=*0001", 3),
        ("attempts=3", 2),
        ("status=F&reason=memory", 1),
        ("since=2000-01-01", 21),
        ("tag=nowhere", 0),
        ("q=%25", 0),
        ("status=&reason=&tag=", 21),
        ("blocked=1", 2),
        ("blocked=0", 19),
    ],
)
def test_filters_mean_what_they_say(made: Made, query: str, count: int) -> None:
    filters = filtered(made, query)
    assert not filters.unknown
    assert filters.rows.count() == count
    assert filters.total() == counting.Total(count)


def test_neighbours_are_filters_too(made: Made) -> None:
    last = made.jobs["end"][0]
    assert filtered(made, f"upstream_of={last.pk}").rows.count() == 10
    assert filtered(made, f"downstream_of={made.jobs['fit'][0].pk}").rows.get() == last


@pytest.mark.parametrize("query", ["stauts=F", "status=Z", "since=never", "attempts=-1", "run=0", f"run={2**63}"])
def test_what_is_not_understood_shows_nothing(made: Made, query: str) -> None:
    filters = filtered(made, query)
    assert filters.unknown == [query.partition("=")[0]]
    assert filters.rows.count() == 0
    assert [chip.is_understood for chip in filters.chips] == [False]


def test_totals_from_stored_counts_cost_no_query(made: Made) -> None:
    filters = filtered(made, "status=F&tag=fit")
    with CaptureQueriesContext(connection) as queries:
        assert filters.total().count == 1
    assert len(queries) == 0


def test_large_totals_are_not_counted_to_the_end(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_COUNTED", 5)
    total = counting.count_up_to_limit(jobs.jobs_of(made.workflow.dag_id))
    assert (total.count, total.is_exact, str(total)) == (5, False, "5+")


def test_the_last_attempt_of_each_job_is_shown(made: Made) -> None:
    failed = made.job("F")
    rows = jobs.rows_with_attempts([failed, made.jobs["end"][0]], groups_of(made.workflow.dag_id))
    assert rows[0].last is not None
    assert rows[0].last.attempt == 3
    assert rows[1].last is None


def test_only_visible_workflows_are_listed(made: Made, owner: User) -> None:
    other = make_user("bob")
    make_workflow(other, TAGS[:1])
    assert [row.pk for row in workflows.listed(owner)] == [made.workflow.pk]
    assert workflows.listed(make_user("root", is_staff=True)).count() == 2
    assert workflows.find_workflow(other, made.workflow.pk) is None
    assert job_detail.find_job(other, made.job("F").pk) is None
    assert attempts.find_attempt(other, made.instance("E").pk) is None
    assert attempts.find_run(other, made.run.pk) is None


def test_who_needs_a_person(owner: User) -> None:
    make_workflow(owner, [Tag("a", {"D": 1})], status="D", age=timedelta(days=9))
    failing = make_workflow(owner, [Tag("a", {"F": 1, "R": 1})])
    held = make_workflow(owner, [Tag("a", {"R": 1})])
    make_workflow(owner, [Tag("a", {"R": 1})])
    held.run.hold_reason = "qmaster does not answer"
    held.run.save()
    found = WorkflowFilter(QueryDict("needs=1"), workflows.listed(owner), owner).rows
    assert {row.pk for row in found} == {failing.workflow.pk, held.workflow.pk}
    assert workflows.strip(owner, True) == workflows.Strip(total=4, running=3, needs=2, done_today=0, owners=["alice"])


def test_search_finds_numbers_and_beginnings_of_names(made: Made, owner: User) -> None:
    assert search.search(owner, "fit_000").total == 9
    assert search.search(owner, "FIT_000").total == 0
    batch = made.instance("E").executor_id
    assert [hit.executor_id for hit in search.search(owner, batch).attempts] == [batch]
    assert made.workflow in search.search(owner, str(made.workflow.pk)).workflows
    assert search.search(owner, " ").total == 0


def test_neighbours_show_failed_ones_first_and_say_how_many(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    found = job_detail.neighbours(made.jobs["end"][0].pk, "upstream")
    assert (found.total, found.is_exact, found.jobs[0].status, found.jobs[-1].status) == (10, True, "F", "D")
    assert found.counts == {"D": 4, "R": 2, "I": 1, "E": 1, "F": 1, "B": 1}
    monkeypatch.setattr(job_detail, "EDGES_READ", 4)
    cut = job_detail.neighbours(made.jobs["end"][0].pk, "upstream")
    assert (cut.total, cut.is_exact) == (4, False)


def test_edges_between_groups_are_summed(made: Made) -> None:
    names = {group.pk: group.name for group in groups_of(made.workflow.dag_id)}
    edges = graph.group_edges(made.workflow.dag_id)
    assert {(names[up], names[down]): n for (up, down), n in edges.items()} == {
        ("clean", "fit"): 10,
        ("fit", "end"): 10,
    }


def test_a_neighbourhood_is_never_larger_than_its_limit(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "FOLD_FROM", 100)
    last = made.jobs["end"][0].pk
    assert len(graph.neighbourhood(last, 2, 2).nodes) == 21
    assert len(graph.neighbourhood(last, 1, 0).nodes) == 11
    monkeypatch.setattr(graph, "BOXES", 5)
    cut = graph.neighbourhood(last, 1, 0)
    assert (len(cut.nodes), cut.left_out) == (5, 6)


def test_many_neighbours_alike_become_one_box(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "FOLD_FROM", 2)
    last = made.jobs["end"][0]
    near = graph.neighbourhood(last.pk, 2, 0)
    folded = [node for node in near.nodes.values() if node.pk < 0]
    statuses = Counter((job.tag, job.status) for tag in ("fit", "clean") for job in made.jobs[tag])
    assert {(node.tag, node.status): node.jobs for node in folded} == {k: n for k, n in statuses.items() if n > 1}
    assert near.jobs == 21
    assert all({up, down} <= set(near.nodes) for up, down in near.edges)
    assert {node.hop for node in folded} == {-1, -2}
    monkeypatch.setattr(graph, "EDGES_READ", 4)
    assert graph.neighbourhood(last.pk, 1, 0).is_cut


def test_leftovers_of_an_ended_run_are_counted(owner: User) -> None:
    made = make_workflow(owner, [Tag("a", {"R": 3, "D": 1})], status="S")
    left = workflows.view_workflow(made.workflow).leftovers
    assert left.count == 3
    assert left.oldest == min(instance.submitted_date for instance in made.instances if instance.status == "R")


def test_a_stop_counts_what_it_meets(made: Made) -> None:
    JobInstance.objects.filter(status="R").update(started_at=timezone.now() - timedelta(hours=2))
    view = attempts.view_stop(made.run)
    assert (view.running, view.queued, round(view.hours)) == (2, 1, 4)
    assert round(view.longest or 0) == 7200


SCANNED = ("SCAN job", "SCAN job_instance", "SCAN job_edge")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plan of SQLite")
@pytest.mark.parametrize(
    "query", ["", "status=F", "tag=fit", "status=F&tag=fit", "q=fit_", "blocked=true", "since=24h"]
)
@pytest.mark.parametrize("sort", ["job_id", "-status_date", "name"])
def test_no_job_list_scans_a_table(made: Made, query: str, sort: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        jobs.job_page(filtered(made, query).rows, sort, "", "", 50)
    for captured in queries:
        steps = connection.cursor().execute("EXPLAIN QUERY PLAN " + captured["sql"]).fetchall()
        assert not any(step[3] in SCANNED for step in steps), steps


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plan of SQLite")
@pytest.mark.django_db
def test_a_preview_of_a_resume_finds_its_examples_in_the_index(made: Made) -> None:
    with CaptureQueriesContext(connection) as queries:
        plan = planning.plan_start(made.workflow, Scope(), "cold")
    assert all(row.samples for row in plan.rows)
    steps = [connection.cursor().execute("EXPLAIN QUERY PLAN " + one["sql"]).fetchall() for one in queries]
    named = [step[3] for one in steps for step in one if step[3].startswith(("SEARCH", "SCAN")) and " U0" in step[3]]
    assert any("job_by_group (group_id=? AND status=?)" in step for step in named)
    assert not any(step.startswith("SCAN") for step in named), named


ENDLESS = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
    SELECT SUM(a.i * b.i * c.i * d.i) FROM n a, n b, n c, n d"""


@pytest.mark.django_db
@pytest.mark.parametrize("is_for_each", [False, True])
def test_a_read_that_never_ends_is_given_up(is_for_each: bool) -> None:
    with pytest.raises(TooSlow), read_limit(0.05, is_for_each=is_for_each), connection.cursor() as cursor:
        cursor.execute(ENDLESS)
        cursor.fetchall()
    assert Job.objects.count() == 0


@pytest.mark.django_db
def test_a_limit_costs_no_statement(made: Made) -> None:
    """Neither one that Django knows of, nor one that the database counts."""

    def read() -> tuple[int, int]:
        before = _statements()
        with CaptureQueriesContext(connection) as queries:
            jobs.job_page(filtered(made, "status=F").rows, "name", "", "", 50)
            list(Job.objects.filter(status="D").union(Job.objects.filter(status="F")).order_by("pk"))
            Job.objects.filter(status="F").exists()
        return len(queries), _statements() - before

    free = read()
    with read_limit(60):
        assert read() == free
    with read_limit(60, is_for_each=True):
        assert read() == free


def _statements() -> int:
    """How many the server has had from this connection; SQLite does not count."""
    if connection.vendor != "mysql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


@pytest.mark.django_db
def test_each_piece_of_an_export_has_its_own_time() -> None:
    def pieces() -> Iterator[int]:
        yield Job.objects.count()
        with connection.cursor() as cursor:
            cursor.execute(ENDLESS)
            yield len(cursor.fetchall())

    given = limit_each(pieces(), 0.05)
    assert next(given) == 0
    assert connection.execute_wrappers == [], "what is read between two pieces is not the export's"
    with pytest.raises(TooSlow):
        next(given)


def test_how_a_statement_is_limited() -> None:
    assert limit_statement("SELECT 1", 2, is_mariadb=True) == "SET STATEMENT max_statement_time=2.000 FOR SELECT 1"
    assert limit_statement("(SELECT 1)", 0.0001, is_mariadb=False) == "(SELECT /*+ MAX_EXECUTION_TIME(1) */ 1)"
    assert limit_statement("SELECT a.selected", 2, is_mariadb=False) == (
        "SELECT /*+ MAX_EXECUTION_TIME(2000) */ a.selected"
    )


def test_a_new_connection_is_limited_from_its_first_statement(made: Made) -> None:
    """What it does not know of its database yet, it must not ask under the limit, which wants to know it."""
    known = connections["default"].__dict__
    for name in ("mysql_server_data", "mysql_server_info", "mysql_is_mariadb"):
        known.pop(name, None)
    with read_limit(2.0):
        assert made.workflow.dag.jobs.exists()
