"""Who am I, is it up; and signing a browser in."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import access
from workflows.api import schema, shapes
from workflows.api.base import ApiView
from workflows.api.problems import Problem


class ServerView(ApiView):
    @extend_schema(responses=schema.Server, operation_id="server")
    def get(self, request: Request) -> Response:
        """The server's version, its executors and who you are."""
        return Response(shapes.server(request.user.get_username(), request))


class SignInLinkView(ApiView):
    @extend_schema(request=None, responses={201: schema.Link, 403: schema.ProblemShape}, operation_id="make_sign_in_link")
    def post(self, request: Request) -> Response:
        """A link that signs a browser in once, within ten minutes."""
        if not settings.IS_EMBEDDED:
            raise Problem(403, "not-allowed", "Sign-in links exist in the embedded mode only; sign in on the login page.")
        assert isinstance(request.user, User)
        code = access.make_sign_in_link(request.user)
        return Response({"url": request.build_absolute_uri(f"/login/once/?code={code}")}, status=201)
