"""Who am I, is it up; and signing a browser in."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import access
from workflows.api import schema, shapes
from workflows.api.authentication import SCOPE_ORDER
from workflows.api.base import ApiView
from workflows.api.problems import Problem
from workflows.models import ApiToken, ExecutorState


class ServerView(ApiView):
    @extend_schema(responses=schema.Server, operation_id="server")
    def get(self, request: Request) -> Response:
        """The server's version, its executors and who you are."""
        return Response(shapes.server(request.user.get_username(), request))


class ExecutorsView(ApiView):
    @extend_schema(responses=schema.ExecutorList, operation_id="list_executors")
    def get(self, request: Request) -> Response:
        """The executors and what their last listing told; nobody is asked for this."""
        states = {state.name: state for state in ExecutorState.objects.all()}
        return Response({"results": [_executor(name, states.get(name)) for name in settings.EXECUTORS]})


def _executor(name: str, state: ExecutorState | None) -> dict[str, object]:
    return {
        "name": name,
        "kind": state.kind if state else name,
        "polled_at": shapes.iso(state.polled_at) if state else None,
        "poll_seconds": state.poll_seconds if state else None,
        "failure": state.failure if state else "",
        "failures_in_a_row": state.failures_in_a_row if state else 0,
        "counts": state.counts if state else {},
    }


def _token(token: ApiToken) -> dict[str, object]:
    return {
        "prefix": token.prefix,
        "name": token.name,
        "scope": token.scope,
        "created_at": shapes.iso(token.created_at),
        "expires_at": shapes.iso(token.expires_at),
        "last_used_at": shapes.iso(token.last_used_at),
        "last_used_from": token.last_used_from,
    }


class TokensView(ApiView):
    keeps_answers = False

    @extend_schema(responses=schema.TokenList, operation_id="list_tokens")
    def get(self, request: Request) -> Response:
        """Your tokens that work; their values are shown once, when they are made."""
        assert isinstance(request.user, User)
        tokens = ApiToken.objects.filter(user=request.user, revoked_at=None).order_by("-pk")
        return Response({"results": [_token(token) for token in tokens]})

    @extend_schema(
        request=schema.TokenInput,
        responses={201: schema.NewToken, 400: schema.ProblemShape, 403: schema.ProblemShape},
        operation_id="make_token",
    )
    def post(self, request: Request) -> Response:
        """Make a token, at most as wide as the one you use. Its value is in the answer, and nowhere else."""
        wanted = schema.TokenInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        if isinstance(request.auth, ApiToken) and SCOPE_ORDER[values["scope"]] > SCOPE_ORDER[request.auth.scope]:
            raise Problem(403, "not-allowed", f"A token with the scope {request.auth.scope} cannot make a wider one.")
        assert isinstance(request.user, User)
        text = access.create_token(request.user, values["name"], values["scope"], timedelta(days=values["days"]))
        token = access.find_token(text)
        assert token is not None
        return Response({**_token(token), "token": text}, status=201)


class TokenView(ApiView):
    @extend_schema(responses={204: None, 404: schema.ProblemShape}, operation_id="revoke_token")
    def delete(self, request: Request, prefix: str) -> Response:
        """Revoke a token of yours; runs that it started go on."""
        assert isinstance(request.user, User)
        if not access.revoke_token(request.user, prefix):
            raise Http404
        return Response(status=204)


class SignInLinkView(ApiView):
    keeps_answers = False

    @extend_schema(
        request=None, responses={201: schema.Link, 403: schema.ProblemShape}, operation_id="make_sign_in_link"
    )
    def post(self, request: Request) -> Response:
        """A link that signs a browser in once, within ten minutes."""
        if not settings.IS_EMBEDDED:
            raise Problem(
                403, "not-allowed", "Sign-in links exist in the embedded mode only; sign in on the login page."
            )
        assert isinstance(request.user, User)
        code = access.make_sign_in_link(request.user)
        return Response({"url": request.build_absolute_uri(f"/login/once/?code={code}")}, status=201)
