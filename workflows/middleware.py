"""What every request goes through: its id, gzip bodies with a limit, and the same-origin check."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import uuid
import zlib
from collections.abc import Callable
from io import BytesIO

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.common import CommonMiddleware
from django.utils.module_loading import import_string

from workflows.digits import read_digits
from workflows.markup import make_unseen_seen

GetResponse = Callable[[HttpRequest], HttpResponse]
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
AWAY_MYSQL = frozenset({1040, 1053, 2002, 2003, 2005, 2006, 2013})
logger = logging.getLogger(__name__)
WRONG_DIGEST = "The body is not what Content-Digest announces: it was changed or cut on its way. Send it again."
_SHA_256 = re.compile(r"(?:^|[,\s])sha-256=:([^:]*):")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,36}")


class RequestContextMiddleware:
    """Gives each request an id, which pages, problems and the audit log show."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get("X-Request-ID", "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex[:16]
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        return response


def _problem(status: int, code: str, detail: str) -> JsonResponse:
    body = {
        "type": "about:blank",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JsonResponse(body, status=status, content_type="application/problem+json")


class BodyTooLarge(Exception):
    """The body, unpacked, is over the limit."""


def unpack(data: bytes, limit: int) -> bytes:
    """Gunzip at most `limit` bytes. Raises BodyTooLarge or zlib.error."""
    unpacker = zlib.decompressobj(31)
    body = unpacker.decompress(data, limit + 1)
    if len(body) > limit:
        raise BodyTooLarge
    if not unpacker.eof:
        raise zlib.error("the gzip data ends too early")
    if unpacker.unused_data:
        raise zlib.error("something follows the end of the gzip data")
    return body


def is_as_announced(body: bytes, header: str) -> bool:
    """Whether the body, as it was sent, has the SHA-256 that `Content-Digest` (RFC 9530) gives; other digests are not
    looked at."""
    announced = _SHA_256.search(header)
    return announced is None or base64.b64encode(hashlib.sha256(body).digest()).decode() == announced[1]


class GzipRequestMiddleware:
    """Refuses bodies that are over the limit, packed or not, or not what their digest says, and unpacks those sent with
    `Content-Encoding: gzip`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit = settings.MAX_BODY_BYTES
        length = read_digits(request.META.get("CONTENT_LENGTH") or "0")
        if length is not None and length > limit:
            return _problem(
                413, "too-large", f"The body is over {limit:,} bytes. Send a large graph as a draft, in chunks."
            )
        encoding = request.headers.get("Content-Encoding", "").lower()
        if encoding not in ("", "identity", "gzip"):
            said = f"The body's Content-Encoding is {encoding[:40]!r}; send it plain or as gzip."
            return _problem(415, "unsupported-media-type", said)
        is_packed = encoding == "gzip"
        if is_packed or "Content-Digest" in request.headers:
            body = request.read(limit + 1)
            if not is_as_announced(body, request.headers.get("Content-Digest", "")):
                return _problem(400, "wrong-digest", WRONG_DIGEST)
            try:
                _replace_body(request, unpack(body, limit) if is_packed else body)
            except BodyTooLarge:
                return _problem(413, "too-large", f"The body, unpacked, is over {limit:,} bytes.")
            except zlib.error as error:
                return _problem(400, "invalid-request", f"The body is not valid gzip: {error}")
        return self.get_response(request)


def _replace_body(request: HttpRequest, body: bytes) -> None:
    request._stream = BytesIO(body)
    request._read_started = False  # type: ignore[attr-defined]  # nobody has read the new one
    request.META["CONTENT_LENGTH"] = str(len(body))
    request.META.pop("HTTP_CONTENT_ENCODING", None)


class SlashMiddleware(CommonMiddleware):
    """Redirects pages to the address with a slash, but never a call of the API: its body would be lost on the way."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return not request.path.startswith("/api/") and super().should_redirect_with_slash(request)


class UnseenMiddleware:
    """No page holds a character that nobody sees: whatever page it is, one that tells of an error too."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.streaming and response.headers.get("Content-Type", "").startswith("text/html"):
            response.content = make_unseen_seen(response.content)
        return response


class SameOriginMiddleware:
    """Refuses what another site's page sends with our cookies: every request with an effect, and every JSON read."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        has_token = request.headers.get("Authorization", "").lower().startswith("bearer ")
        matters = request.method not in SAFE_METHODS or request.path.startswith("/api/")
        if matters and not has_token and self._is_foreign(request):
            return _problem(403, "not-allowed", "This request comes from another site and was refused.")
        return self.get_response(request)

    def _is_foreign(self, request: HttpRequest) -> bool:
        if request.headers.get("Sec-Fetch-Site", "same-origin") in ("cross-site", "same-site"):
            return True
        origin = request.headers.get("Origin", "")
        if not origin:
            return False
        own = f"{request.scheme}://{request.get_host()}"
        return origin != own and origin not in settings.CSRF_TRUSTED_ORIGINS


class DatabaseAwayMiddleware:
    """A database that cannot be reached is said so (503, with a page that tries again), not shown as a broken server."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not is_database_away(exception):
            return None
        logger.error("the database is away: %s", exception)
        return import_string("workflows.views.errors.unavailable")(request)  # type: ignore[no-any-return]


def is_database_away(error: Exception) -> bool:
    """No connection, or it was lost, or the file cannot be opened; not: a statement that was wrong."""
    if isinstance(error, InterfaceError):
        return True
    code = error.args[0] if error.args else None
    away = code in AWAY_MYSQL or any(words in str(error) for words in ("unable to open database", "disk I/O error"))
    return isinstance(error, OperationalError) and away
