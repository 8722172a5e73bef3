"""Every field with every kind of hostile text and number: refused, or stored as it is, to the byte; never an error of ours."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.caller import Answer, Caller, caller_for
from tests.corpus.test_corpus import is_empty
from tests.factories import make_user
from workflows.models import DraftChunk, Job, JobGroup, Workflow, WorkflowRun

pytestmark = pytest.mark.django_db

Json = dict[str, Any]
NONSENSE = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9223372036854775808", "18446744073709551616",
            "-9223372036854775809", "true", "false", '"1e9G"', '"1"', '""', "[]", "{}", "[1]", "-1", "1e9999999")  # fmt: skip
NUMBERS = ("slots", "mem_free", "max_attempts", "max_runtime", "resource_scale")
HEADER_NUMBERS = ("max_concurrently_running", "seconds_until_timeout", "tag_limits")

NEVER = ("a\0b", "\0", "\ud800", "a\udfffb")
ODD = ("a\rb", "a\nb", "a\r\nb", "a\tb", "a\x1bb", "\U0001f600", "\U0010ffff", "\ufffe", "a\u200bb", "a\u202eb", "e\u0301",
       "\u00e9", "a ", "a\u3000", "A", "a", "a\u00ad", "\u1e9e", "\ufb01", "I\u0307", "\u0131", "%s", "{0}", "\\", "'", '"', "--",
       "<b>", "$(x)", "../x", "/a/../b", "/a\\b", "*", "=1+1", "-x")  # fmt: skip
Place = tuple[Callable[[str], Json], Callable[[str], Json], Callable[[Workflow], Any]]


def of_header(name: str) -> Place:
    return (lambda text: {name: text}), (lambda text: {}), (lambda found: getattr(found, name))


def of_job(name: str) -> Place:
    return (lambda text: {}), (lambda text: {name: text}), (lambda found: getattr(first_job(found), name))


def first_job(workflow: Workflow) -> Job:
    return Job.objects.filter(dag_id=workflow.dag_id).order_by("position")[0]


def limited_tag(workflow: Workflow) -> str:
    group = JobGroup.objects.get(dag_id=workflow.dag_id, max_concurrently_running=7)
    return group.name


# What to put into the header and into the job, and where it is found again.
PLACES: dict[str, Place] = {
    **{name: of_header(name) for name in ("workflow_args", "name", "description", "project", "executor", "path")},
    **{name: of_header(name) for name in ("stdout", "stderr", "working_dir", "home")},
    **{f"job {name}": of_job(name) for name in ("name", "command", "tag", "executor")},
    "attribute": (lambda t: {"attributes": {"x": t}}, lambda t: {}, lambda found: found.attributes["x"]),
    "name of an attribute": (lambda t: {"attributes": {t: "x"}}, lambda t: {}, lambda found: next(iter(found.attributes))),
    "job attribute": (lambda t: {}, lambda t: {"attributes": {"x": t}}, lambda found: first_job(found).attributes["x"]),
    "limited tag": (lambda t: {"tag_limits": {t: 7}}, lambda t: {"tag": t}, limited_tag),
    "upstream": (lambda t: {}, lambda t: {"upstreams": [t]}, lambda found: None),
}  # fmt: skip
TAKES_ALL = {"workflow_args", "description", "job command"}
TAKES_NONE = {"executor", "job executor", "upstream"}


@pytest.fixture
def api(db: None) -> Caller:
    return caller_for(make_user("alice"))


def post(api: Caller, header: Json, job: Json) -> Answer:
    body = {"workflow_args": "fields", **header, "jobs": [{"name": "j", "command": "x", **job}]}
    return api.post("workflows/", json.dumps(body).encode())


@pytest.mark.parametrize("name", PLACES)
def test_no_text_holds_nul_or_half_a_character(api: Caller, name: str) -> None:
    header, job, _ = PLACES[name]
    for text in NEVER:
        answer = post(api, header(text), job(text))
        assert answer.status == 400, (text, answer.body)
    assert is_empty()


@pytest.mark.parametrize("name", PLACES)
def test_text_is_refused_or_stored_as_it_is(api: Caller, name: str) -> None:
    header, job, read = PLACES[name]
    taken = []
    for number, text in enumerate(ODD):
        answer = post(api, {"workflow_args": f"fields {number}", **header(text)}, job(text))
        assert answer.status in (201, 400), (text, answer.body)
        if answer.status == 201:
            assert read(Workflow.objects.get(pk=answer.body["id"])) == text
            taken.append(text)
    assert Workflow.objects.count() == len(taken)
    if name in TAKES_ALL:
        assert taken == list(ODD)
    if name in TAKES_NONE:
        assert taken == []


def with_number(name: str, literal: str) -> bytes:
    job, header = '"name": "a", "command": "x"', '"workflow_args": "n"'
    if name in NUMBERS:
        job += f', "{name}": {literal}'
    else:
        header += f', "{name}": ' + (f'{{"x": {literal}}}' if name == "tag_limits" else literal)
    return f'{{{header}, "jobs": [{{{job}}}]}}'.encode()


@pytest.mark.parametrize("name", [*NUMBERS, *HEADER_NUMBERS])
def test_what_is_no_sensible_number_is_refused(api: Caller, name: str) -> None:
    for literal in NONSENSE:
        answer = api.post("workflows/", with_number(name, literal))
        assert answer.status == 400, (literal, answer.body)
        assert answer.body["errors"], literal
    assert is_empty()


def test_a_count_of_jobs_that_cannot_be_begins_no_draft(api: Caller) -> None:
    for literal in (*NONSENSE, "500001", "1.5"):
        body = f'{{"workflow_args": "n", "job_count": {literal}}}'.encode()
        assert api.post("drafts/", body).status == 400, literal
    assert is_empty()


TWICE = b'{"workflow_args": "x", "jobs": [{"name": "a", "name": "b", "command": "1", "command": "2"}], "workflow_args": "y"}'


def paths(answer: Answer) -> list[str]:
    return [error["path"] for error in answer.body["errors"] if error["code"] == "duplicate-key"]


def test_a_key_that_comes_twice_is_refused_wherever_it_is(api: Caller) -> None:
    """One of the two values would be ignored, and nobody could say which was meant."""
    assert paths(api.post("workflows/", TWICE)) == ["workflow_args", "jobs[0].name", "jobs[0].command"]
    assert paths(api.post("drafts/", b'{"workflow_args": "x", "tag_limits": {"a": 1, "a": 2}}')) == ["tag_limits.a"]
    assert is_empty()
    draft = api.post("drafts/", {"workflow_args": "x"}).body["id"]
    chunk = api.put(f"drafts/{draft}/chunks/0/", b'{"jobs": [{"name": "a", "command": "1", "tag": "x", "tag": "y"}]}')
    assert (chunk.status, paths(chunk)) == (400, ["jobs[0].tag"])


def test_a_key_that_comes_twice_is_refused_where_it_steers(api: Caller) -> None:
    number = api.post("workflows/", {"workflow_args": "x", "jobs": [{"name": "a", "command": "1"}]}).body["id"]
    answer = api.post(f"workflows/{number}/runs/", b'{"resume": "hot", "resume": "cold"}')
    assert (answer.status, "resume" in answer.body["detail"]) == (400, True)
    assert not WorkflowRun.objects.filter(workflow_id=number).exists()


# Pieces that are cut or changed on their way


def digest(body: bytes) -> dict[str, str]:
    return {"Content-Digest": f"md5=:AAAA:, sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}


CHUNK = b'{"jobs": [{"name": "a", "command": "x"}, {"name": "b", "command": "y"}]}'


def test_a_piece_that_is_not_what_its_digest_says_is_refused(api: Caller) -> None:
    draft = api.post("drafts/", {"workflow_args": "d"}).body["id"]
    changed = CHUNK.replace(b'"y"', b'"z"')
    for body in (changed, CHUNK[:-40] + b"]}", CHUNK + b" ", b""):
        answer = api.put(f"drafts/{draft}/chunks/0/", body, **digest(CHUNK))
        assert (answer.status, answer.code) == (400, "wrong-digest"), body
    assert not DraftChunk.objects.exists()
    assert api.put(f"drafts/{draft}/chunks/0/", CHUNK, **digest(CHUNK)).status == 204
    assert api.post(f"drafts/{draft}/commit/").body["job_count"] == 2


def test_the_digest_is_that_of_the_bytes_on_their_way(api: Caller) -> None:
    packed = gzip.compress(CHUNK)
    draft = api.post("drafts/", {"workflow_args": "d"}).body["id"]
    for body, said, status in ((packed, packed, 204), (packed, CHUNK, 400), (packed[:-9], packed, 400)):
        headers = {"Content-Encoding": "gzip", **digest(said)}
        assert api.put(f"drafts/{draft}/chunks/0/", body, **headers).status == status


@pytest.mark.parametrize("at", range(1, len(CHUNK), 7))
def test_a_piece_cut_anywhere_is_refused(api: Caller, at: int) -> None:
    draft = api.post("drafts/", {"workflow_args": "d"}).body["id"]
    assert api.put(f"drafts/{draft}/chunks/0/", CHUNK[:at]).status == 400
    assert not DraftChunk.objects.exists()


def test_a_draft_of_somebody_else_is_not_there(api: Caller) -> None:
    draft = api.post("drafts/", {"workflow_args": "d"}).body["id"]
    other = caller_for(make_user("bob"))
    calls = [other.put(f"drafts/{draft}/chunks/0/", CHUNK), other.post(f"drafts/{draft}/commit/")]
    assert [answer.status for answer in calls] == [404, 404]
    assert not DraftChunk.objects.exists()
