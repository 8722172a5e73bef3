"""Request ids, gzip bodies with a limit, and the same-origin check."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from workflows.middleware import (
    BodyTooLarge,
    GzipRequestMiddleware,
    RequestContextMiddleware,
    SameOriginMiddleware,
    unpack,
)

factory = RequestFactory()


def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


def post_gzip(body: bytes, path: str = "/api/v1/workflows/") -> HttpRequest:
    return factory.post(path, body, content_type="application/json", headers={"content-encoding": "gzip"})


def test_every_answer_carries_an_id() -> None:
    middleware = RequestContextMiddleware(lambda request: HttpResponse(request.request_id))
    answer = middleware(factory.get("/"))
    assert re.fullmatch("[0-9a-f]{16}", answer["X-Request-ID"])
    assert answer.content.decode() == answer["X-Request-ID"]


@pytest.mark.parametrize(
    ("offered", "is_kept"), [("abcd-1234", True), ("short", False), ("a" * 37, False), ("a\tb" * 4, False)]
)
def test_an_id_from_outside_counts_only_if_it_is_harmless(offered: str, is_kept: bool) -> None:
    answer = RequestContextMiddleware(echo)(factory.get("/", headers={"x-request-id": offered}))
    assert (answer["X-Request-ID"] == offered) is is_kept


def test_a_packed_body_arrives_unpacked() -> None:
    body = json.dumps({"jobs": list(range(1000))}).encode()
    request = post_gzip(gzip.compress(body))
    assert GzipRequestMiddleware(echo)(request).content == body
    assert request.META["CONTENT_LENGTH"] == str(len(body))
    assert "HTTP_CONTENT_ENCODING" not in request.META


@pytest.mark.parametrize(("encoding", "status"), [("br", 415), ("gzip, br", 415), ("identity", 200), ("GZIP", 200)])
def test_a_body_that_is_packed_otherwise_is_refused(encoding: str, status: int) -> None:
    body = gzip.compress(b"{}") if encoding == "GZIP" else b"{}"
    request = factory.post("/api/v1/workflows/", body, "application/json", headers={"content-encoding": encoding})
    answer = GzipRequestMiddleware(echo)(request)
    assert answer.status_code == status
    assert (b"send it plain or as gzip" in answer.content) is (status == 415)


@override_settings(MAX_BODY_BYTES=1000)
@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413), (10_000_000, 413)])
def test_a_body_that_unpacks_to_more_than_the_limit_is_refused(size: int, status: int) -> None:
    answer = GzipRequestMiddleware(echo)(post_gzip(gzip.compress(b" " * size)))
    assert answer.status_code == status
    if status == 413:
        assert json.loads(answer.content)["code"] == "too-large"
        assert answer["Content-Type"] == "application/problem+json"


@override_settings(MAX_BODY_BYTES=1000)
def test_a_long_plain_body_is_refused_before_it_is_read() -> None:
    request = factory.post("/", b"x" * 1001, content_type="application/json")
    assert GzipRequestMiddleware(echo)(request).status_code == 413
    assert request.read() == b"x" * 1001


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(b"x" * 100, mtime=0)[:-5], b""], ids=["text", "cut", "empty"]
)
def test_what_is_no_whole_gzip_is_a_bad_request(body: bytes) -> None:
    answer = GzipRequestMiddleware(echo)(post_gzip(body))
    assert answer.status_code == 400
    assert json.loads(answer.content)["code"] == "invalid-request"


def test_unpacking_stops_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(BodyTooLarge):
        unpack(bomb, 1000)


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://testserver:81"},
    {"origin": "https://testserver"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(("method", "path"), [("POST", "/workflows/1/stop/"), ("GET", "/api/v1/"), ("DELETE", "/x")])
def test_requests_from_other_sites_are_refused(method: str, path: str, headers: dict[str, str]) -> None:
    answer = SameOriginMiddleware(echo)(factory.generic(method, path, headers=headers))
    assert answer.status_code == 403
    assert json.loads(answer.content)["code"] == "not-allowed"


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "http://testserver"}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_our_own_pages_and_typed_addresses_pass(method: str, headers: dict[str, str]) -> None:
    assert SameOriginMiddleware(echo)(factory.generic(method, "/api/v1/", headers=headers)).status_code == 200


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_link_from_another_site_may_show_a_page(headers: dict[str, str]) -> None:
    assert SameOriginMiddleware(echo)(factory.get("/workflows/1/", headers=headers)).status_code == 200


def test_a_token_cannot_be_sent_by_a_foreign_page_so_it_passes() -> None:
    headers = {"origin": "http://evil.example", "authorization": "Bearer jm_x"}
    assert SameOriginMiddleware(echo)(factory.post("/api/v1/", headers=headers)).status_code == 200


@override_settings(CSRF_TRUSTED_ORIGINS=["https://portal.example"])
def test_an_origin_that_the_site_trusts_passes() -> None:
    request = factory.post("/api/v1/", headers={"origin": "https://portal.example"})
    assert SameOriginMiddleware(echo)(request).status_code == 200
