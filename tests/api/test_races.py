"""The same call by several at once: one effect, and every caller gets the same answer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client

from tests.api.caller import GRAPH, Answer, Caller, caller_for
from tests.db.engine import start
from tests.factories import make_user
from workflows import invariants
from workflows.models import DraftChunk, Job, JobInstance, Workflow, WorkflowRun
from workflows.scheduling import tick

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 4
ROUNDS = 5


def together(caller: Caller, call: Callable[[Caller, int], Answer | object]) -> list[object]:
    """Run the call in several threads that begin at the same moment, each with a client of its own."""
    gate = threading.Barrier(AT_ONCE)
    answers: list[object] = []
    errors: list[BaseException] = []

    def run(number: int) -> None:
        own = Caller(caller.token, client=Client(HTTP_HOST="127.0.0.1"))
        try:
            gate.wait(60)
            answers.append(call(own, number))
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert len(answers) == AT_ONCE
    return answers


def statuses(answers: list[object]) -> Counter[int]:
    return Counter(answer.status for answer in answers if isinstance(answer, Answer))


def test_the_same_graph_at_once_is_one_workflow(api: Caller) -> None:
    for number in range(ROUNDS):
        body = {**GRAPH, "workflow_args": str(number)}
        answers = together(api, lambda caller, _n, body=body: caller.post("workflows/", body))
        assert statuses(answers) == {201: 1, 200: AT_ONCE - 1}
        assert len({answer.body["id"] for answer in answers if isinstance(answer, Answer)}) == 1
    assert Workflow.objects.count() == ROUNDS
    assert Job.objects.count() == 2 * ROUNDS
    assert invariants.check_all() == []


def test_two_people_at_once_get_one_workflow_and_one_refusal(api: Caller) -> None:
    other = caller_for(make_user("bob"))
    for number in range(ROUNDS):
        body = {**GRAPH, "workflow_args": str(number)}
        tokens = [api.token, other.token]
        answers = together(
            api,
            lambda caller, n, body=body, tokens=tokens: Caller(tokens[n % 2], client=caller.client).post(
                "workflows/", body
            ),
        )
        counts = statuses(answers)
        assert (counts[201], counts[200], counts[409]) == (1, AT_ONCE // 2 - 1, AT_ONCE // 2)
    assert Workflow.objects.count() == ROUNDS


def test_a_start_at_once_is_one_run(api: Caller) -> None:
    for number in range(ROUNDS):
        workflow = api.post("workflows/", {**GRAPH, "workflow_args": str(number)}).body["id"]
        answers = together(api, lambda caller, _n, workflow=workflow: caller.post(f"workflows/{workflow}/runs/", {}))
        assert statuses(answers) == {201: 1, 409: AT_ONCE - 1}
    assert WorkflowRun.objects.count() == ROUNDS


def test_a_draft_committed_at_once_is_one_workflow(api: Caller) -> None:
    for number in range(ROUNDS):
        draft = api.post("drafts/", {"workflow_args": str(number)}).body["id"]
        api.put(f"drafts/{draft}/chunks/0/", {"jobs": GRAPH["jobs"]})
        answers = together(api, lambda caller, _n, draft=draft: caller.post(f"drafts/{draft}/commit/"))
        counts = statuses(answers)
        assert set(counts) <= {200, 201, 400}
        assert counts[201] == 1
    assert Workflow.objects.count() == ROUNDS


def test_a_chunk_put_at_once_is_one_chunk(api: Caller) -> None:
    for number in range(ROUNDS):
        draft = api.post("drafts/", {"workflow_args": str(number)}).body["id"]
        answers = together(
            api, lambda caller, _n, draft=draft: caller.put(f"drafts/{draft}/chunks/0/", {"jobs": GRAPH["jobs"]})
        )
        assert statuses(answers) == {204: AT_ONCE}
    assert DraftChunk.objects.count() == ROUNDS


def test_a_stop_at_once_is_one_stop(api: Caller) -> None:
    workflow = api.post("workflows/", GRAPH).body["id"]
    run = api.post(f"workflows/{workflow}/runs/", {}).body["id"]
    modes = ["drain", "kill"]
    answers = together(api, lambda caller, n: caller.post(f"workflow-runs/{run}/stop/", {"mode": modes[n % 2]}))
    assert statuses(answers) == {202: AT_ONCE}
    assert WorkflowRun.objects.get().stopping == "kill"


def test_bells_at_once_start_each_job_once(api: Caller, owner: User) -> None:
    jobs = [{"name": f"j{n}", "command": f"runs=1000 said={n}"} for n in range(30)]
    workflow = Workflow.objects.get(pk=api.post("workflows/", {"workflow_args": "x", "jobs": jobs}).body["id"])
    run = start(workflow)
    together(api, lambda _caller, _n: tick.advance(run.pk) or 1)
    assert JobInstance.objects.count() == 30
    assert invariants.check_all() == []
