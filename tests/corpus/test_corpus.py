"""Every malformed graph is refused with its own words, and nothing is stored; the valid extremes are taken."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.api.caller import Answer, Caller, caller_for
from tests.corpus.cases import CASES, Case, job, many_faults
from tests.factories import make_user
from workflows import invariants
from workflows.models import AuditEntry, Draft, Job, JobEdge, JobGroup, TaskDag, Workflow

pytestmark = pytest.mark.django_db
Record = Callable[[str, object], None]
MOST_SECONDS = 120.0


@pytest.fixture
def owner(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def api(owner: User) -> Caller:
    return caller_for(owner)


def timed(record: Record, call: Callable[[], Answer]) -> Answer:
    """The whole answer, the database included; what reading costs is measured in `test_bounds.py`."""
    began, used = time.monotonic(), time.process_time()
    answer = call()
    used = time.process_time() - used
    record("seconds", round(time.monotonic() - began, 3))
    record("processor_seconds", round(used, 3))
    assert used < MOST_SECONDS, "of the processor: some ten times what the largest takes"
    return answer


def is_empty() -> bool:
    return not any(model.objects.exists() for model in (Workflow, TaskDag, Job, JobEdge, JobGroup, Draft, AuditEntry))


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_malformed_graph_is_refused_in_its_own_words(api: Caller, record_property: Record, case: Case) -> None:
    body = case.make()
    headers = {"Content-Encoding": "gzip"} if case.packed else {}
    answer = timed(record_property, lambda: api.post("workflows/", body, **headers))
    assert answer.status == case.status
    errors = answer.body.get("errors", [])
    assert (errors[0]["code"] if errors else answer.code) == case.code, answer.body
    text = json.dumps(answer.body, ensure_ascii=False)
    assert case.text in text
    assert len(text) < 200_000
    assert is_empty()


def test_a_thousand_faults_of_twenty_kinds_are_all_named(api: Caller, record_property: Record) -> None:
    body, kinds = many_faults()
    assert len(kinds) == 20
    answer = timed(record_property, lambda: api.post("workflows/", body))
    assert (answer.status, answer.code) == (400, "invalid-graph")
    assert kinds <= set(answer.body["kinds"])
    assert answer.body["error_count"] >= 1000
    assert len(answer.body["errors"]) == 100
    assert kinds <= {error["code"] for error in answer.body["errors"]}, "each kind is shown by an example"
    assert is_empty()


# Valid extremes


def submit(api: Caller, jobs: list[dict[str, object]], **header: object) -> Answer:
    return api.post("workflows/", {"workflow_args": "extreme", **header, "jobs": jobs})


def test_a_fan_in_of_100000(api: Caller, record_property: Record) -> None:
    jobs = [{"name": f"j{n}", "command": f"{n}"} for n in range(100_000)]
    jobs.append({"name": "end", "command": "end", "upstreams": list(range(100_000))})  # type: ignore[dict-item]
    answer = timed(record_property, lambda: submit(api, jobs))
    assert (answer.status, answer.body["edge_count"]) == (201, 100_000)
    assert Job.objects.get(name="end").upstreams_left == 100_000
    assert invariants.check_all(["readiness"]) == []


def test_a_chain_of_100000(api: Caller, record_property: Record) -> None:
    jobs = [{"name": f"j{n}", "command": f"{n}", "upstreams": [n - 1] if n else []} for n in range(100_000)]
    answer = timed(record_property, lambda: submit(api, jobs))
    assert (answer.status, answer.body["job_count"], answer.body["edge_count"]) == (201, 100_000, 99_999)
    assert Job.objects.filter(upstreams_left=0).count() == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_edges(api: Caller, record_property: Record) -> None:
    jobs = [{"name": f"j{n}", "command": f"{n}", "upstreams": list(range(max(0, n - 4), n))} for n in range(250_003)]
    body = gzip.compress(json.dumps({"workflow_args": "extreme", "jobs": jobs}).encode(), 1)
    answer = timed(record_property, lambda: api.post_gzip("workflows/", body))
    assert (answer.status, answer.body["job_count"], answer.body["edge_count"]) == (201, 250_003, 1_000_002)
    assert JobEdge.objects.count() == 1_000_002
    assert Job.objects.filter(upstreams_left=4).count() == 249_999


def test_a_chain_posted_backwards_is_the_same_graph(api: Caller) -> None:
    jobs = [{"name": f"j{n}", "command": f"{n}", "upstreams": [f"j{n - 1}"] if n else []} for n in range(2_000)]
    assert submit(api, jobs).body["id"] == submit(api, jobs[::-1]).body["id"]
    assert Workflow.objects.count() == 1


ALIKE = [
    "fit",
    "Fit",
    "FIT",
    "f\u0131t",
    "fi\u0301t",
    "f\u00edt",
    "\ufb01t",
    "f\u0456t",
    "\uff46it",
    "fit.",
    "fit_",
    "fi t",
]


def test_names_that_only_look_alike_are_different(api: Caller) -> None:
    """Case, normal forms, ligatures, other alphabets: a database that took two of them for one would refuse this."""
    answer = submit(api, [{"name": name, "command": "x", "tag": name} | {"command": f"run {name}"} for name in ALIKE])
    assert answer.status == 201
    assert set(Job.objects.values_list("name", flat=True)) == set(ALIKE)
    assert JobGroup.objects.count() == len(ALIKE)
    for name in ALIKE:
        rows = api.get(f"workflows/{answer.body['id']}/jobs/?{encode(name=name)}").body["results"]
        assert [row["name"] for row in rows] == [name]
        rows = api.get(f"workflows/{answer.body['id']}/jobs/?{encode(tag=name)}").body["results"]
        assert [row["name"] for row in rows] == [name]


def encode(**values: str) -> str:
    from urllib.parse import urlencode

    return urlencode(values)


@pytest.mark.parametrize(
    ("one", "two"),
    [("x", "x "), ("x", " x"), ("x", "X"), ("\u00e9", "e\u0301"), ("x", "x\n"), ("a b", "a  b"), ("x", "x\u200b")],
)
def test_commands_and_arguments_are_their_bytes(api: Caller, one: str, two: str) -> None:
    """A trailing space counts, also where the database pads with spaces."""
    answer = submit(api, [{"name": "a", "command": one}, {"name": "b", "command": two}])
    assert answer.status == 201
    assert set(Job.objects.values_list("command", flat=True)) == {one, two}
    made = [submit(api, [job()], workflow_args=text).body["id"] for text in (one, two)]  # type: ignore[list-item]
    assert made[0] != made[1]
    assert set(Workflow.objects.filter(pk__in=made).values_list("workflow_args", flat=True)) == {one, two}


def test_names_whose_stems_end_alike_get_groups_that_the_database_keeps_apart(api: Caller) -> None:
    names = ["x", "x __", "x 1", "x_1", "x .1", "x\u3000_1"]
    answer = submit(api, [{"name": name, "command": f"run {name}"} for name in names])
    assert answer.status == 201
    assert invariants.check_all() == []


def test_text_of_every_plane_survives(api: Caller) -> None:
    text = "\U0001f600 \U0010fffd \u4e2d\u6587 \u05e9\u05dc\u05d5\u05dd \\ ' \" ; $(x) `y` %s %(a)s {0} \t\r\n"
    answer = submit(
        api,
        [{"name": "\U0001f600", "command": text, "tag": "\U0001f680"}],
        name="\U0001f600",
        description=text,
        workflow_args=text,
    )
    assert (answer.status, answer.body["description"], answer.body["workflow_args"]) == (201, text, text)
    (row,) = api.get(f"workflows/{answer.body['id']}/jobs/").body["results"]
    assert (row["name"], row["command"], row["tag"]) == ("\U0001f600", text, "\U0001f680")


def test_the_largest_values_are_taken(api: Caller) -> None:
    largest = {"slots": 100_000, "mem_free": 1_000_000, "max_attempts": 1000, "max_runtime": 316_224_000}
    jobs = [
        job("a" * 255, command="x" * 1024 * 1024, tag="t" * 255, **largest),
        job("b", mem_free=5e-324, max_runtime=1),
    ]
    header = {"workflow_args": "\U0001f600" * 10_000, "name": "n" * 255, "description": "d" * 100_000, "stdout": "/" + "a" * 999,
              "path": "p" * 32_000, "project": "p" * 64, "max_concurrently_running": 2**31 - 1, "seconds_until_timeout": 2**31 - 1,
              "tag_limits": {"t" * 255: 2**31 - 1}}  # fmt: skip
    answer = api.post("workflows/", {**header, "jobs": jobs})
    assert answer.status == 201
    stored = Job.objects.get(name="a" * 255)
    assert {key: getattr(stored, key) for key in largest} == largest
    assert len(stored.command) == 1024 * 1024
