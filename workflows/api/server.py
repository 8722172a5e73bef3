"""Who am I, is it up; and signing a browser in."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import access
from workflows.api import schema, shapes
from workflows.api.authentication import SCOPE_ORDER, actor_of
from workflows.api.base import ApiView, get_workflow, read_body
from workflows.api.lists import NEWEST, answer_page, demand_rows, describe_list
from workflows.api.problems import Problem
from workflows.filters import AuditFilter
from workflows.models import ApiToken, AuditEntry
from workflows.permissions import may_read_audit
from workflows.queries.system import audit_entries


class ServerView(ApiView):
    @extend_schema(responses=schema.Server, operation_id="server")
    def get(self, request: Request) -> Response:
        """The server's version, its executors and who you are."""
        return Response(shapes.server(request.user.get_username(), request))


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
    is_personal = True

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
        values = read_body(schema.TokenInput, request)
        if isinstance(request.auth, ApiToken) and SCOPE_ORDER[values["scope"]] > SCOPE_ORDER[request.auth.scope]:
            raise Problem(403, "not-allowed", f"A token with the scope {request.auth.scope} cannot make a wider one.")
        assert isinstance(request.user, User)
        _demand_password(request, values.get("password", ""))
        life = timedelta(days=min(values["days"], settings.MOST_TOKEN_DAYS))
        ends = request.auth.expires_at if isinstance(request.auth, ApiToken) else None
        text = access.create_token(request.user, values["name"], values["scope"], life, actor_of(request), ends)
        token = access.find_token(text)
        assert token is not None
        return Response({**_token(token), "token": text}, status=201)


def _demand_password(request: Request, password: str) -> None:
    """A browser that was left open must not become a token: whoever has only a session proves it anew."""
    user = request.user
    if isinstance(request.auth, ApiToken) or settings.IS_EMBEDDED:
        return
    if not password or authenticate(request._request, username=user.get_username(), password=password) != user:
        raise Problem(403, "not-allowed", "The field `password` must hold your password; no token was made.")


class TokenView(ApiView):
    is_personal = True

    @extend_schema(responses={204: None, 404: schema.ProblemShape}, operation_id="revoke_token")
    def delete(self, request: Request, prefix: str) -> Response:
        """Revoke a token of yours; runs that it started go on."""
        assert isinstance(request.user, User)
        if not access.revoke_token(request.user, prefix, actor_of(request)):
            raise Http404
        return Response(status=204)


class ActivityView(ApiView):
    @extend_schema(
        parameters=describe_list(AuditFilter),
        responses={200: schema.AuditList, 400: schema.ProblemShape, 404: schema.ProblemShape},
        operation_id="list_activity",
    )
    def get(self, request: Request, workflow_id: int) -> Response:
        """What people did to a workflow, newest first."""
        return _entries(request, audit_entries(get_workflow(request, workflow_id).pk))


class AuditView(ApiView):
    @extend_schema(
        parameters=describe_list(AuditFilter),
        responses={200: schema.AuditList, 400: schema.ProblemShape, 403: schema.ProblemShape},
        operation_id="list_audit",
    )
    def get(self, request: Request) -> Response:
        """All that anybody changed, newest first: for administrators."""
        if not may_read_audit(request.user):
            raise Problem(403, "not-allowed", "Only administrators may read what everybody did.")
        return _entries(request, audit_entries())


def _entries(request: Request, entries: QuerySet[AuditEntry]) -> Response:
    rows = demand_rows(AuditFilter(request.query_params, entries))
    return answer_page(request, rows, NEWEST, lambda found: [shapes.audit_entry(row) for row in found])


class SignInLinkView(ApiView):
    keeps_answers = False
    is_personal = True

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
        code = access.make_sign_in_link(request.user, actor_of(request))
        return Response({"url": request.build_absolute_uri(f"/login/once/?code={code}")}, status=201)
