"""ETags: whoever has an answer and asks whether it still holds gets 304, without the work of making it again."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="the ETag that you have; 304 while it holds"
)


def make_tag(request: Request, *parts: object) -> str:
    """Of this address, as this version of the server answers it, where these parts say all that may have changed."""
    text = "\n".join([settings.VERSION, request.build_absolute_uri(), *map(repr, parts)])
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def is_known(request: Request, tag: str) -> bool:
    known = {given.removeprefix("W/") for given in parse_etags(request.headers.get("If-None-Match", ""))}
    return "*" in known or tag.removeprefix("W/") in known


def not_modified(tag: str) -> Response:
    return Response(status=304, headers={"ETag": tag})
