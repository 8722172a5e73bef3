"""HTTP: kept connections, gzip, keys, what is repeated and what is not, and what refusals become."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from jobmon import exceptions
from jobmon.api import Client
from jobmon.problems import error_for
from jobmon.transport import Answer
from tests.client.fake_server import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client.fake_server import FakeServer

JOBS = [{"name": "one", "command": "one"}]


def submit(client: Client, args: str = "a", jobs: list[dict[str, str]] = JOBS) -> int:
    return int(client.submit_workflow({"workflow_args": args, "jobs": jobs})["id"])


def test_one_connection_serves_many_calls(server: FakeServer, client: Client) -> None:
    for _ in range(5):
        client.list_workflows()
    assert len(server.connections) == 1


def test_small_bodies_are_plain_and_large_ones_gzip(server: FakeServer, client: Client) -> None:
    submit(client)
    submit(client, jobs=[{"name": f"j{n}", "command": f"run {n}"} for n in range(100)])
    small, large = server.requests("POST", "workflows/")
    assert "content-encoding" not in small.headers
    assert large.headers["content-encoding"] == "gzip"
    assert len(large.body["jobs"]) == 100
    assert int(large.headers["content-length"]) < 1500


def test_every_change_has_a_key_of_its_own_and_repetitions_keep_it(server: FakeServer, client: Client) -> None:
    server.fail_next(503, 503)
    submit(client, "a")
    submit(client, "b")
    keys = [one.headers["idempotency-key"] for one in server.requests("POST", "workflows/")]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 2
    client.list_workflows()
    assert "idempotency-key" not in server.requests("GET")[-1].headers


def test_answer_to_an_earlier_sending_is_waited_for(server: FakeServer, client: Client) -> None:
    server.fail_next(409, 409)
    number = submit(client)
    server.fail_next(409)
    assert client.start_run(number, {})["status"] == "R"
    keys = [one.headers["idempotency-key"] for one in server.requests("POST", "runs/")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_connection_closed_after_an_answer_gives_the_next_call_its_full_time(
    server: FakeServer, client: Client
) -> None:
    client.list_workflows()
    connection = client.transport._connection
    assert connection is not None
    connection.close()  # as the library does when an answer says "Connection: close"
    client.list_workflows()
    assert client.transport._connection is not connection
    kept = client.transport._connection
    assert kept is not None
    assert kept.sock.gettimeout() == 60.0


def test_kept_connection_that_the_server_closed_is_replaced(server: FakeServer, client: Client) -> None:
    client.list_workflows()
    server.close_connections()
    number = submit(client)
    server.close_connections()
    assert client.start_run(number, {})["status"] == "R"
    assert len(server.requests("POST", "runs/")) == 1


def test_call_that_changes_is_not_repeated_when_its_answer_is_lost(server: FakeServer, client: Client) -> None:
    number = submit(client)
    server.mischief.drops_after = 1
    with pytest.raises(exceptions.AnswerLost, match="not known"):
        client.start_run(number, {})
    assert len(server.requests("POST", "runs/")) == 1


def test_call_that_changes_is_not_repeated_after_an_error(server: FakeServer, client: Client) -> None:
    number = submit(client)
    server.fail_next(503)
    with pytest.raises(exceptions.ServerError, match="503"):
        client.start_run(number, {})
    assert len(server.requests("POST", "runs/")) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_reading_is_repeated(server: FakeServer, client: Client, status: int) -> None:
    server.fail_next(status, status)
    assert client.list_workflows() == []
    assert len(server.requests("GET")) == 3


def test_reading_is_repeated_when_the_connection_breaks(server: FakeServer, client: Client) -> None:
    server.mischief.drops_before = 3
    assert client.list_workflows() == []


def test_internal_error_is_not_repeated(server: FakeServer, client: Client) -> None:
    server.fail_next(500)
    with pytest.raises(exceptions.ServerError, match=r"500 on GET /api/v1/workflows/: not now"):
        client.list_workflows()
    assert len(server.requests("GET")) == 1


def test_no_server_is_told_with_its_address(server: FakeServer, client: Client) -> None:
    server.stop()
    with pytest.raises(exceptions.ServerUnreachable, match=server.url) as caught:
        client.list_workflows()
    assert "jobmon configure" in str(caught.value)


def test_server_that_has_answered_is_waited_for(server: FakeServer, client: Client, told: Callable[[], str]) -> None:
    client.list_workflows()
    server.stop()
    back = threading.Timer(1.5, server.start)
    back.start()
    try:
        assert client.list_workflows() == []
    finally:
        back.join()
    words = told()
    assert "does not answer" in words
    assert "answers again" in words


def test_something_else_at_the_address_is_told(server: FakeServer, client: Client) -> None:
    server.extra["GET", "/api/v1/"] = "<h1>It works!</h1>"
    with pytest.raises(exceptions.ServerError, match="It works"):
        client.get_info()


def test_lists_are_read_to_their_end_and_the_token_stays_here(server: FakeServer, client: Client) -> None:
    for number in range(5):
        submit(client, str(number))
    found = client._list("workflows/", [("user", "alice")], None)
    assert len(found) == 5
    pages = list(client._pages("workflows/", [("user", "alice")], 2))
    assert [len(list(page)) for page in pages] == [2, 2, 1]
    assert len(client.list_workflows(limit=3)) == 3


def test_child_process_does_not_share_the_connection(server: FakeServer, client: Client) -> None:
    client.list_workflows()
    child = os.fork()
    if child == 0:
        os._exit(0 if client.list_workflows() == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.list_workflows() == []


def test_threads_take_turns(server: FakeServer, client: Client) -> None:
    answers: list[list[dict[str, object]]] = []
    threads = [threading.Thread(target=lambda: answers.append(client.list_workflows())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[]] * 8


def test_missing_token_and_wrong_token(server: FakeServer) -> None:
    for token in ("", "wrong"):
        with pytest.raises(exceptions.NotAuthenticated, match="jobmon configure"):
            Client(server=server.url, token=token).get_info()
    assert Client(server=server.url, token=TOKEN).get_info()["user"] == "alice"


REFUSALS = [
    (400, "invalid-request", exceptions.InvalidRequest),
    (409, "unknown-tag", exceptions.NotFound),
    (400, "invalid-graph", exceptions.InvalidGraph),
    (401, "not-authenticated", exceptions.NotAuthenticated),
    (403, "not-allowed", exceptions.NotAllowed),
    (404, "not-found", exceptions.NotFound),
    (409, "workflow-already-complete", exceptions.WorkflowAlreadyComplete),
    (409, "workflow-running", exceptions.WorkflowRunning),
    (409, "workflow-in-use", exceptions.WorkflowInUse),
    (409, "leftovers", exceptions.LeftoversRemain),
    (413, "too-large", exceptions.RequestRefused),
    (503, "unavailable", exceptions.ServerError),
]


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_each_refusal_has_its_exception_and_says_what_to_do(
    status: int, code: str, kind: type[exceptions.JobmonError]
) -> None:
    body = f'{{"code": "{code}", "detail": "It is so.", "run_id": 7}}'.encode()
    error = error_for(Answer(status, {}, body), "POST /x/")
    assert type(error) is kind
    assert "It is so" in str(error)
    assert "POST /x/" in str(error)
    assert len(str(error).split(". ")) >= 2
    if isinstance(error, exceptions.WorkflowRunning):
        assert error.run_id == 7


def test_invalid_graph_lists_its_errors_and_counts_the_others() -> None:
    errors = ",".join(f'{{"code": "x", "job": "job_{n}", "detail": "wrong {n}"}}' for n in range(100))
    body = f'{{"code": "invalid-graph", "detail": "bad", "errors": [{errors}], "error_count": 250}}'.encode()
    error = error_for(Answer(400, {}, body), "POST /x/")
    assert isinstance(error, exceptions.InvalidGraph)
    assert len(error.errors) == 100
    assert "job_9: wrong 9" in str(error)
    assert "240 more" in str(error)


def test_redirect_is_told() -> None:
    error = error_for(Answer(301, {"location": "https://jobs.test/"}, b""), "GET /x/")
    assert "https://jobs.test/" in str(error)


def test_refusal_without_a_problem_goes_by_its_status() -> None:
    assert type(error_for(Answer(403, {}, b"<h1>no</h1>"), "GET /x/")) is exceptions.NotAllowed
