"""Every page answers, for a workflow in the middle of its run and for empty ones, and keeps its budget of queries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import Made, Tag, make_audit, make_user, make_workflow
from tests.seed import seed
from workflows import collecting, operations
from workflows.actor import Actor
from workflows.models import ExecutorState, HostExclusion, Job, Operation

pytestmark = pytest.mark.django_db
BUDGETS = json.loads((Path(__file__).parents[1] / "query_counts.json").read_text(encoding="utf-8"))
MOST_BYTES = 60 * 1024
LARGER = {"job-graph": 2 * MOST_BYTES, "job-graph, two hops": 2 * MOST_BYTES, "workflow-timeline": 4 * MOST_BYTES}


@pytest.fixture
def owner(db: None) -> User:
    """An administrator as well, as the one person of an embedded server is: sees every page."""
    return make_user("alice", is_admin=True)


def urls_of(made: Made) -> dict[str, str]:
    """Every page, for an owner who is an administrator."""
    assert made.run is not None
    workflow, job, attempt = made.workflow.pk, made.job("F").pk, made.instance("E").pk
    draft, done = make_operation(made), make_operation(made)
    operations.confirm(done, {"note": ""}, Actor(made.workflow.owner, "page"))
    collected = collecting.begin(made.workflow, Actor(made.workflow.owner, "page"), "retry", "all jobs", "")
    return {
        "workflow-list": "/workflows/?mine=1",
        "workflow-list, all": "/workflows/",
        "workflow": f"/workflows/{workflow}/",
        "workflow-jobs": f"/workflows/{workflow}/jobs/",
        "workflow-jobs, status and tag": f"/workflows/{workflow}/jobs/?status=F&tag=fit",
        "workflow-jobs, blocked": f"/workflows/{workflow}/jobs/?blocked=1",
        "workflow-jobs, reason": f"/workflows/{workflow}/jobs/?status=F&reason=memory",
        "workflow-jobs, one cell": f"/workflows/{workflow}/jobs/?run={made.run.pk}&memory=2-3&runtime=120-900",
        "workflow-runs": f"/workflows/{workflow}/runs/",
        "workflow-errors": f"/workflows/{workflow}/errors/",
        "error-group": f"/error-groups/{made.workflow.error_groups.first().pk}/",
        "workflow-graph": f"/workflows/{workflow}/graph/",
        "workflow-timeline": f"/workflows/{workflow}/timeline/",
        "workflow-activity": f"/workflows/{workflow}/activity/",
        "workflow-resume": f"/workflows/{workflow}/resume/",
        "workflow-stop": f"/workflows/{workflow}/stop/",
        "workflow-run": f"/workflow-runs/{made.run.pk}/",
        "job": f"/jobs/{job}/",
        "job-graph": f"/jobs/{job}/graph/",
        "job-graph, two hops": f"/jobs/{job}/graph/?up=2&down=2",
        "job-instance": f"/job-instances/{attempt}/",
        "log-stdout": f"/job-instances/{attempt}/log/stdout/",
        "log-stderr": f"/job-instances/{attempt}/log/stderr/",
        "workflow-resources": f"/workflows/{workflow}/resources/",
        "workflow-hold": f"/workflows/{workflow}/hold/",
        "workflow-limits": f"/workflows/{workflow}/limits/",
        "workflow-note": f"/workflows/{workflow}/note/",
        "workflow-sharing": f"/workflows/{workflow}/sharing/",
        "operations": "/operations/",
        "operation": f"/operations/{done.uuid}/",
        "operation, draft": f"/operations/{draft.uuid}/",
        "operation, collecting": f"/operations/{collected.uuid}/",
        "tokens": "/account/tokens/",
        "tokens-of-others": "/tokens/",
        "sessions": "/account/sessions/",
        "job-retry": f"/jobs/{job}/retry/",
        "job-rerun": f"/jobs/{job}/rerun/",
        "job-done": f"/jobs/{job}/done/",
        "job-kill": f"/jobs/{made.job('R').pk}/kill/",
        "job-requests": f"/jobs/{job}/requests/",
        "executors": "/executors/",
        "executor": f"/executors/{make_executor()}/",
        "executor-hold": "/executors/sge/hold/",
        "executor-limit": "/executors/sge/limit/",
        "hosts": "/hosts/",
        "host": f"/hosts/{made.instance('E').executor_type}/{made.instance('E').nodename}/",
        "host-exclude": "/hosts/sge/c042/exclude/",
        "filters": "/account/filters/",
        "account": "/account/",
        "mail": "/account/mail/",
        "audit": "/audit/",
        "search, text": "/search/?q=fit",
        "search, number": f"/search/?q={workflow}",
    }


def make_operation(made: Made) -> Operation:
    """A draft of marking the waiting jobs done."""
    jobs = Job.objects.filter(dag_id=made.workflow.dag_id, status="G")
    found = operations.freeze(made.workflow, Actor(made.workflow.owner, "page"), "done", jobs, "status: waiting")
    assert found is not None
    return found


def make_executor() -> str:
    """One with an excluded host, as if it had been asked just now."""
    values = {"kind": "sge", "polled_at": timezone.now(), "poll_seconds": 0.4, "counts": {"running": 3}}
    ExecutorState.objects.get_or_create(name="sge", defaults=values)
    HostExclusion.objects.get_or_create(executor="sge", host="c042", defaults={"changed_at": timezone.now()})
    return "sge"


def count_queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200, url
    return len([query for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))])


def test_every_page_answers(client: Client, owner: User) -> None:
    for name, url in urls_of(seed(owner)).items():
        response = client.get(url)
        assert response.status_code == 200, url
        text = response.content.decode()
        assert text.count("<h1") == 1, name
        assert "style=" not in text, name
        assert "<script>" not in text, name
        assert 'name="viewport"' in text, name


def test_pages_of_an_empty_workflow_answer(client: Client, owner: User) -> None:
    workflow = make_workflow(owner, [], status="C").workflow.pk
    for part in ("", "jobs/", "errors/", "graph/", "timeline/", "activity/", "resume/", "stop/"):
        assert client.get(f"/workflows/{workflow}/{part}").status_code == 200, part


def make_size(owner: User, jobs: int) -> Made:
    """The same workflow in two sizes: jobs, runs, attempts, audit rows and other workflows grow together."""
    part = jobs // 10
    tags = [
        Tag("clean", {"D": jobs - part}),
        Tag("fit", {"F": part, "R": part, "D": part, "E": part, "G": part}, ("clean",), ("memory", "exit")),
        Tag("end", {"G": 1}, ("fit",)),
    ]
    made = make_workflow(owner, tags, runs=min(part, 8), name="fit all")
    for _ in range(min(part, 30)):
        make_workflow(owner, [Tag("one", {"D": 1})], status="D")
        make_audit(made.workflow)
    return made


def test_queries_do_not_grow_with_the_rows(client: Client, owner: User) -> None:
    """The reviewed numbers of tests/query_counts.json, at 10 and at 1,000 jobs; session and user are among them."""
    small, large = urls_of(make_size(owner, 10)), urls_of(make_size(owner, 1000))
    counted = {name: count_queries(client, url) for name, url in large.items()}
    assert counted == BUDGETS
    for name, url in small.items():
        assert count_queries(client, url) <= BUDGETS[name], name
    assert max(BUDGETS.values()) <= 8


def test_pages_stay_small(client: Client, owner: User) -> None:
    for name, url in urls_of(make_size(owner, 1000)).items():
        limit = LARGER.get(name, MOST_BYTES)
        assert len(client.get(url).content) <= limit, name
